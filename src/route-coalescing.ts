import type { RouteStats } from './telemetry.ts'

/** What one outcome weighs against all before it: the last dozen or so decide. */
const WEIGHT = 1 / 8
const SUSPEND_ABOVE = 0.9
const RESUME_BELOW = 0.75
/** How often a run is offered to others all the same. */
const PROBE_MS = 5000

/**
 * Whether it is worth waiting for another's run on a route: where nearly nothing that its handler
 * answers may be shared, everybody only waits to run it later. Estimates the share of requests that
 * end in such an answer: one number, moved by each outcome, so that old ones fade.
 */
export class RouteCoalescing {
  readonly #stats: RouteStats
  #uncacheable = 0
  /** Requests that had been answered by what is stored or shared when the estimate was last moved. */
  #served = 0
  #probeAt = 0
  #suspended = false

  /** @param stats Of the route: each request answered by what is stored or shared counts for it. */
  constructor(stats: RouteStats) {
    this.#stats = stats
  }

  get suspended(): boolean {
    return this.#suspended
  }

  /** Whether a run is to be offered to those who come while it is under way. */
  offers(now: number): boolean {
    // A clock that was set back is no reason to wait.
    return !this.#suspended || now >= this.#probeAt || now < this.#probeAt - PROBE_MS
  }

  /** One was offered. */
  offered(now: number): void {
    this.#probeAt = now + PROBE_MS
  }

  /** A run has ended, in something that others may have or not. */
  ended(isCacheable: boolean): void {
    const { hits, collapsed } = this.#stats
    const served = hits + collapsed
    this.#uncacheable *= (1 - WEIGHT) ** (served - this.#served + 1)
    this.#served = served
    if (!isCacheable) this.#uncacheable += WEIGHT
    this.#suspended = this.#uncacheable > (this.#suspended ? RESUME_BELOW : SUSPEND_ABOVE)
  }
}
