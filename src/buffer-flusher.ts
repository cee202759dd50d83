import { randomUUID } from 'node:crypto'

import { BufferUnconfirmedError, ClosedError } from './errors.ts'
import { MAX_TIMER_MS } from './options-reader.ts'
import { Renewal } from './renewal.ts'
import type { BufferStore, TakenBatch } from './store/buffer-store.ts'
import { FAILED } from './store/redis-guard.ts'

/** What was written since the last batch: by field. */
export interface BufferBatch {
  /** The sums of what was added. */
  readonly increments: ReadonlyMap<string, number>
  /** The last value that was set. */
  readonly values: ReadonlyMap<string, unknown>
}

export interface FlushContext {
  /**
   * Of this batch, and of no other. A batch that was not known to be flushed comes again, whole and
   * under the same id: write the id in the transaction that writes the batch, and ignore one that is
   * known.
   */
  readonly id: string
  /** Aborts when another process may begin with the same batch. */
  readonly signal: AbortSignal
}

export type Flush = (batch: BufferBatch, context: FlushContext) => unknown

export interface FlusherParts {
  readonly name: string
  readonly store: BufferStore
  readonly flush: Flush
  readonly everyMs: number
  readonly onTrouble: (error: Error) => void
}

/** What a process that dies while it flushes costs the others, in milliseconds. */
const LEASE_MS = 3000
const MAX_DELAY_MS = 60_000

type Outcome = 'empty' | 'busy' | 'flushed' | Error

/** Flushes a buffer at intervals; one of all processes at a time, one batch after the other. */
export class BufferFlusher {
  readonly #parts: FlusherParts
  #timer: NodeJS.Timeout | undefined
  #running: Promise<Outcome> | undefined
  #renewal: Renewal | undefined
  /** Flushed, and not known to be forgotten by the store. */
  #lastDone = ''
  #failures = 0
  #closed = false

  constructor(parts: FlusherParts) {
    this.#parts = parts
    this.#schedule()
  }

  /** One batch, or none. Whoever asks meanwhile gets the same. Never rejects. */
  once(): Promise<Outcome> {
    this.#running ??= this.#once().finally(() => {
      this.#running = undefined
      this.#schedule()
    })
    return this.#running
  }

  /** No more than what is under way. */
  stop(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  /** Lets go of what is under way: it may end, and comes again if it does not. */
  abandon(): void {
    this.#renewal?.interrupt(new ClosedError('a flush'))
    this.#renewal?.stop()
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    const { everyMs } = this.#parts
    const delayMs = Math.min(everyMs * 2 ** this.#failures, Math.max(MAX_DELAY_MS, everyMs))
    // No two processes in step.
    const spread = Math.min(delayMs * (0.9 + 0.2 * Math.random()), MAX_TIMER_MS)
    this.#timer = setTimeout(() => void this.once(), spread).unref()
  }

  async #once(): Promise<Outcome> {
    const { store, onTrouble } = this.#parts
    const token = randomUUID()
    const takenAt = performance.now()
    const taken = await store.take(token, LEASE_MS, randomUUID())
    if (taken === FAILED) {
      // It may have been taken all the same.
      void store.release(token)
      return new Error(store.lastError)
    }
    if (typeof taken === 'string') return taken
    if (taken.id !== this.#lastDone) {
      const error = await this.#flush(taken, token, takenAt)
      if (error !== undefined) {
        this.#failures = Math.min(this.#failures + 1, 20)
        onTrouble(error)
        await store.release(token)
        return error
      }
    }
    this.#failures = 0
    this.#lastDone = taken.id
    await store.done(taken.id, token)
    return 'flushed'
  }

  async #flush(
    { id, fields }: TakenBatch,
    token: string,
    takenAt: number,
  ): Promise<Error | undefined> {
    const { name, store, flush } = this.#parts
    const renewal = new Renewal({
      ttlMs: LEASE_MS,
      takenAt,
      extend: () => store.extend(token, LEASE_MS),
      reason: () => new BufferUnconfirmedError(name, 'another process may flush the same batch'),
    })
    this.#renewal = renewal
    try {
      await flush(batchOf(fields), { id, signal: renewal.signal })
      return undefined
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    } finally {
      renewal.stop()
      this.#renewal = undefined
    }
  }
}

function batchOf(fields: ReadonlyMap<string, string>): BufferBatch {
  const increments = new Map<string, number>()
  const values = new Map<string, unknown>()
  for (const [name, text] of fields) {
    if (name.startsWith('+')) increments.set(name.slice(1), Number(text))
    else values.set(name.slice(1), JSON.parse(text))
  }
  return { increments, values }
}
