import type { LogPosition } from '../stored-response.ts'
import type { Fenced } from './log-table.ts'

/**
 * What an invalidation leaves. `'expire'`: unusable for answers (RFC 9111 §4.4), though validators
 * could still be made of it. `'purge'`: nothing. No answer is made of either, so both act alike as
 * long as this version makes no conditional requests.
 */
export type InvalidationMode = 'expire' | 'purge'

export interface Invalidation {
  /** Encoded tags, or everything. */
  tags: readonly string[] | 'all'
  mode: InvalidationMode
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
  /** Grows whenever an answer of `allows` may change. */
  readonly version: number
  /** Whether the entry was computed after all invalidations of its tags that are known here. */
  allows(entry: Fenced): boolean
  verdict(entry: Fenced): 'valid' | 'softened' | 'expired' | 'purged'
  /** Whether `allows` may be trusted without asking Redis: the lease has not run out. */
  verified(): boolean
  /** Catches up with Redis; false when it cannot be confirmed in time. Never rejects. */
  confirm(): Promise<boolean>
  /** Resolved means done, everywhere; rejects with InvalidationPendingError in bounded time. */
  invalidate(invalidation: Invalidation): Promise<void>
  state(): LogState
  start(): Promise<void>
  close(): Promise<void>
}
