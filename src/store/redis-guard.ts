import type { Cluster, Redis } from 'ioredis'

import { Deadline, Deadlines } from './deadlines.ts'

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
  /** May say again what has been said. */
  onChange?: (change: BreakerChange) => void
  /** Nobody else uses the client: a connection whose other end seems to be gone may be made anew. */
  ownsClient?: boolean
}

export type BreakerChange = 'breaker-opened' | 'breaker-closed'

export interface Question<T> {
  run: (client: RedisClient) => Promise<T>
  done: (answer: T | typeof FAILED) => void
  deadlineMs?: number
  /** For who has something to go on with; `done` is called all the same. */
  soft?: SoftDeadline | undefined
}

/** When to go on without the answer, though it may still come. */
export interface SoftDeadline {
  milliseconds: number
  /** Called once, unless `done` is called before. */
  passed: () => void
}

class SoftWait extends Deadline {
  readonly #passed: () => void

  constructor(passed: () => void) {
    super()
    this.#passed = passed
  }

  override expire(): void {
    this.#passed()
  }
}

/** One operation on its way; what answers after the deadline was counted then, and is ignored. */
class Attempt<T> extends Deadline {
  readonly #deadlines: Deadlines
  readonly #done: (answer: T | typeof FAILED) => void
  readonly #count: (error: Error | undefined, unreachable: boolean) => void
  #ended = false

  constructor(
    deadlines: Deadlines,
    done: (answer: T | typeof FAILED) => void,
    count: (error: Error | undefined, unreachable: boolean) => void,
  ) {
    super()
    this.#deadlines = deadlines
    this.#done = done
    this.#count = count
    deadlines.add(this)
  }

  override expire(): void {
    const error = new Error(`no answer within ${this.#deadlines.milliseconds} ms`)
    this.end(FAILED, error, true)
  }

  /** False when that comes too late. */
  end(answer: T | typeof FAILED, error?: Error, unreachable = false): boolean {
    if (this.#ended) return false
    this.#ended = true
    this.#deadlines.remove(this)
    this.#count(error, unreachable)
    this.#done(answer)
    return true
  }
}

/** Without any answer for so long a connection is given up; the system waits a quarter of an hour. */
const SILENCE_MS = 5000
/** Commands that the client may keep: a server that stands still answers none of them. */
const MAX_UNANSWERED = 10_000

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
  /** Of failures in a row: when the first was, or the last answer that came too late. */
  #silentSince = 0
  #openUntil = 0
  #probing = false
  /** Commands that the client has neither answered nor given up, whatever their deadlines. */
  #unanswered = 0

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
    return new Promise((resolve) => this.ask(operation, { run, done: resolve, deadlineMs }))
  }

  /**
   * Calls `done` once, with the answer or with FAILED: within this call when Redis is not asked,
   * else in the asynchronous context of the caller. Neither throws nor rejects. A soft deadline that
   * passes is no failure: only what becomes of the operation by its own deadline counts.
   */
  ask<T>(operation: string, question: Question<T>): void {
    const { run, done, deadlineMs = this.#options.deadlineMs, soft } = question
    if (!isReachable(this.client)) {
      this.report(operation, new Error(`Redis is not connected (${this.client.status})`))
      return done(FAILED)
    }
    const isProbe = this.#openUntil !== 0
    if (isProbe && !this.#mayProbe()) return done(FAILED)
    if (this.#unanswered >= MAX_UNANSWERED) {
      this.report(operation, new Error(`${MAX_UNANSWERED} commands wait for an answer`))
      this.#probing &&= !isProbe
      return done(FAILED)
    }
    const answered = soft === undefined ? done : this.#withSoft(done, soft)
    const attempt = new Attempt(this.#deadlinesOf(deadlineMs), answered, (error, unreachable) => {
      if (error === undefined) this.#succeeded(isProbe)
      else this.#failed(operation, error, { unreachable, isProbe })
    })
    try {
      const answer = run(this.client)
      this.#unanswered++
      answer.then(
        (value) => {
          this.#unanswered--
          if (!attempt.end(value)) this.#silentSince = performance.now()
        },
        (error: unknown) => {
          this.#unanswered--
          attempt.end(FAILED, asError(error), !isReply(error))
        },
      )
    } catch (error) {
      attempt.end(FAILED, asError(error))
    }
  }

  #withSoft<T>(
    done: Question<T>['done'],
    { milliseconds, passed }: SoftDeadline,
  ): Question<T>['done'] {
    const deadlines = this.#deadlinesOf(milliseconds)
    const wait = new SoftWait(passed)
    deadlines.add(wait)
    return (answer) => {
      deadlines.remove(wait)
      done(answer)
    }
  }

  /** There are three lengths: the soft one, that of requests and that of invalidations. */
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
    if (this.#openUntil !== 0) this.#options.onChange?.('breaker-closed')
    this.#failures = 0
    this.#openUntil = 0
    this.#probing = false
  }

  #failed(
    operation: string,
    error: Error,
    { unreachable, isProbe }: { unreachable: boolean; isProbe: boolean },
  ): void {
    this.report(operation, error)
    if (unreachable) this.#listen()
    else this.#silentSince = performance.now()
    const { breaker } = this.#options
    if (breaker === false || (this.#openUntil !== 0 && !isProbe)) return
    this.#probing = false
    // A server that answers with an error costs no time; the breaker is about time.
    if (!unreachable) return isProbe ? this.#succeeded(true) : undefined
    if (isProbe || this.#failures >= breaker.failures) {
      this.#openUntil = performance.now() + breaker.resetMs
      this.#options.onChange?.('breaker-opened')
    }
  }

  #listen(): void {
    const now = performance.now()
    if (this.#failures++ === 0) this.#silentSince = now
    if (now - this.#silentSince < SILENCE_MS) return
    this.#silentSince = now
    if (this.#options.ownsClient && isReachable(this.client)) this.client.disconnect(true)
  }

  /** Trouble that is no failure of a command. */
  report(operation: string, error: Error): void {
    this.lastError = error.message
    this.#options.onTrouble(operation, error)
  }
}

/** Sending to a client that is not connected would only fill its offline queue. */
function isReachable(client: RedisClient): boolean {
  return client.status === 'ready' || client.status === 'wait'
}

/** Whether the server has said so itself. */
export function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
