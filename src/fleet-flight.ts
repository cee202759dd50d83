import { randomBytes } from 'node:crypto'

import { BackOff } from './back-off.ts'
import { FleetLease, leaseLength } from './fleet-lease.ts'
import { Pauses } from './pauses.ts'
import { FAILED } from './store/redis-guard.ts'
import type { LeaseState, RedisLeases } from './store/redis-lease.ts'

/** How long this process leaves a refresh to another before it asks again, in milliseconds. */
const ELSEWHERE_MS = 1000
const MAX_ELSEWHERE = 10_000

const FIRST_POLL_MS = 5
const MAX_POLL_MS = 100
/** Where many wait, each asks less often: this process asks about a thousand times in a second. */
const MAX_CROWDED_POLL_MS = 1000

export interface Contest<Found> {
  readonly key: string
  /** What is stored by now, if that will do. Must not reject. */
  readonly find: () => Promise<Found | undefined>
  /** Milliseconds for which the lease may be held. */
  readonly holdMs: number
}

/** What was found meanwhile, or the right to run for all processes. */
export type Turn<Found> =
  | { readonly found: Found; readonly lease?: undefined }
  | { readonly found?: undefined; readonly lease: FleetLease }

/** What this process has to do with others at the moment. */
export interface FleetState {
  /** Runs for all processes. */
  leases: number
  /** Keys for which it waits for another process. */
  waiting: number
}

type Claim<Found> = Turn<Found> | LeaseState

/**
 * Flights that reach over all processes of a namespace: one of them runs, under a lease in Redis, the
 * others wait until that has ended and look for what was stored. Nobody depends on it: without Redis
 * each process is for itself.
 */
export class FleetFlights {
  readonly #leases: RedisLeases
  readonly #held = new Set<FleetLease>()
  readonly #pauses = new Pauses()
  #waiting = 0
  readonly #process = randomBytes(9).toString('base64url')
  #elsewhere: BackOff | undefined
  #last = 0
  #closed = false

  constructor(leases: RedisLeases) {
    this.#leases = leases
  }

  state(): FleetState {
    return { leases: this.#held.size, waiting: this.#waiting }
  }

  /**
   * Waits for another process, at most `waitMs`, or becomes the one that others wait for.
   * `'uncacheable'`: what is made is for nobody else, so nobody waits. `'alone'`: this process is for
   * itself, because Redis is no help, the run of another has failed, or the wait is over.
   */
  async contest<Found>(
    contest: Contest<Found>,
    waitMs: number,
  ): Promise<Turn<Found> | 'uncacheable' | 'alone'> {
    const endsAt = performance.now() + waitMs
    const token = this.#newToken()
    while (!this.#closed && performance.now() < endsAt) {
      let state = await this.#claim(contest, token)
      if (state === 'held') {
        this.#waiting++
        state = await this.#untilChanged(contest.key, token, endsAt)
        this.#waiting--
      }
      if (typeof state === 'object') return state
      if (state === 'uncacheable') return state
      if (state !== 'free' && state !== 'mine') return 'alone'
      const found = await contest.find()
      if (found !== undefined) return { found }
    }
    return 'alone'
  }

  /**
   * The right to refresh. `'elsewhere'`: leave it to another process; this one does not ask again for
   * a moment. `'alone'`: Redis is no help.
   */
  async refresh<Found>(contest: Contest<Found>): Promise<Turn<Found> | 'elsewhere' | 'alone'> {
    if (this.#closed) return 'alone'
    const claim = await this.#claim(contest, this.#newToken())
    if (typeof claim === 'object') return claim
    if (claim === FAILED) return 'alone'
    this.#elsewhere ??= new BackOff({
      maxKeys: MAX_ELSEWHERE,
      firstMs: ELSEWHERE_MS,
      maxMs: ELSEWHERE_MS,
    })
    this.#elsewhere.failed(contest.key, performance.now())
    return 'elsewhere'
  }

  /** Whether another process was found to refresh this key a moment ago. */
  isElsewhere(key: string): boolean {
    return this.#elsewhere?.holds(key, performance.now()) === true
  }

  /** Sends all who wait on their way, and leaves what is held to other processes. */
  async close(): Promise<void> {
    this.#closed = true
    this.#pauses.end()
    await Promise.all(Array.from(this.#held, (lease) => lease.settle('over')))
  }

  /** One attempt. What was stored between the last look and this lease makes it needless. */
  async #claim<Found>({ key, find, holdMs }: Contest<Found>, token: string): Promise<Claim<Found>> {
    const state = await this.#leases.take(key, token, leaseLength(holdMs))
    if (state !== 'mine') {
      // It may have been taken all the same, and nobody would run under it.
      if (state === FAILED) void this.#leases.replace(key, token, {})
      return state
    }
    const lease = new FleetLease(this.#leases, { key, token, holdMs }, (ended) =>
      this.#held.delete(ended),
    )
    this.#held.add(lease)
    const found = await find()
    if (found === undefined) return { lease }
    void lease.settle('over')
    return { found }
  }

  /** `'held'` when the wait is over. */
  async #untilChanged(key: string, token: string, endsAt: number): Promise<LeaseState> {
    const startedAt = performance.now()
    for (let now = startedAt; now < endsAt; now = performance.now()) {
      await this.#pauses.pause(Math.min(this.#pollDelay(now - startedAt), endsAt - now))
      if (this.#closed) break
      const state = await this.#leases.look(key, token)
      if (state !== 'held') return state
    }
    return 'held'
  }

  /** In step with how long it has taken already, and no two in step with each other. */
  #pollDelay(waitedMs: number): number {
    const usual = Math.min(Math.max(waitedMs / 4, FIRST_POLL_MS), MAX_POLL_MS)
    const crowded = Math.min(this.#waiting, MAX_CROWDED_POLL_MS)
    return Math.max(usual, crowded) * (0.5 + Math.random())
  }

  #newToken(): string {
    return `${this.#process}:${++this.#last}`
  }
}
