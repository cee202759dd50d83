import { LogTable } from './log-table.ts'
import type { Fenced, Invalidation, InvalidationMode, Verdict } from './log.ts'

/** Beyond this many tags it is cheaper, and as safe, to invalidate everything. */
const MAX_PENDING_TAGS = 10_000

/** Softer before harder: where two are pending for one tag, the harder is enough. */
const MODES = ['soft', 'expire', 'purge'] as const satisfies InvalidationMode[]

/** Invalidations that Redis has not confirmed. Bounded, and safe to deliver more than once. */
export class PendingInvalidations {
  #waiting = new Backlog()
  /** On its way, and not known to have arrived. */
  #sent = new Backlog()
  /** The same as a log would say it, with everything that there is before it. */
  #table = new LogTable(MAX_PENDING_TAGS)

  get size(): number {
    return this.#waiting.size + this.#sent.size
  }

  add(invalidation: Invalidation): void {
    this.#waiting.add(invalidation)
    this.#table.apply(invalidation, Infinity)
  }

  /** What waits and what is on its way. */
  all(): Invalidation[] {
    return [...this.#waiting.list(), ...this.#sent.list()]
  }

  /** What they make of an entry, whatever its position: they have none yet. */
  verdict(entry: Fenced): Verdict {
    return this.size === 0 ? 'valid' : this.#table.verdict(entry)
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
    this.#table = new LogTable(MAX_PENDING_TAGS)
    for (const invalidation of this.#waiting.list()) this.#table.apply(invalidation, Infinity)
  }
}

class Backlog {
  #all = false
  readonly #modes = new Map<string, InvalidationMode>()

  get size(): number {
    return this.#all ? 1 : this.#modes.size
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
    this.#modes.set(tag, harder(this.#modes.get(tag), mode)!)
  }
}

function harder(
  one: InvalidationMode | undefined,
  other: InvalidationMode | undefined,
): InvalidationMode | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return MODES.indexOf(one) < MODES.indexOf(other) ? other : one
}
