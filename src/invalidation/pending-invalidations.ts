import type { Invalidation } from './log.ts'

/** Beyond this many tags it is cheaper, and as safe, to invalidate everything. */
const MAX_PENDING_TAGS = 10_000

/** Invalidations that Redis has not confirmed. Bounded, and safe to deliver more than once. */
export class PendingInvalidations {
  #waiting = new Backlog()
  /** On its way, and not known to have arrived. */
  #sent = new Backlog()

  get size(): number {
    return this.#waiting.size + this.#sent.size
  }

  add({ tags }: Invalidation): void {
    this.#waiting.add(tags)
  }

  /** All that waits, to be sent as one; what is added from now on is not part of it. */
  begin(): Invalidation | undefined {
    if (this.size === 0) return undefined
    this.#sent.add(this.#waiting.tags)
    this.#waiting = new Backlog()
    // Purging leaves less behind than expiring, so it is right for both.
    return { tags: this.#sent.tags, mode: 'purge' }
  }

  /** What was sent has arrived, or waits again. */
  end(delivered: boolean): void {
    if (!delivered) this.#waiting.add(this.#sent.tags)
    this.#sent = new Backlog()
  }
}

class Backlog {
  #all = false
  readonly #tags = new Set<string>()

  get size(): number {
    return this.#all ? 1 : this.#tags.size
  }

  get tags(): readonly string[] | 'all' {
    return this.#all ? 'all' : [...this.#tags]
  }

  add(tags: readonly string[] | 'all'): void {
    if (tags === 'all') this.#all = true
    else for (const tag of tags) this.#tags.add(tag)
    if (this.#tags.size > MAX_PENDING_TAGS) this.#all = true
    if (this.#all) this.#tags.clear()
  }
}
