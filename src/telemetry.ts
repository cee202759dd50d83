import type { Logger } from 'pino'

import { type Histogram, addHistogram, newHistogram, observe } from './histogram.ts'
import type { CacheStatus, ForwardReason } from './http/cache-status.ts'
import type { NotStoredReason } from './http/storability.ts'
import type { LogChange } from './invalidation/log.ts'
import { asError, loggedError, redacted } from './redaction.ts'
import type { BreakerChange } from './store/redis-guard.ts'

/** What happened on one route; every request counts exactly once among hits, collapsed and forwards. */
export interface RouteStats {
  /** Answered from a store. */
  hits: number
  /** Of those, with a stale response. */
  stale: number
  hitsByTier: { memory: number; redis: number }
  /** Answered by the handler run of a concurrent request. */
  collapsed: number
  /** The handler had to run. */
  misses: number
  missesByReason: Partial<Record<ForwardReason, number>>
  /** Requests that had to go around the cache, by reason. */
  bypassed: number
  bypassedByReason: Record<string, number>
  /** The handler confirmed what was stored (304). */
  revalidated: number
  stored: number
  notStored: number
  notStoredByReason: Partial<Record<NotStoredReason, number>>
  /** Bytes of stored bodies that were answers; 304 and HEAD have none. */
  bytesServed: number
  /** Milliseconds that the handler did not run for hits and collapsed requests, as it ran when they were stored. */
  savedMs: number
  /** Hits by the age of what they were answered with, in seconds. */
  ageAtHit: Histogram
  /**
   * Seconds from the handler's place, after everything that guards the route, until the answer is
   * known. Of hits in memory one of 16 is measured, of all others each.
   */
  latency: Record<LatencyPath, Histogram>
}

/** Where an answer came from: a tier, another request's handler run, or an own one. */
export type LatencyPath = 'memory' | 'redis' | 'collapsed' | 'miss'
export const LATENCY_PATHS: readonly LatencyPath[] = ['memory', 'redis', 'collapsed', 'miss']

/** Seconds: a minute, an hour, a day are among them. */
export const AGE_BOUNDS: readonly number[] = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400, 604_800]
/** Seconds: hits take microseconds, handlers up to many seconds. */
const LATENCY_BOUNDS: readonly number[] = [
  0.000_01, 0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
  0.1, 0.25, 0.5, 1, 2.5, 10,
]

/** Of hits in memory one of so many is measured: reading a clock twice costs more than counting. */
const SAMPLED_EVERY = 16

/** Whether the next hit of a route is one that is measured. */
export function isSampled({ hits }: RouteStats): boolean {
  return hits % SAMPLED_EVERY === 0
}

export function newRouteStats(): RouteStats {
  return {
    hits: 0,
    stale: 0,
    hitsByTier: { memory: 0, redis: 0 },
    collapsed: 0,
    misses: 0,
    missesByReason: {},
    bypassed: 0,
    bypassedByReason: {},
    revalidated: 0,
    stored: 0,
    notStored: 0,
    notStoredByReason: {},
    bytesServed: 0,
    savedMs: 0,
    ageAtHit: newHistogram(AGE_BOUNDS),
    latency: {
      memory: newHistogram(LATENCY_BOUNDS),
      redis: newHistogram(LATENCY_BOUNDS),
      collapsed: newHistogram(LATENCY_BOUNDS),
      miss: newHistogram(LATENCY_BOUNDS),
    },
  }
}

/** How long it took until what is counted now was known. */
export function countLatency(stats: RouteStats, status: CacheStatus, milliseconds: number): void {
  const path = latencyPath(status)
  if (path !== undefined) observe(stats.latency[path], milliseconds / 1000)
}

function latencyPath(status: CacheStatus): LatencyPath | undefined {
  if (status.hit) return status.tier ?? 'memory'
  if (status.collapsed) return 'collapsed'
  return status.fwd === 'bypass' || status.fwd === undefined ? undefined : 'miss'
}

/** Adds one request to the figures of its route. */
export function countStatus(stats: RouteStats, status: CacheStatus): void {
  if (status.hit) {
    stats.hits++
    if (status.ttl !== undefined && status.ttl < 0) stats.stale++
    stats.hitsByTier[status.tier ?? 'memory']++
  } else if (status.collapsed) {
    stats.collapsed++
  } else if (status.fwd === 'bypass' || status.fwd === undefined) {
    stats.bypassed++
    increment(stats.bypassedByReason, status.detail ?? 'option')
  } else {
    countForward(stats, status)
  }
}

