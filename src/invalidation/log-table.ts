import type { LogPosition } from '../stored-response.ts'

export interface Fenced extends LogPosition {
  readonly tags: readonly string[]
}

/**
 * The compacted log: for each tag the seq of its last invalidation, and a floor for everything
 * older. An entry is valid when nothing it depends on was invalidated after its own position.
 */
export class LogTable {
  /** Grows with every change, so that "nothing happened since" is one comparison. */
  version = 0
  floor = 0
  readonly #maxTags: number
  /** In the order of the invalidations: the oldest first. */
  readonly #lastSeq = new Map<string, number>()

  constructor(maxTags: number) {
    this.#maxTags = maxTags
  }

  get size(): number {
    return this.#lastSeq.size
  }

  /** Merging by maximum: the same change twice, or an older one late, is harmless. */
  merge(tag: string, seq: number): void {
    const known = this.#lastSeq.get(tag)
    if (known !== undefined) {
      if (known >= seq) return
      this.#lastSeq.delete(tag)
    }
    this.#lastSeq.set(tag, seq)
    this.version++
    if (this.#lastSeq.size > this.#maxTags) this.#compact()
  }

  raiseFloor(seq: number): void {
    if (seq <= this.floor) return
    // What is no number is above everything: nothing is known to be valid then.
    this.floor = Number.isNaN(seq) ? Infinity : seq
    this.version++
  }

  /** Whether nothing that the entry depends on was invalidated after its position. */
  allows(entry: Fenced): boolean {
    if (entry.seq < this.floor) return false
    for (const tag of entry.tags) {
      const seq = this.#lastSeq.get(tag)
      if (seq !== undefined && seq > entry.seq) return false
    }
    return true
  }

  lastSeq(tag: string): number | undefined {
    return this.#lastSeq.get(tag)
  }

  /** Forgets the oldest tenth; whatever they could have invalidated is below the new floor. */
  #compact(): void {
    const target = Math.floor(this.#maxTags * 0.9)
    let highest = this.floor
    for (const [tag, seq] of this.#lastSeq) {
      if (this.#lastSeq.size <= target) break
      this.#lastSeq.delete(tag)
      if (seq > highest) highest = seq
    }
    this.raiseFloor(Math.ceil(highest))
  }
}
