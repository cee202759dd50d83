/**
 * -ln of a random number is above this once in 22,000 times: who asks earlier need not draw one.
 */
const FARTHEST = 10

/**
 * XFetch (optimal probabilistic early expiration): a fresh response is refreshed before it becomes
 * stale, the more probably the nearer that is and the longer it takes to compute. `spreadMs` is the
 * computing time, by whatever factor it is to be stretched. From this instant on the draw is made.
 */
export function earlyFrom(freshUntil: number, spreadMs: number): number {
  return freshUntil - spreadMs * FARTHEST
}

/** The draw: `random` is from 0 to 1, without 1. */
export function isDueEarly(remainingMs: number, spreadMs: number, random: number): boolean {
  return remainingMs < -spreadMs * Math.log(random)
}

/** Nothing shorter can be told from nothing. */
const SHORTEST_SECONDS = 0.001

/**
 * A lifetime shortened at random, by at most that fraction: what was stored together does not become
 * stale together.
 */
export function jitteredLifetime(seconds: number, fraction: number, random: number): number {
  return Math.max(seconds * (1 - fraction * random), Math.min(seconds, SHORTEST_SECONDS))
}