function countForward(stats: RouteStats, status: CacheStatus): void {
  stats.misses++
  increment(stats.missesByReason, status.fwd ?? 'miss')
  if (status.fwdStatus === 304) stats.revalidated++
  if (status.stored) stats.stored++
  else if (status.detail !== undefined) {
    stats.notStored++
    increment(stats.notStoredByReason, status.detail as NotStoredReason)
  }
}

export function increment<Name extends string>(
  counters: Partial<Record<Name, number>>,
  name: Name,
  by = 1,
): void {
  counters[name] = (counters[name] ?? 0) + by
}

/** All routes together. */
export function totalStats(routes: Iterable<RouteStats>): RouteStats {
  const total = newRouteStats()
  for (const route of routes) {
    for (const name of [
      'hits',
      'stale',
      'collapsed',
      'misses',
      'bypassed',
      'revalidated',
      'stored',
      'notStored',
      'bytesServed',
      'savedMs',
    ] as const) {
      total[name] += route[name]
    }
    const groups = [
      'hitsByTier',
      'missesByReason',
      'bypassedByReason',
      'notStoredByReason',
    ] as const
    for (const group of groups) {
      for (const [name, count] of Object.entries(route[group])) {
        increment(total[group] as Record<string, number>, name, count)
      }
    }
    addHistogram(total.ageAtHit, route.ageAtHit)
    for (const path of LATENCY_PATHS) addHistogram(total.latency[path], route.latency[path])
  }
  return total
}

const LOG_INTERVAL_MS = 10_000

/** What is going on between this process and Redis has changed. */
export type Change = BreakerChange | LogChange

const CHANGES: Record<Change, { message: string; ends?: Change; lasts?: boolean }> = {
  'breaker-opened': {
    message: 'Redis does not answer in time and is not asked until a probe succeeds',
    lasts: true,
  },
  'breaker-closed': { message: 'Redis answers and is asked again', ends: 'breaker-opened' },
  'log-lost': {
    message:
      'the log of invalidations is out of reach; without it nothing stored is trusted for long',
    lasts: true,
  },
  'log-followed': { message: 'the log of invalidations is followed again', ends: 'log-lost' },
  'epoch-changed': {
    message: 'the log of invalidations began anew; everything stored so far is invalid',
  },
}

/** Trouble that was not allowed to become an error: counted, reported, logged once per interval. */
export class Trouble {
  /** Failed operations, by operation. */
  readonly failures: Record<string, number> = {}
  readonly #log: Logger
  readonly #onError: ((error: Error, context: { operation: string }) => void) | undefined
  readonly #logged = new Map<string, { at: number; since: number }>()
  /** What was logged and is not over. */
  readonly #lasting = new Set<Change>()
  readonly #changedAt = new Map<Change, number>()

  constructor(
    log: Logger,
    onError: ((error: Error, context: { operation: string }) => void) | undefined,
  ) {
    this.#log = log
    this.#onError = onError
  }

  report(operation: string, thrown: unknown): void {
    const error = asError(thrown)
    increment(this.failures, operation)
    this.#logOnce(operation, error)
    try {
      this.#onError?.(error, { operation })
    } catch (own) {
      this.#log.error({ err: loggedError(own) }, 'onError threw')
    }
  }

  /**
   * One line when a state begins and one when it ends, however often either is said: not more than
   * one pair per interval, and no end without a beginning.
   */
  change(change: Change): void {
    const { message, ends, lasts } = CHANGES[change]
    if (ends !== undefined) {
      if (this.#lasting.delete(ends)) this.#log.info({ change }, message)
      return
    }
    const now = performance.now()
    if (this.#lasting.has(change)) return
    if (now - (this.#changedAt.get(change) ?? -Infinity) < LOG_INTERVAL_MS) return
    this.#changedAt.set(change, now)
    if (lasts) this.#lasting.add(change)
    this.#log.warn({ change }, message)
  }

  /** Something the operator should know that is no failure. */
  note(message: string): void {
    this.#log.warn(redacted(message))
  }

  #logOnce(operation: string, error: Error): void {
    const now = performance.now()
    const last = this.#logged.get(operation)
    if (last !== undefined && now - last.at < LOG_INTERVAL_MS) {
      last.since++
      return
    }
    this.#logged.set(operation, { at: now, since: 0 })
    this.#log.warn(
      { operation, err: loggedError(error), suppressed: last?.since ?? 0 },
      'the cache goes on without this operation',
    )
  }
}
