import { PACKING_ALGORITHMS, type Packing, type PackingAlgorithm } from './frame-packing.ts'

export interface CompressionOptions {
  /** Bodies of fewer bytes are stored as they are. @default 1024 */
  minBytes?: number
  /**
   * All processes need it: what they cannot read is a miss. zstd is in Node from 22.15 on.
   * @default 'zstd' where Node has it, else 'br'
   */
  algorithm?: PackingAlgorithm
}

const DEFAULT_MIN_BYTES = 1024

/** What the option says; or what is wrong with it: where, and what it must be. */
export function readCompression(
  compression: unknown,
): Packing | false | { readonly path: string; readonly expected: string } {
  if (compression === false) return false
  const given = compression === true ? {} : compression
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    return { path: '', expected: 'true, false or an object such as { minBytes: 1024 }' }
  }
  const {
    minBytes = DEFAULT_MIN_BYTES,
    algorithm = PACKING_ALGORITHMS[0],
    ...rest
  } = given as Record<string, unknown>
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined) {
    return { path: `.${unknown}`, expected: 'left out; known are minBytes, algorithm' }
  }
  if (!Number.isSafeInteger(minBytes) || (minBytes as number) < 1) {
    return { path: '.minBytes', expected: 'a whole number of at least 1' }
  }
  if (!PACKING_ALGORITHMS.includes(algorithm as PackingAlgorithm)) {
    const known = PACKING_ALGORITHMS.map((each) => `'${each}'`).join(' or ')
    return { path: '.algorithm', expected: `${known} with this version of Node` }
  }
  return { minBytes: minBytes as number, algorithm: algorithm as PackingAlgorithm }
}
