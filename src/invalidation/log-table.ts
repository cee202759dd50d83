import { LogPatterns } from './log-patterns.ts'
import type { Fenced, Invalidation, InvalidationMode, Verdict } from './log.ts'

const MODES = ['purge', 'expire', 'soft'] as const satisfies InvalidationMode[]

/**
 * The compacted log: for each tag the seqs of its last invalidations, and a floor for everything
 * older. An entry is valid when nothing it depends on was invalidated after its own position.
 *
 * All is merged by maximum, so that order and repetition do not matter, and a verdict of one entry
 * only ever becomes harder. Where a mode is not known, the hardest is meant: what is below the floor,
 * and what was read from a snapshot, which has seqs without modes, is purged.
 */
export class LogTable {
  /** Grows with every change, so that "nothing happened since" is one comparison. */
  version = 0
  floor = 0
  readonly #maxTags: number
  /** Of any mode, in the order of the invalidations: the oldest first. */
  readonly #lastSeq = new Map<string, number>()
  /** Of tags whose last invalidation was soft: the last that was not, or 0. */
  readonly #lastHard = new Map<string, number>()
  /** Of tags that were purged: the last time. */
  readonly #lastPurge = new Map<string, number>()
  /** Those of the tags that are patterns. */
  readonly #patterns = new LogPatterns()

  constructor(maxTags: number) {
    this.#maxTags = maxTags
  }

  get size(): number {
    return this.#lastSeq.size
  }

  /** Tags with the seqs of their last invalidations, the oldest first. */
  tags(): IterableIterator<[tag: string, seq: number]> {
    return this.#lastSeq.entries()
  }

  /** The same change twice, or an older one late, is harmless. */
  merge(tag: string, position: number, mode: InvalidationMode): void {
    const seq = certain(position)
    const known = this.lastSeq(tag, mode)
    if (known !== undefined && known >= seq) return
    const last = this.#lastSeq.get(tag)
    const isLast = last === undefined || seq > last
    if (mode === 'purge') this.#lastPurge.set(tag, seq)
    if (mode === 'soft') this.#lastHard.set(tag, this.lastSeq(tag, 'expire') ?? 0)
    else if (isLast || seq === last) this.#lastHard.delete(tag)
    else if (seq > (this.#lastHard.get(tag) ?? last)) this.#lastHard.set(tag, seq)
    if (isLast) {
      this.#lastSeq.delete(tag)
      this.#lastSeq.set(tag, seq)
    }
    this.raiseFloor(this.#patterns.note(tag, seq) ?? 0)
    this.version++
    if (this.#lastSeq.size > this.#maxTags) this.#compact()
  }

  apply({ tags, mode }: Invalidation, seq: number): void {
    if (tags === 'all') this.raiseFloor(seq)
    else for (const tag of tags) this.merge(tag, seq, mode)
  }

  raiseFloor(seq: number): void {
    if (seq <= this.floor) return
    this.floor = certain(seq)
    this.version++
  }

  /** Takes over what another table of the same log knows of the time after a position. */
  continue(other: LogTable, seq: number): void {
    for (const [tag, last] of other.#lastSeq) {
      if (last <= seq) continue
      for (const mode of MODES) {
        const known = other.lastSeq(tag, mode)
        if (known !== undefined && known > seq) this.merge(tag, known, mode)
      }
    }
    if (other.floor > seq) this.raiseFloor(other.floor)
  }

  /** Whether nothing that the entry depends on was invalidated after its position. */
  allows(entry: Fenced): boolean {
    if (entry.seq < this.floor) return false
    for (const tag of entry.tags) {
      const seq = this.#lastSeq.get(tag)
      if (seq !== undefined && seq > entry.seq) return false
    }
    return this.#patterns.allow(entry)
  }

  /** What became of an entry of this epoch. */
  verdict(entry: Fenced): Verdict {
    if (this.allows(entry)) return 'valid'
    if (entry.seq < this.floor) return 'purged'
    let expired = false
    for (const tag of [...entry.tags, ...this.#patterns.of(entry)]) {
      if ((this.#lastPurge.get(tag) ?? 0) > entry.seq) return 'purged'
      if ((this.lastSeq(tag, 'expire') ?? 0) > entry.seq) expired = true
    }
    return expired ? 'expired' : 'softened'
  }

  /** The seq of the last invalidation of a tag that was at least as hard. */
  lastSeq(tag: string, mode: InvalidationMode = 'soft'): number | undefined {
    if (mode === 'purge') return this.#lastPurge.get(tag)
    const last = this.#lastSeq.get(tag)
    return mode === 'soft' ? last : (this.#lastHard.get(tag) ?? last)
  }

  /** The last position at which one of these, or everything, was invalidated. */
  lastOf(tags: readonly string[]): number {
    return tags.reduce((last, tag) => Math.max(last, this.#lastSeq.get(tag) ?? 0), this.floor)
  }

  /** Forgets the oldest tenth; whatever they could have invalidated is below the new floor. */
  #compact(): void {
    const target = Math.floor(this.#maxTags * 0.9)
    let highest = this.floor
    for (const [tag, seq] of this.#lastSeq) {
      if (this.#lastSeq.size <= target) break
      this.#lastSeq.delete(tag)
      this.#lastHard.delete(tag)
      this.#lastPurge.delete(tag)
      this.#patterns.forget(tag)
      if (seq > highest) highest = seq
    }
    this.raiseFloor(Math.ceil(highest))
  }
}

/** What is no number is above everything: nothing is known to be valid then. */
function certain(seq: number): number {
  return Number.isNaN(seq) ? Infinity : seq
}
