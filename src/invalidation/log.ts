import type { LogPosition } from '../stored-response.ts'

export interface Fenced extends LogPosition {
  readonly tags: readonly string[]
}

/**
 * What an invalidation leaves, from the softest to the hardest. `'soft'`: what may be served stale
 * while one request refreshes it. `'expire'`: validators, and no answer (RFC 9111 §4.4). `'purge'`:
 * nothing.
 */
export type InvalidationMode = 'soft' | 'expire' | 'purge'

/** The hardest thing that happened to an entry since it was computed. */
export type Verdict = 'valid' | 'softened' | 'expired' | 'purged'

const VERDICTS: readonly Verdict[] = ['valid', 'softened', 'expired', 'purged']

export function harder(one: Verdict, other: Verdict): Verdict {
  return VERDICTS[Math.max(VERDICTS.indexOf(one), VERDICTS.indexOf(other))]!
}

export interface Invalidation {
  /** Encoded tags; or everything, of which nothing is left in any mode: it is below the floor. */
  tags: readonly string[] | 'all'
  mode: InvalidationMode
}

/** A record of the log that this process has applied, for people. */
export interface SeenRecord extends Invalidation, LogPosition {
  /** Epoch milliseconds: nothing is decided by it. */
  readonly at: number
  /** How many tags it has; the first of them are kept. */
  readonly count: number
}

/** Where an invalidation stands in the log: what is computed after it carries at least this position. */
export interface Receipt extends LogPosition {
  /** The last position before it at which one of its tags, or everything, was invalidated. */
  readonly before: number
}

/** What a log knows of itself, for `stats()`. */
export interface LogState {
  /** `''` until the log has been loaded. */
  epoch: string
  seq: number
  tags: number
  floor: number
  /** The table is loaded and its lease has not run out. */
  verified: boolean
  /**
   * Milliseconds since the moment for which the table is known to be complete; undefined while it is
   * being loaded, 0 without Redis.
   */
  sinceVerifiedMs: number | undefined
  pendingInvalidations: number
  /** Milliseconds; 0 when every answer is decided by this process alone. */
  stalenessBoundMs: number
}

/** The invalidation log with its logical clock, as the rest of the cache sees it. */
export interface InvalidationLog {
  /**
   * What a computation that starts now may have missed. While the log is unknown its epoch is `''`:
   * what is computed then may be shared with those who wait for it, and is not stored.
   */
  readonly position: LogPosition
  /** Grows whenever an answer of `allows` or `verdict` may change. */
  readonly version: number
  /** Whether the entry was computed after all invalidations of its tags that are known here. */
  allows(entry: Fenced): boolean
  /** The hardest that is known to have happened to it since; `'valid'` where `allows` is true. */
  verdict(entry: Fenced): Verdict
  /** The last position at which this tag, or everything, was invalidated, as far as known here; 0: never. */
  lastInvalidated(tag: string): number
  /** Whether `allows` and `verdict` may be trusted without asking Redis: the lease has not run out. */
  verified(): boolean
  /** Catches up with Redis; false when it cannot be confirmed in time. Never rejects. */
  confirm(): Promise<boolean>
  /** Remembers for this many milliseconds when which position was reached; asked before the start. */
  rememberFor(windowMs: number): void
  /** The seq that was reached this long ago, within what is remembered; -1 when that is not known. */
  reachedBefore(milliseconds: number): number
  /** Whether all up to this position is known here. */
  hasReached(position: LogPosition): boolean
  /** Waits for it, in bounded time; says whether it came. Never rejects. */
  reach(position: LogPosition, maxWaitMs: number): Promise<boolean>
  /**
   * Resolved means done, everywhere, with the position after which all know of it: of epoch `''`
   * when there is none, because everything was invalidated. Rejects with InvalidationPendingError in
   * bounded time.
   */
  invalidate(invalidation: Invalidation): Promise<Receipt>
  state(): LogState
  /** The last records that this process has applied, the newest first. */
  seen(): SeenRecord[]
  /** The tags of the table as they stand in the log, with the positions of their last invalidations. */
  tags(): Iterable<[tag: string, seq: number]>
  /** The names under which a tag may stand in the log. */
  namesOf(tag: string): readonly string[]
  /** Of names in the log that say nothing: the tags that they stand for, as far as is remembered. */
  remembered(): ReadonlyMap<string, string>
  start(): Promise<void>
  close(): Promise<void>
}

/** What became of a process's knowledge of the log. */
export type LogChange = 'log-lost' | 'log-followed' | 'epoch-changed'
