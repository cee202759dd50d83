import type { LogState } from './invalidation/log.ts'
import type { ResponseCache } from './response-cache.ts'
import type { BreakerState } from './store/redis-guard.ts'
import { type RouteStats, totalStats } from './telemetry.ts'

/** What `app.cache.stats()` returns: a snapshot, counted in this process since its start. */
export interface Stats extends RouteStats {
  namespace: string
  /** Share of cacheable requests that did not need a handler run of their own, 0 to 1. */
  hitRate: number
  /** By route pattern. */
  routes: Record<string, RouteState>
  /** Values of the cache client. */
  values: ValueStats
  memory: { entries: number; bytes: number } | undefined
  redis: { breaker: BreakerState } | undefined
  /** Operations on Redis that failed or came too late, and other trouble, by operation. */
  failures: Record<string, number>
  log: LogState
  /** Invalidations that Redis has not confirmed yet. */
  pendingInvalidations: number
  /** The longest an `eventual` answer can be behind an invalidation, in milliseconds. */
  stalenessBoundMs: number
  /** Handler runs and factories that others may be waiting for. */
  flights: number
}

export interface RouteState extends RouteStats {
  /**
   * `'suspended'`: nearly nothing of what the handler answers may be shared, so that nobody waits for
   * another's run, but for a probe now and then. `'off'`: `coalesce: false`.
   */
  coalescing: 'on' | 'suspended' | 'off'
}

export interface ValueStats {
  hits: number
  misses: number
  sets: number
}

export function takeStats(
  cache: ResponseCache,
  values: ValueStats,
  breaker: BreakerState | undefined,
): Stats {
  const total = totalStats(cache.routeStats.values())
  const { memory } = cache.tiers
  const log = cache.log.state()
  const served = total.hits + total.collapsed
  const asked = served + total.misses
  return {
    ...total,
    namespace: cache.namespace,
    hitRate: asked === 0 ? 0 : served / asked,
    routes: routeStates(cache),
    values: { ...values },
    memory: memory && { entries: memory.size, bytes: memory.bytes },
    redis: breaker && { breaker },
    failures: { ...cache.trouble.failures },
    log,
    pendingInvalidations: log.pendingInvalidations,
    stalenessBoundMs: log.stalenessBoundMs,
    flights: cache.collapser.flights,
  }
}

/** One pattern may have several routes, told apart by constraints: the least of them is told. */
function routeStates(cache: ResponseCache): Stats['routes'] {
  const states: Stats['routes'] = {}
  for (const [route, stats] of cache.routeStats) {
    states[route] = { ...structuredClone(stats), coalescing: 'off' }
  }
  for (const { route, coalesce, coalescing } of cache.policies) {
    const state = states[route]!
    if (coalescing.suspended) state.coalescing = 'suspended'
    else if (coalesce !== false && state.coalescing === 'off') state.coalescing = 'on'
  }
  return states
}
