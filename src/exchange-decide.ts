import type { FastifyRequest } from 'fastify'

import type { Flight } from './collapser.ts'
import type { Exchange } from './exchange.ts'
import { isInWindow } from './http/freshness.ts'
import { requestDirectives, requestVerdict } from './http/request-directives.ts'
import type { RefreshContext } from './refresh-request.ts'
import type { Cached } from './store/cached.ts'
import type { Lookup } from './store/tiered-cache.ts'
import type { StoredEntry } from './stored-response.ts'

/**
 * What is to be done with what a lookup found: answer with it; answer with it although it is stale,
 * and refresh it; run the handler; or say that there is nothing.
 */
export type Action = 'hit' | 'stale' | 'forward' | 'only-if-cached'

/** The client's own wishes, where the route honours them. */
export function readDemands(exchange: Exchange, { headers }: FastifyRequest): void {
  if (!exchange.policy.http.requestDirectives) return
  if (headers['cache-control'] === undefined && headers.pragma === undefined) return
  exchange.demands = requestDirectives(headers['cache-control'], headers.pragma)
}

/** The one switch. Notes what a handler may still confirm, and why it has to run. */
export function decide(exchange: Exchange, lookup: Lookup, now: number): Action {
  const { found, state } = lookup
  if (found === undefined) {
    if (state === 'gone') exchange.fwd = 'stale'
    return exchange.demands?.onlyIfCached ? 'only-if-cached' : 'forward'
  }
  const action = actionOn(exchange, found.entry, state, now)
  if (action === 'hit') {
    if (exchange.refresh !== undefined) exchange.refresh.stored = true
    return action
  }
  exchange.stale = found
  exchange.fwd = state === 'fresh' ? 'request' : 'stale'
  return action
}

function actionOn(
  { demands, refresh, cache }: Exchange,
  entry: StoredEntry,
  state: Lookup['state'],
  now: number,
): Action {
  // The background refresh is there to run the handler, unless another has been faster.
  if (refresh !== undefined) {
    return state === 'fresh' && !isReplacedBy(refresh, entry) ? 'hit' : 'forward'
  }
  const inWindow = state === 'stale' && isInWindow(entry, now)
  if (demands === undefined) return state === 'fresh' ? 'hit' : inWindow ? 'stale' : 'forward'
  const verdict = requestVerdict(demands, offered(cache, entry, state, { inWindow, now }), now)
  if (verdict === 'gateway-timeout') return 'only-if-cached'
  if (verdict !== 'use') return 'forward'
  return inWindow ? 'stale' : 'hit'
}

/** Fresh, and what an early refresh is there to replace. */
export function isToBeReplaced({ refresh }: Exchange, { entry }: Cached): boolean {
  return refresh !== undefined && isReplacedBy(refresh, entry)
}

function isReplacedBy({ replaces }: RefreshContext, { storedAt }: StoredEntry): boolean {
  return replaces !== undefined && storedAt <= replaces
}

/** What a client may choose to take. A soft invalidation makes stale what its lifetime calls fresh. */
function offered(
  { log }: Exchange['cache'],
  entry: StoredEntry,
  state: Lookup['state'],
  { inWindow, now }: { inWindow: boolean; now: number },
): StoredEntry | undefined {
  if (state === 'fresh') return entry
  if (state !== 'stale') return undefined
  // It leaves nothing but the windows.
  if (!log.allows(entry)) {
    return inWindow ? { ...entry, freshUntil: Math.min(entry.freshUntil, now) } : undefined
  }
  return inWindow || !entry.mustRevalidate ? entry : undefined
}

/** While this request has the handler run, others may have what is stored. */
export function mayServeOthers({ stale, cache: { tiers } }: Exchange): boolean {
  if (stale === undefined) return false
  const now = tiers.now()
  return tiers.stateOf(stale, now) === 'stale' && isInWindow(stale.entry, now)
}

/** Whether what another request has found in a store is what this client, or refresh, asks for. */
export function isAsked(exchange: Exchange, cached: Cached): boolean {
  const { demands, cache } = exchange
  if (cached.tier === 'handler') return true
  if (demands === undefined) return !isToBeReplaced(exchange, cached)
  return decide(exchange, { found: cached, state: 'fresh' }, cache.tiers.now()) === 'hit'
}

/**
 * Nothing that this result depends on was invalidated between the start of the other run and the
 * arrival of this request. Without a verified log only runs that began within the lease are shared.
 */
export async function mayShare(
  exchange: Exchange,
  cached: Cached,
  flight: Flight,
): Promise<boolean> {
  const { tiers, log } = exchange.cache
  if (exchange.policy.strict && !(await log.confirm())) return false
  if (!tiers.usable(cached, tiers.now()) || !isAsked(exchange, cached)) return false
  // A handler that had run for this request could have read what has settled by then.
  const { epoch, tags } = cached.entry
  if (cached.settles && log.allows({ epoch, tags, seq: exchange.settledSeq })) return false
  if (log.verified()) return true
  return exchange.arrivedAt - flight.startedAt <= log.state().stalenessBoundMs
}

/**
 * An invalidation made the other's result useless, for one or for all: the next run may be shared
 * again, as long as the wait is within its bound. An uncacheable one is no reason to wait twice.
 */
export function mayWaitAgain(
  exchange: Exchange,
  cached: Cached | undefined,
  flight: Flight,
): boolean {
  const { cache, policy, arrivedAt } = exchange
  if (cached === undefined ? !flight.overtaken : !isAsked(exchange, cached)) return false
  return cache.tiers.now() - arrivedAt < (policy.coalesce as number)
}

/** What the run that a request waited for has found: it is put to the test anew for this request. */
export async function staleOf(
  { cache: { tiers, log }, policy }: Exchange,
  { stale }: Flight,
): Promise<Lookup | undefined> {
  if (stale === undefined || (policy.strict && !(await log.confirm())) || !log.verified()) {
    return undefined
  }
  const state = tiers.stateOf(stale, tiers.now())
  return state && { found: stale, state }
}
