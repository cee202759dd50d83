import type { Validators } from '../http/conditional.ts'
import type { StoredEntry } from '../stored-response.ts'

/** What was worked out about an entry: what a hit needs and does not change from one to the next. */
export class EntryNotes {
  /** The version of the log for which the entry was last found valid. */
  validFor = -1
  /** Its validators (`null` when it has none), and the fields of a 304, once they were needed. */
  validators: Validators | null | undefined = undefined
  /** Rendered fields, kept for the second in which they hold. */
  rendered: unknown = undefined
  /** The length of its body; -1 until it is worked out. */
  bodyBytes = -1
  /** From here on a hit may start a refresh, where the route has that; 0 until it is worked out. */
  earlyFrom = 0
}

/** A stored entry as this process holds it. */
export class Cached extends EntryNotes {
  readonly entry: StoredEntry
  /** Where it came from; `'handler'` is for those who waited while it was computed. */
  readonly tier: 'memory' | 'redis' | 'handler'
  /** Its own, or those of the last reading of the same frame from Redis. */
  readonly notes: EntryNotes
  /** Under which key it is a variant, and by which fields; for those who waited for it. */
  variant: { readonly names: readonly string[]; readonly key: string } | undefined = undefined
  /** Computed when what it was made of may not have settled; for those who waited for it. */
  settles = false
  /** When Redis was last asked for a newer one, if this is stale; epoch milliseconds. */
  checkedAt = 0

  constructor(entry: StoredEntry, tier: Cached['tier'], notes?: EntryNotes) {
    super()
    this.entry = entry
    this.tier = tier
    this.notes = notes ?? this
  }
}
