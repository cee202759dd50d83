import type { FAILED } from './redis-guard.ts'

/**
 * Writes of one process, under the number that tells them apart from the same ones sent twice. What
 * is added to is named with `+` in front, what is set with `=`.
 */
export interface BufferDelta {
  readonly seq: number
  readonly fields: ReadonlyMap<string, number | string>
}

/** What is to be flushed, always under the same id until that is done. */
export interface TakenBatch {
  readonly id: string
  readonly fields: ReadonlyMap<string, string>
}

/** How many fields wait by now; or that there is no room. */
export type Added = { readonly size: number } | 'full'

/** Where a buffer keeps what is to be flushed. Nothing here rejects. */
export interface BufferStore {
  readonly lastError: string
  /** All of a delta, once, however often it is sent. */
  add(delta: BufferDelta, maxFields: number): Promise<Added | typeof FAILED>
  /**
   * The right to flush, and what: the batch that could not be flushed so far, else all that waits,
   * under `id`. `'busy'`: somebody else has that right.
   */
  take(
    token: string,
    leaseMs: number,
    id: string,
  ): Promise<TakenBatch | 'busy' | 'empty' | typeof FAILED>
  extend(token: string, leaseMs: number): Promise<boolean | typeof FAILED>
  /** Gives up the right, and leaves the batch. */
  release(token: string): Promise<unknown>
  /** The batch of that id is flushed, and forgotten; so is the right. */
  done(id: string, token: string): Promise<unknown>
}
