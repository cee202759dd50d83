import type { StoredEntry } from '../stored-response.ts'

/** What was worked out about an entry: what a hit needs and does not change from one to the next. */
export class EntryNotes {
  /** The version of the log for which the entry was last found valid. */
  validFor = -1
  /** Rendered fields, kept for the second in which they hold. */
  rendered: unknown = undefined
}

/** A stored entry as this process holds it. */
export class Cached extends EntryNotes {
  readonly entry: StoredEntry
  /** Where it came from; `'handler'` is for those who waited while it was computed. */
  readonly tier: 'memory' | 'redis' | 'handler'
  /** Its own, or those of the last reading of the same frame from Redis. */
  readonly notes: EntryNotes

  constructor(entry: StoredEntry, tier: Cached['tier'], notes?: EntryNotes) {
    super()
    this.entry = entry
    this.tier = tier
    this.notes = notes ?? this
  }
}
