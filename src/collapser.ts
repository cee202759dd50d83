import type { Cached } from './store/cached.ts'
import type { VariantIndex } from './stored-response.ts'

/** One computation that others wait for. */
export class Flight {
  readonly startedAt: number
  /** Each resolves the promise of one waiter, who goes on in a context of its own. */
  waiters: Set<(cached: Cached | undefined) => void> | undefined
  /** Called when the first comes to wait, to see to it that nobody waits in vain. */
  onFirstWaiter: (() => void) | undefined
  /** An invalidation came between: those who waited may wait together for the next run. */
  overtaken = false
  /** There are variants under this key: those who wait have keys of their own. */
  variants: VariantIndex | undefined
  /** The computation failed, and this stale result stands in for it. */
  rescue: Cached | undefined
  /** Found stale, to be served to those who wait while it is refreshed. */
  stale: Cached | undefined
  /** What is stored may be served meanwhile: nobody needs to wait. */
  refreshes = false
  /** Set when the computation threw, for those who share errors too. */
  failure: { error: unknown } | undefined

  /** When nobody may wait for it any longer. */
  readonly endsAt: number

  constructor(startedAt: number, maxWaitMs: number) {
    this.startedAt = startedAt
    this.endsAt = startedAt + maxWaitMs
  }

  /** Those who wait already, and those who come, look for what is stored. */
  serveStale(stale: Cached): void {
    this.stale = stale
    this.refreshes = true
    this.overtaken = true
    this.resolve(undefined)
  }

  resolve(cached: Cached | undefined): void {
    if (this.waiters === undefined) return
    for (const resolve of this.waiters) resolve(cached)
    this.waiters = undefined
  }
}

/**
 * How a computation ended: something to share (with nobody, when nobody waits), nothing that may be
 * shared (remembered for a while), or something that an invalidation overtook (which says nothing
 * about the next one).
 */
export type Outcome = Cached | 'unwaited' | 'uncacheable' | 'overtaken'

export interface CollapserOptions {
  /** Computations that others may join at the same time; beyond it nobody waits. */
  maxFlights?: number
  /** Requests that may wait for one computation. */
  maxWaiters?: number
  /** Milliseconds in which a key that proved uncacheable is not waited for. */
  hitForMissMs?: number
}

/**
 * Lets concurrent misses of one key share one computation. Nobody waits for ever, and a result that
 * may not be shared releases everybody at once: waiting in line for it would only be slower.
 */
export class Collapser {
  readonly #flights = new Map<string, Flight>()
  /** Keys whose last result could not be shared, and until when that is remembered. */
  readonly #hitForMiss = new Map<string, number>()
  readonly #maxFlights: number
  readonly #maxWaiters: number
  readonly #hitForMissMs: number

  constructor({
    maxFlights = 10_000,
    maxWaiters = 10_000,
    hitForMissMs = 2000,
  }: CollapserOptions = {}) {
    this.#maxFlights = maxFlights
    this.#maxWaiters = maxWaiters
    this.#hitForMissMs = hitForMissMs
  }

  get flights(): number {
    return this.#flights.size
  }

  /** The computation to wait for, if there is one that may still be waited for. */
  join(key: string, now: number, maxWaitMs: number): Flight | undefined {
    const flight = this.#flights.get(key)
    if (flight === undefined || (flight.waiters?.size ?? 0) >= this.#maxWaiters) return undefined
    if (now - flight.startedAt >= maxWaitMs) {
      this.#flights.delete(key)
      return undefined
    }
    return flight
  }

  /** Begins a computation that others may join; undefined when this key is better not waited for. */
  lead(key: string, now: number, maxWaitMs: number): Flight | undefined {
    if (this.#flights.has(key) || this.#isHitForMiss(key, now)) return undefined
    this.#dropAbandoned(now, this.#flights.size >= this.#maxFlights)
    if (this.#flights.size >= this.#maxFlights) return undefined
    const flight = new Flight(now, maxWaitMs)
    this.#flights.set(key, flight)
    return flight
  }

  /** Hands the result to all who wait; without one, each of them goes its own way. */
  settle(key: string, flight: Flight, outcome: Outcome, now: number): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
    if (outcome === 'uncacheable') this.#markHitForMiss(key, now)
    else if (this.#hitForMiss.size > 0) this.#hitForMiss.delete(key)
    flight.overtaken = outcome === 'overtaken'
    // The tables that a map has outgrown keep the flight until a full collection; not its request.
    flight.onFirstWaiter = undefined
    flight.resolve(typeof outcome === 'string' ? undefined : outcome)
  }

  /** Waits for a result, from the waiter's own arrival on at most `maxWaitMs`. */
  wait(flight: Flight, maxWaitMs: number): Promise<Cached | undefined> {
    return new Promise((resolve) => {
      const settle = (cached: Cached | undefined): void => {
        clearTimeout(timer)
        resolve(cached)
      }
      const timer = setTimeout(() => {
        flight.waiters?.delete(settle)
        resolve(undefined)
      }, maxWaitMs)
      const isFirst = flight.waiters === undefined
      flight.waiters ??= new Set()
      flight.waiters.add(settle)
      if (isFirst) flight.onFirstWaiter?.()
    })
  }

  /** Lets everybody go. */
  clear(): void {
    for (const flight of this.#flights.values()) flight.resolve(undefined)
    this.#flights.clear()
    this.#hitForMiss.clear()
  }

  #isHitForMiss(key: string, now: number): boolean {
    const until = this.#hitForMiss.get(key)
    if (until === undefined) return false
    // A clock that was set back must not hold a key for as long as it went back.
    if (now < until && until - now <= this.#hitForMissMs) return true
    this.#hitForMiss.delete(key)
    return false
  }

  #markHitForMiss(key: string, now: number): void {
    // Insertion order is expiry order, so the first keys are the ones to forget.
    this.#hitForMiss.delete(key)
    this.#hitForMiss.set(key, now + this.#hitForMissMs)
    for (const [oldest, until] of this.#hitForMiss) {
      if (this.#hitForMiss.size <= this.#maxFlights && until > now) break
      this.#hitForMiss.delete(oldest)
    }
  }

  /** Those of handlers that never answer. The first are the oldest; where room is needed, all count. */
  #dropAbandoned(now: number, isFull: boolean): void {
    for (const [key, flight] of this.#flights) {
      if (now >= flight.endsAt) this.#flights.delete(key)
      else if (!isFull) return
    }
  }
}
