import type { AuditStats } from './audit.ts'
import type { FleetState } from './fleet-flight.ts'
import type { LogState } from './invalidation/log.ts'
import type { Policy } from './policy.ts'
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

/** All of `stats()` but what is told by route, by namespace and by finding. */
export type Totals = Omit<Stats, 'routes' | 'namespaces' | 'audit'>

/** What of a route is cheap enough to be read each second. */
export type RouteFigures = Pick<
  RouteStats,
  'hits' | 'stale' | 'collapsed' | 'misses' | 'bypassed' | 'stored' | 'notStored' | 'savedMs'
> & {
  /** Seconds and counts of handler runs, for the mean. */
  missSeconds: number
  missCount: number
}

/** Those of each cache client, for other parts of this package. */
const figuresByClient = new WeakMap<object, Figures>()

/** Undefined of what is no client of this copy of the package. */
export function figuresOf(client: object): Figures | undefined {
  return figuresByClient.get(client)
}

/** `stats()`, whole and in parts: the whole copies each histogram of each route. */
export class Figures {
  readonly #cache: ResponseCache
  readonly #values: ValueCounters
  readonly #breaker: () => BreakerState | undefined

  constructor(
    client: object,
    { cache, counters }: { cache: ResponseCache; counters: ValueCounters },
    breaker: () => BreakerState | undefined,
  ) {
    figuresByClient.set(client, this)
    this.#cache = cache
    this.#values = counters
    this.#breaker = breaker
  }

  all(): Stats {
    return {
      ...this.totals(),
      routes: routeStates(this.#cache),
      namespaces: this.#values.byNamespace(),
      audit: this.audit(),
    }
  }

  audit(): AuditStats | undefined {
    return this.#cache.audit?.state()
  }

  totals(): Totals {
    const cache = this.#cache
    const total = totalStats(cache.routeStats.values())
    const { memory } = cache.tiers
    const log = cache.log.state()
    const breaker = this.#breaker()
    return {
      ...total,
      namespace: cache.namespace,
      hitRate: hitRateOf(total),
      values: this.#values.total(),
      memory: memory && { entries: memory.size, bytes: memory.bytes },
      redis: breaker && { breaker },
      failures: { ...cache.trouble.failures },
      log,
      pendingInvalidations: log.pendingInvalidations,
      stalenessBoundMs: log.stalenessBoundMs,
      flights: cache.collapser.flights,
      fleet: cache.fleet?.state(),
    }
  }

  /** By route pattern. */
  routes(): Record<string, RouteFigures> {
    const figures: Record<string, RouteFigures> = {}
    for (const [route, stats] of this.#cache.routeStats) figures[route] = routeFigures(stats)
    return figures
  }

  /** One of `stats().routes`. */
  route(pattern: string): RouteState | undefined {
    const stats = this.#cache.routeStats.get(pattern)
    return stats && { ...structuredClone(stats), coalescing: coalescingOf(this.#cache, pattern) }
  }
}

function routeFigures(stats: RouteStats): RouteFigures {
  const { miss } = stats.latency
  return {
    hits: stats.hits,
    stale: stats.stale,
    collapsed: stats.collapsed,
    misses: stats.misses,
    bypassed: stats.bypassed,
    stored: stats.stored,
    notStored: stats.notStored,
    savedMs: stats.savedMs,
    missSeconds: miss.sum,
    missCount: miss.count,
  }
}

export function hitRateOf(counted: Pick<RouteStats, 'hits' | 'collapsed' | 'misses'>): number {
  const served = counted.hits + counted.collapsed
  const asked = served + counted.misses
  return asked === 0 ? 0 : served / asked
}

function routeStates(cache: ResponseCache): Stats['routes'] {
  const states: Stats['routes'] = {}
  for (const [route, stats] of cache.routeStats) {
    states[route] = { ...structuredClone(stats), coalescing: 'off' }
  }
  for (const policy of cache.policies) {
    const state = states[policy.route]!
    state.coalescing = lesser(state.coalescing, policy)
  }
  return states
}

function coalescingOf({ policies }: ResponseCache, pattern: string): RouteState['coalescing'] {
  const own = policies.filter(({ route }) => route === pattern)
  return own.reduce<RouteState['coalescing']>(lesser, 'off')
}

/** One pattern may have several routes, told apart by constraints: the least of them is told. */
function lesser(
  known: RouteState['coalescing'],
  { coalesce, coalescing }: Policy,
): RouteState['coalescing'] {
  if (coalescing.suspended) return 'suspended'
  return coalesce !== false && known === 'off' ? 'on' : known
}
