import type { Cluster, Redis } from 'ioredis'

import { type Deadline, Deadlines } from './deadlines.ts'

export type RedisClient = Redis | Cluster

/** What an operation that failed, or came too late, returns instead of a value. */
export const FAILED: unique symbol = Symbol('failed')

export interface BreakerOptions {
  /** Timeouts or lost connections in a row that open the breaker. */
  failures: number
  /** Milliseconds until one operation is let through again as a probe. */
  resetMs: number
}

export interface GuardOptions {
  deadlineMs: number
  breaker: BreakerOptions | false
  onTrouble: (operation: string, error: Error) => void
}

export type BreakerState = 'closed' | 'open' | 'half-open'

/**
 * The one place where trouble with Redis becomes a miss. Nothing waits longer than the deadline;
 * what answers later is ignored; after a few timeouts nothing waits at all until a probe succeeds.
 */
export class RedisGuard {
  readonly client: RedisClient
  /** What went wrong last, for messages. */
  lastError = 'no answer yet'
  readonly #options: GuardOptions
  readonly #deadlines = new Map<number, Deadlines>()
  #failures = 0
  #openUntil = 0
  #probing = false

  constructor(client: RedisClient, options: GuardOptions) {
    this.client = client
    this.#options = options
  }

  get state(): BreakerState {
    if (this.#openUntil === 0) return 'closed'
    return performance.now() < this.#openUntil ? 'open' : 'half-open'
  }

  /** Resolves with the answer, or with FAILED. Never rejects. */
  attempt<T>(
    operation: string,
    run: (client: RedisClient) => Promise<T>,
    deadlineMs: number = this.#options.deadlineMs,
  ): Promise<T | typeof FAILED> {
    if (!isReachable(this.client)) {
      this.#report(operation, new Error(`Redis is not connected (${this.client.status})`))
      return Promise.resolve(FAILED)
    }
    const isProbe = this.#openUntil !== 0
    if (isProbe && !this.#mayProbe()) return Promise.resolve(FAILED)
    return new Promise((resolve) => {
      // What answers after the deadline was counted then, and says nothing about now.
      const settle = (value: T | typeof FAILED, error?: Error, unreachable = false): void => {
        if (deadline.expire === undefined) return
        deadline.expire = undefined
        if (error === undefined) this.#succeeded(isProbe)
        else this.#failed(operation, error, { unreachable, isProbe })
        resolve(value)
      }
      const deadline: Deadline = this.#deadlinesOf(deadlineMs).add(() =>
        settle(FAILED, new Error(`no answer within ${deadlineMs} ms`), true),
      )
      try {
        run(this.client).then(
          (value) => settle(value),
          (error: unknown) => settle(FAILED, asError(error), !isReply(error)),
        )
      } catch (error) {
        settle(FAILED, asError(error))
      }
    })
  }

  /** There are two lengths: that of requests and that of invalidations. */
  #deadlinesOf(milliseconds: number): Deadlines {
    let deadlines = this.#deadlines.get(milliseconds)
    if (deadlines === undefined) {
      this.#deadlines.set(milliseconds, (deadlines = new Deadlines(milliseconds)))
    }
    return deadlines
  }

  #mayProbe(): boolean {
    if (this.#probing || performance.now() < this.#openUntil) return false
    this.#probing = true
    return true
  }

  /** Once the breaker is open, only a probe decides; what was asked before is out of date. */
  #succeeded(isProbe: boolean): void {
    if (this.#openUntil !== 0 && !isProbe) return
    this.#failures = 0
    this.#openUntil = 0
    this.#probing = false
  }

  #failed(
    operation: string,
    error: Error,
    { unreachable, isProbe }: { unreachable: boolean; isProbe: boolean },
  ): void {
    this.#report(operation, error)
    const { breaker } = this.#options
    if (breaker === false || (this.#openUntil !== 0 && !isProbe)) return
    this.#probing = false
    // A server that answers with an error costs no time; the breaker is about time.
    if (!unreachable) return isProbe ? this.#succeeded(true) : undefined
    this.#failures++
    if (isProbe || this.#failures >= breaker.failures) {
      this.#openUntil = performance.now() + breaker.resetMs
    }
  }

  #report(operation: string, error: Error): void {
    this.lastError = error.message
    this.#options.onTrouble(operation, error)
  }
}

/** Sending to a client that is not connected would only fill its offline queue. */
function isReachable(client: RedisClient): boolean {
  return client.status === 'ready' || client.status === 'wait'
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError'
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
