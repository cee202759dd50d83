import { promisify } from 'node:util'
import * as zlib from 'node:zlib'

/** By the letter that stands in front of what was packed with it. */
const ALGORITHMS = { z: 'zstd', b: 'br', g: 'gzip' } as const
type Letter = keyof typeof ALGORITHMS

export type PackingAlgorithm = (typeof ALGORITHMS)[Letter]

/** Which bodies are packed, and how. */
export interface Packing {
  readonly algorithm: PackingAlgorithm
  /** Shorter ones stay as they are. */
  readonly minBytes: number
}

/** Packed bodies: a letter, the length of what was packed (8 hex digits), then the bytes. */
const MARK_LENGTH = 9

/** Of Node 22.15 and later. */
interface Zstd {
  zstdCompress?: typeof zlib.gzip
  zstdDecompress?: (
    bytes: Buffer,
    options: zlib.ZlibOptions,
    done: (error: Error | null, result: Buffer) => void,
  ) => void
}
const { zstdCompress, zstdDecompress } = zlib as Zstd

type Change = (bytes: Buffer, options: object) => Promise<Buffer>

interface Codec {
  readonly letter: Letter
  readonly change: Change
  readonly back: Change
}

const BROTLI = {
  params: {
    // About as fast as gzip, and smaller.
    [zlib.constants.BROTLI_PARAM_QUALITY]: 4,
  },
}
const brotli = promisify<Buffer, object, Buffer>(zlib.brotliCompress)

/** Those that this Node has, all of them in its thread pool. */
const CODECS: ReadonlyMap<PackingAlgorithm, Codec> = new Map([
  ...(zstdCompress && zstdDecompress
    ? [codec('z', promisify<Buffer, object, Buffer>(zstdCompress), promisify(zstdDecompress))]
    : []),
  codec('b', (bytes) => brotli(bytes, BROTLI), promisify(zlib.brotliDecompress)),
  codec('g', promisify<Buffer, object, Buffer>(zlib.gzip), promisify(zlib.gunzip)),
])

function codec(letter: Letter, change: Change, back: unknown): [PackingAlgorithm, Codec] {
  return [ALGORITHMS[letter], { letter, change, back: back as Change }]
}

/** The best of those that there are here comes first. */
export const PACKING_ALGORITHMS: readonly PackingAlgorithm[] = [...CODECS.keys()]

/** Undefined when that makes it no smaller. Never rejects. */
export async function pack(
  body: string | Buffer,
  algorithm: PackingAlgorithm,
): Promise<Buffer | undefined> {
  const { letter, change } = CODECS.get(algorithm)!
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  try {
    const packed = await change(bytes, {})
    if (packed.length + MARK_LENGTH >= bytes.length) return undefined
    const length = bytes.length.toString(16).padStart(MARK_LENGTH - 1, '0')
    return Buffer.concat([Buffer.from(letter + length), packed])
  } catch {
    return undefined
  }
}

const HEX8 = /^[0-9a-f]{8}$/

/**
 * What was packed. Undefined when that is not what it says it is, more than `maxBytes`, or of an
 * algorithm that is not here; never more than it says is made of it. Never rejects.
 */
export async function unpack(packed: Buffer, maxBytes: number): Promise<Buffer | undefined> {
  const letter = packed.toString('latin1', 0, 1) as Letter
  const digits = packed.toString('latin1', 1, MARK_LENGTH)
  const length = HEX8.test(digits) ? parseInt(digits, 16) : 0
  const known = CODECS.get(ALGORITHMS[letter])
  if (known === undefined || length === 0 || length > maxBytes) return undefined
  try {
    const bytes = await known.back(packed.subarray(MARK_LENGTH), { maxOutputLength: length })
    return bytes.length === length ? bytes : undefined
  } catch {
    return undefined
  }
}
