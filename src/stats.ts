import type { AuditStats } from './audit.ts'
import type { FleetState } from './fleet-flight.ts'
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
  /** Values of the cache client, those of its namespaces included. */
  values: ValueStats
  /** Values by namespace, as `users@2/drafts`. */
  namespaces: Record<string, ValueStats>
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
  /** Of routes with `coalesce: { fleet: true }`; undefined without Redis. */
  fleet: FleetState | undefined
  /** Of the plugin option `audit`; undefined without it. */
  audit: AuditStats | undefined
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

/** Namespaces that are counted by themselves; the rest share one count, `*`. */
const MAX_COUNTED = 1000

/** Counts values by namespace; `''` is the client itself. */
export class ValueCounters {
  readonly #byId = new Map<string, ValueStats>()

  of(id: string): ValueStats {
    const name = this.#byId.has(id) || this.#byId.size < MAX_COUNTED ? id : '*'
    let stats = this.#byId.get(name)
    if (stats === undefined) this.#byId.set(name, (stats = { hits: 0, misses: 0, sets: 0 }))
    return stats
  }

  total(): ValueStats {
    const total = { hits: 0, misses: 0, sets: 0 }
    for (const { hits, misses, sets } of this.#byId.values()) {
      total.hits += hits
      total.misses += misses
      total.sets += sets
    }
    return total
  }

  byNamespace(): Record<string, ValueStats> {
    const named = [...this.#byId].filter(([id]) => id !== '')
    return Object.fromEntries(named.map(([id, stats]) => [id, { ...stats }]))
  }
}

export function takeStats(
  cache: ResponseCache,
  values: ValueCounters,
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
    values: values.total(),
    namespaces: values.byNamespace(),
    memory: memory && { entries: memory.size, bytes: memory.bytes },
    redis: breaker && { breaker },
    failures: { ...cache.trouble.failures },
    log,
    pendingInvalidations: log.pendingInvalidations,
    stalenessBoundMs: log.stalenessBoundMs,
    flights: cache.collapser.flights,
    fleet: cache.fleet?.state(),
    audit: cache.audit?.state(),
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
