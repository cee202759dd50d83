import type { Invalidation } from './log.ts'

/** Beyond this many tags it is cheaper, and as safe, to invalidate everything. */
const MAX_PENDING_TAGS = 10_000

/** Invalidations that Redis has not confirmed. Bounded, and safe to deliver more than once. */
export class PendingInvalidations {
  #all = false
  readonly #tags = new Set<string>()

  get size(): number {
    return this.#all ? 1 : this.#tags.size
  }

  add({ tags }: Invalidation): void {
    if (tags === 'all') this.#all = true
    else for (const tag of tags) this.#tags.add(tag)
    if (this.#tags.size > MAX_PENDING_TAGS) this.#all = true
    if (this.#all) this.#tags.clear()
  }

  /** Empties the queue; what could not be delivered has to be added again. */
  take(): Invalidation[] {
    if (this.size === 0) return []
    // Purging leaves less behind than expiring, so it is right for both.
    const tags = this.#all ? ('all' as const) : [...this.#tags]
    this.#all = false
    this.#tags.clear()
    return [{ tags, mode: 'purge' }]
  }
}
