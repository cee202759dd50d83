import { type AuditorOptions, Auditor, loopWatcher } from './audit.ts'
import { ByteBudget } from './byte-budget.ts'
import { Collapser } from './collapser.ts'
import type { FleetFlights } from './fleet-flight.ts'
import type { QueryPredicate } from './http/query.ts'
import type { Invalidation, InvalidationLog, Receipt } from './invalidation/log.ts'
import type { InputGuard } from './input-guard.ts'
import { KeyMemo } from './key-memo.ts'
import type { Policy } from './policy.ts'
import type { ReadYourWrites } from './read-your-writes.ts'
import type { RequestCapture } from './request-capture.ts'
import type { Revalidator } from './revalidator.ts'
import type { TieredCache } from './store/tiered-cache.ts'
import { RouteWarnings } from './route-warnings.ts'
import { type RouteStats, type Trouble, newRouteStats } from './telemetry.ts'
import { invalidateChannel, traced } from './tracing.ts'
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
  /** Of streamed bodies on their way, all together. */
  maxRecordedBytes: number
  readQuery: QueryReader
  revalidator: Revalidator
  fleet: FleetFlights | undefined
  readYourWrites: ReadYourWrites | undefined
  requests: RequestCapture
  inputGuard?: InputGuard | undefined
  audit?: AuditorOptions | undefined
  /** From 0 to 1, without 1. */
  random?: () => number
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
  /** With Redis: what clients carry from their writes to their reads. */
  readonly readYourWrites: ReadYourWrites | undefined
  readonly requests: RequestCapture
  /** Where handlers are watched. */
  readonly inputGuard: InputGuard | undefined
  /** Where hits are computed once more. */
  readonly audit: Auditor | undefined
  readonly trouble: Trouble
  readonly credentialFields: readonly string[]
  readonly statusHeader: boolean
  readonly xCache: boolean
  /** Tags are told to caches on the way (RFC 9875). */
  readonly emitsGroups: boolean
  readonly maxEntryBytes: number
  /** Bodies that are recorded while they flow to clients. */
  readonly recorded: ByteBudget
  readonly readQuery: QueryReader
  readonly random: () => number
  /** By route pattern; GET and HEAD of a pattern count together. */
  readonly routeStats: Map<string, RouteStats> = new Map()
  readonly policies: Policy[] = []
  readonly warnings: RouteWarnings = new RouteWarnings()
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
    this.recorded = new ByteBudget(parts.maxRecordedBytes)
    this.readQuery = parts.readQuery
    this.revalidator = parts.revalidator
    this.fleet = parts.fleet
    this.readYourWrites = parts.readYourWrites
    this.requests = parts.requests
    this.inputGuard = parts.inputGuard
    this.audit = parts.audit && newAuditor(parts.audit, parts)
    this.tiers.redis?.acceptBodies(parts.maxEntryBytes)
    this.random = parts.random ?? (() => Math.random())
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
    this.policies.push(policy)
    this.#filters.set(policy.filterId, policy.counts)
    if (policy.settleMs > 0) this.log.rememberFor(policy.settleMs)
  }

  /** Rejects when Redis does not confirm; this process has forgotten by then anyway. */
  async invalidate(invalidation: Invalidation): Promise<Receipt> {
    if (invalidation.tags.length === 0) return { ...this.log.position, before: 0 }
    this.audit?.writes.noteInvalidation(invalidation.tags)
    if (!invalidateChannel.hasSubscribers) return this.log.invalidate(invalidation)
    const trace = { namespace: this.namespace, ...invalidation }
    return traced(invalidateChannel, trace, () => this.log.invalidate(invalidation))
  }

  async close(): Promise<void> {
    this.audit?.close()
    this.collapser.clear()
    const fleetClosed = this.fleet?.close()
    await this.revalidator.close()
    await fleetClosed
    await this.log.close()
    this.tiers.memory?.clear()
  }
}

function newAuditor(
  options: AuditorOptions,
  { tiers, revalidator, trouble }: ResponseCacheParts,
): Auditor {
  const note = (line: string): void => trouble.note(line)
  return new Auditor({ ...options, tiers, revalidator, note, isBusy: loopWatcher() })
}
