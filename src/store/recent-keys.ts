import { randomInt } from 'node:crypto'

/** The low bits of a mark say how often the key was asked for; the others tell it from others. */
const USES = 15

/**
 * Keys that memory has let go of not long ago. Of a fixed size: one mark takes another's place, and
 * which one nobody outside can know.
 */
export class RecentKeys {
  readonly #marks: Int32Array
  readonly #seed = randomInt(2 ** 32)

  constructor(count: number) {
    this.#marks = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(16, count))))
  }

  remember(key: string, uses: number): void {
    const hash = this.#hash(key)
    this.#marks[this.#place(hash)] = (hash & ~USES) | Math.min(uses, USES)
  }

  /** How often the key was asked for before it was let go; undefined when it is not known. */
  recall(key: string): number | undefined {
    const hash = this.#hash(key)
    const mark = this.#marks[this.#place(hash)]!
    return mark !== 0 && (mark & ~USES) === (hash & ~USES) ? mark & USES : undefined
  }

  #place(hash: number): number {
    return hash & (this.#marks.length - 1)
  }

  /** FNV-1a from a secret start, then mixed so that all bits depend on all. */
  #hash(key: string): number {
    let hash = this.#seed
    for (let at = 0; at < key.length; at++) {
      hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    return hash ^ (hash >>> 16)
  }
}
