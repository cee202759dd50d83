import type { StoredEntry } from '../stored-response.ts'

/**
 * A stored entry as this process holds it, with what it worked out about it: all that a hit needs
 * and that does not change from one hit to the next.
 */
export class Cached {
  readonly entry: StoredEntry
  /** Where it came from; `'handler'` is for those who waited while it was computed. */
  readonly tier: 'memory' | 'redis' | 'handler'
  /** The version of the log for which the entry was last found valid. */
  validFor = -1
  /** Rendered fields, kept for the second in which they hold. */
  rendered: unknown

  constructor(entry: StoredEntry, tier: Cached['tier']) {
    this.entry = entry
    this.tier = tier
  }
}
