import { randomBytes } from 'node:crypto'

import { type Duration, seconds } from './durations.ts'
import {
  ClosedError,
  InvalidArgumentError,
  LockLostError,
  LockNotAcquiredError,
  RedisUnavailableError,
} from './errors.ts'
import { LockQueue } from './lock-queue.ts'
import { MAX_TIMER_MS } from './options-reader.ts'
import { Pauses } from './pauses.ts'
import { Renewal } from './renewal.ts'
import { FAILED } from './store/redis-guard.ts'
import type { RedisLocks } from './store/redis-locks.ts'
import { checkNames, checkTtl } from './value-space.ts'

export interface LockOptions {
  /**
   * After this time without renewal the lock is free, whoever had it: what a process that dies costs
   * the others. Renewed while `fn` runs. Seconds when a number; at least 100 ms.
   * @default '10s'
   */
  ttl?: Duration
  /** How long to wait for a lock that somebody else has. Seconds when a number. @default 0 */
  wait?: Duration
}

export interface LockContext {
  /** Aborts when the lock is lost, or may be: somebody else may have it soon. */
  readonly signal: AbortSignal
  /**
   * Grows with every holder of the lock. Whatever is written under the lock should refuse a number
   * below the highest it has seen: a process that stood still does not know that it has lost the lock.
   */
  readonly fencing: number
}

const OPTIONS = ['ttl', 'wait']
const DEFAULT_TTL_SECONDS = 10
const MIN_TTL_MS = 100
const MAX_NAME_LENGTH = 1024
const FIRST_POLL_MS = 10
const MAX_POLL_MS = 250
/** What work under a lock gets to end in when the cache closes; then its lock runs out. */
const CLOSE_MS = 1000

interface LockPlan {
  readonly name: string
  readonly ttlMs: number
  readonly endsAt: number
}

interface Held {
  readonly fencing: number
  readonly renewal: Renewal
}

/**
 * Locks by name: of all processes with Redis, else of this one. In one process they queue, so that
 * one of them at a time asks Redis.
 */
export class Locks {
  readonly #redis: RedisLocks | undefined
  readonly #queue = new LockQueue()
  readonly #held = new Set<Renewal>()
  readonly #runs = new Set<Promise<unknown>>()
  readonly #pauses = new Pauses()
  #lastFencing = 0
  #closed = false

  constructor(redis: RedisLocks | undefined) {
    this.#redis = redis
  }

  async withLock<T>(
    name: string,
    fn: (context: LockContext) => T | Promise<T>,
    options: LockOptions = {},
  ): Promise<T> {
    const plan = planLock(name, fn, options)
    const leave = await this.#queue.enter(name, plan.endsAt - performance.now())
    try {
      if (this.#closed) throw new ClosedError('withLock')
      if (leave === undefined) throw new LockNotAcquiredError(name)
      return await this.#hold(plan, fn)
    } finally {
      leave?.()
    }
  }

  /** Interrupts what runs, and waits a moment for its end. */
  async close(): Promise<void> {
    this.#closed = true
    this.#queue.close()
    this.#pauses.end()
    for (const renewal of this.#held) renewal.interrupt(new ClosedError('withLock'))
    let timer: NodeJS.Timeout | undefined
    const bound = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))
    await Promise.race([Promise.allSettled(this.#runs), bound])
    clearTimeout(timer)
    // Not released: the work goes on. The locks run out.
    for (const renewal of this.#held) renewal.stop()
  }

  async #hold<T>(plan: LockPlan, fn: (context: LockContext) => T | Promise<T>): Promise<T> {
    const token = randomBytes(16).toString('base64url')
    const { fencing, renewal } = await this.#acquire(plan, token)
    this.#held.add(renewal)
    const run = this.#run(plan.name, renewal, () => {
      if (this.#closed) throw new ClosedError('withLock')
      return fn({ signal: renewal.signal, fencing })
    })
    const released = this.#releaseAfter(run, { name: plan.name, token, renewal })
    this.#runs.add(released)
    try {
      return await released
    } finally {
      this.#runs.delete(released)
    }
  }

  async #run<T>(name: string, renewal: Renewal, fn: () => T | Promise<T>): Promise<T> {
    const value = await fn()
    if (renewal.isLost) throw new LockLostError(name, value)
    return value
  }

  async #releaseAfter<T>(
    run: Promise<T>,
    { name, token, renewal }: { name: string; token: string; renewal: Renewal },
  ): Promise<T> {
    try {
      return await run
    } finally {
      this.#held.delete(renewal)
      renewal.stop()
      await this.#redis?.release(name, token)
    }
  }

  async #acquire({ name, ttlMs, endsAt }: LockPlan, token: string): Promise<Held> {
    const redis = this.#redis
    const reason = (): Error => new LockLostError(name)
    if (redis === undefined) {
      this.#lastFencing = Math.max(this.#lastFencing + 1, Date.now())
      const renewal = new Renewal({ ttlMs, takenAt: 0, extend: undefined, reason })
      return { fencing: this.#lastFencing, renewal }
    }
    for (let delayMs = FIRST_POLL_MS; ; delayMs = Math.min(delayMs * 1.5, MAX_POLL_MS)) {
      const takenAt = performance.now()
      const answer = await redis.take(name, token, ttlMs)
      if (answer !== FAILED && answer.fencing !== undefined) {
        const extend = (): Promise<boolean | typeof FAILED> => redis.extend(name, token, ttlMs)
        return { fencing: answer.fencing, renewal: new Renewal({ ttlMs, takenAt, extend, reason }) }
      }
      const leftMs = endsAt - performance.now()
      if (leftMs <= 0 || this.#closed) {
        // What did not answer may have been done all the same, and nobody would work under it.
        if (answer === FAILED) void redis.release(name, token)
        if (this.#closed) throw new ClosedError('withLock')
        if (answer === FAILED) throw new RedisUnavailableError('withLock', redis.lastError)
        throw new LockNotAcquiredError(name)
      }
      const heldForMs = answer === FAILED ? Infinity : Math.max(answer.heldForMs, 0) + 1
      await this.#pauses.pause(Math.min(delayMs * (0.5 + Math.random()), leftMs, heldForMs))
    }
  }
}

function planLock(name: string, fn: unknown, options: LockOptions): LockPlan {
  if (typeof name !== 'string' || name === '' || !name.isWellFormed()) {
    throw new InvalidArgumentError('the name of a lock must be a non-empty, well-formed string')
  }
  if (name.length > MAX_NAME_LENGTH) {
    throw new InvalidArgumentError(`the name of a lock may have ${MAX_NAME_LENGTH} characters`)
  }
  const where = `the lock '${name}'`
  if (typeof fn !== 'function') throw new InvalidArgumentError(`${where} needs a function to run`)
  checkNames(where, options, OPTIONS)
  const ttlMs = checkTtl(where, options.ttl ?? DEFAULT_TTL_SECONDS) * 1000
  if (ttlMs < MIN_TTL_MS) {
    throw new InvalidArgumentError(`the ttl of ${where} must be at least ${MIN_TTL_MS} ms`)
  }
  // A longer timer would end at once.
  if (ttlMs > MAX_TIMER_MS) {
    throw new InvalidArgumentError(`the ttl of ${where} must be at most ${MAX_TIMER_MS} ms`)
  }
  const wait = options.wait ?? 0
  const waitMs = wait === 0 || seconds(wait) === 0 ? 0 : checkTtl(where, wait, 'wait') * 1000
  return { name, ttlMs, endsAt: performance.now() + Math.min(waitMs, MAX_TIMER_MS) }
}
