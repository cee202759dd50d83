import { Collapser } from './collapser.ts'
import type { FleetFlights } from './fleet-flight.ts'
import type { QueryPredicate } from './http/query.ts'
import type { Invalidation, InvalidationLog, Receipt } from './invalidation/log.ts'
import { KeyMemo } from './key-memo.ts'
import type { Policy } from './policy.ts'
import type { Revalidator } from './revalidator.ts'
import type { TieredCache } from './store/tiered-cache.ts'
import { type RouteStats, type Trouble, newRouteStats } from './telemetry.ts'
import type { QueryReader } from './url-tags.ts'

export interface ResponseCacheParts {
  namespace: string
  tiers: TieredCache
  trouble: Trouble
  credentialFields: readonly string[]
  statusHeader: boolean
  xCache: boolean
  emitsGroups: boolean
  maxEntryBytes: number
  readQuery: QueryReader
  revalidator: Revalidator
  fleet: FleetFlights | undefined
}

/** Everything that the routes and the client of one registration share. */
export class ResponseCache {
  readonly namespace: string
  readonly tiers: TieredCache
  readonly collapser: Collapser = new Collapser()
  readonly memo: KeyMemo = new KeyMemo()
  readonly revalidator: Revalidator
  /** With Redis: flights of all processes, for routes that ask for them. */
  readonly fleet: FleetFlights | undefined
  readonly trouble: Trouble
  readonly credentialFields: readonly string[]
  readonly statusHeader: boolean
  readonly xCache: boolean
  /** Tags are told to caches on the way (RFC 9875). */
  readonly emitsGroups: boolean
  readonly maxEntryBytes: number
  readonly readQuery: QueryReader
  /** By route pattern; GET and HEAD of a pattern count together. */
  readonly routeStats: Map<string, RouteStats> = new Map()
  readonly #filters = new Map<string, QueryPredicate | undefined>()

  constructor(parts: ResponseCacheParts) {
    this.namespace = parts.namespace
    this.tiers = parts.tiers
    this.trouble = parts.trouble
    this.credentialFields = parts.credentialFields
    this.statusHeader = parts.statusHeader
    this.xCache = parts.xCache
    this.emitsGroups = parts.emitsGroups
    this.maxEntryBytes = parts.maxEntryBytes
    this.readQuery = parts.readQuery
    this.revalidator = parts.revalidator
    this.fleet = parts.fleet
    this.tiers.redis?.acceptBodies(parts.maxEntryBytes)
  }

  get log(): InvalidationLog {
    return this.tiers.log
  }

  /** The distinct ways in which routes read a query into the key. */
  get queryFilters(): Iterable<[id: string, counts: QueryPredicate | undefined]> {
    return this.#filters
  }

  statsOf(route: string): RouteStats {
    let stats = this.routeStats.get(route)
    if (stats === undefined) this.routeStats.set(route, (stats = newRouteStats()))
    return stats
  }

  adopt(policy: Policy): void {
    this.tiers.redis?.acceptBodies(policy.maxBytes)
    this.#filters.set(policy.filterId, policy.counts)
  }

  /** Rejects when Redis does not confirm; this process has forgotten by then anyway. */
  async invalidate(invalidation: Invalidation): Promise<Receipt> {
    if (invalidation.tags.length === 0) return { ...this.log.position, before: 0 }
    return this.log.invalidate(invalidation)
  }

  async close(): Promise<void> {
    this.collapser.clear()
    const fleetClosed = this.fleet?.close()
    await this.revalidator.close()
    await fleetClosed
    await this.log.close()
    this.tiers.memory?.clear()
  }
}
