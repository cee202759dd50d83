import type { Invalidation, InvalidationMode } from './log.ts'

/** Beyond this many tags it is cheaper, and as safe, to invalidate everything. */
const MAX_PENDING_TAGS = 10_000

/** Softer before harder: where two are pending for one tag, the harder is enough. */
const MODES = ['soft', 'expire', 'purge'] as const satisfies InvalidationMode[]

/** Invalidations that Redis has not confirmed. Bounded, and safe to deliver more than once. */
export class PendingInvalidations {
  #waiting = new Backlog()
  /** On its way, and not known to have arrived. */
  #sent = new Backlog()

  get size(): number {
    return this.#waiting.size + this.#sent.size
  }

  add(invalidation: Invalidation): void {
    this.#waiting.add(invalidation)
  }

  /** What waits and what is on its way. */
  all(): Invalidation[] {
    return [...this.#waiting.list(), ...this.#sent.list()]
  }

  /** Whether one of the tags is among them. */
  covers(tags: readonly string[]): boolean {
    return this.#waiting.covers(tags) || this.#sent.covers(tags)
  }

  /** All that waits, to be sent; what is added from now on is not part of it. */
  begin(): Invalidation[] {
    for (const invalidation of this.#waiting.list()) this.#sent.add(invalidation)
    this.#waiting = new Backlog()
    return this.#sent.list()
  }

  /** What was sent has arrived, or waits again. */
  end(delivered: boolean): void {
    if (!delivered) for (const invalidation of this.#sent.list()) this.#waiting.add(invalidation)
    this.#sent = new Backlog()
  }
}

class Backlog {
  #all = false
  readonly #modes = new Map<string, InvalidationMode>()

  get size(): number {
    return this.#all ? 1 : this.#modes.size
  }

  covers(tags: readonly string[]): boolean {
    return this.#all || (this.#modes.size > 0 && tags.some((tag) => this.#modes.has(tag)))
  }

  /** At most one invalidation of each mode. */
  list(): Invalidation[] {
    if (this.#all) return [{ tags: 'all', mode: 'purge' }]
    return MODES.map((mode) => ({ tags: this.#tagsOf(mode), mode })).filter(
      ({ tags }) => tags.length > 0,
    )
  }

  #tagsOf(mode: InvalidationMode): string[] {
    const tags: string[] = []
    for (const [tag, each] of this.#modes) if (each === mode) tags.push(tag)
    return tags
  }

  add({ tags, mode }: Invalidation): void {
    if (tags === 'all') this.#all = true
    else for (const tag of tags) this.#addTag(tag, mode)
    if (this.#modes.size > MAX_PENDING_TAGS) this.#all = true
    if (this.#all) this.#modes.clear()
  }

  #addTag(tag: string, mode: InvalidationMode): void {
    const known = this.#modes.get(tag)
    if (known === undefined || MODES.indexOf(known) < MODES.indexOf(mode))
      this.#modes.set(tag, mode)
  }
}
