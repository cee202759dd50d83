import type { Exchange } from './exchange.ts'
import { decide, mayServeOthers } from './exchange-decide.ts'
import { release } from './exchange-store.ts'
import type { RefreshContext } from './refresh-request.ts'
import type { ResponseCache } from './response-cache.ts'
import { MAX_REFRESH_MS } from './revalidator.ts'
import type { Lookup } from './store/tiered-cache.ts'

/**
 * Whether this request, that leads a flight in its process, has to do with other processes. What a
 * client demands for itself is no run for others; without a verified log nothing of theirs is of use.
 */
export function isOfFleet({ cache, policy, flight, refresh, demands }: Exchange): boolean {
  if (!policy.fleet || cache.fleet === undefined || flight === undefined) return false
  return refresh === undefined && demands === undefined && cache.log.verified()
}

/**
 * What another process has stored, under the test of a hit at this moment; undefined when the handler
 * has to run here, for all (`exchange.lease`) or not.
 */
export async function contest(exchange: Exchange): Promise<Lookup | undefined> {
  const { cache, policy, key, arrivedAt } = exchange
  const holdMs = policy.coalesce as number
  const find = async (): Promise<Lookup | undefined> => {
    const lookup = await cache.tiers.lookup(key, policy.strict)
    return isOfUse(exchange, lookup) ? lookup : undefined
  }
  const waitMs = Math.min(holdMs, holdMs - (cache.tiers.now() - arrivedAt))
  const turn = await cache.fleet!.contest({ key, find, holdMs }, waitMs)
  // Nobody waits in line for what may not be shared.
  if (turn === 'uncacheable') release(exchange, turn)
  if (typeof turn !== 'object') return undefined
  exchange.lease = turn.lease
  return turn.found
}

/** The index of variants is: it leads to other keys. */
function isOfUse(exchange: Exchange, lookup: Lookup): boolean {
  if (lookup.found?.entry.varies !== undefined) return exchange.key === exchange.primaryKey
  return decide(exchange, lookup, exchange.cache.tiers.now()) !== 'forward'
}

/**
 * A stale response that only a request can refresh: `'elsewhere'` when another process does, what it
 * has stored when it has, and undefined when the handler has to run here.
 */
export async function contestRefresh(
  exchange: Exchange,
): Promise<Lookup | 'elsewhere' | undefined> {
  const { cache, policy, key } = exchange
  const fleet = cache.fleet!
  const turn = fleet.isElsewhere(key)
    ? 'elsewhere'
    : await fleet.refresh({
        key,
        find: () => findFresh(cache, key, policy.strict),
        holdMs: policy.coalesce as number,
      })
  if (turn === 'elsewhere') return mayServeOthers(exchange) ? turn : undefined
  if (turn === 'alone') return undefined
  exchange.lease = turn.lease
  return turn.found
}

/** Whether this process is to refresh in the background, asked before the request is made. */
export async function mayRefresh(
  cache: ResponseCache,
  context: RefreshContext,
  strict: boolean,
): Promise<boolean> {
  const { key, replaces } = context
  const find = (): Promise<Lookup | undefined> => findFresh(cache, key, strict, replaces)
  const turn = await cache.fleet!.refresh({ key, find, holdMs: MAX_REFRESH_MS })
  if (typeof turn !== 'object') return turn === 'alone'
  if (turn.lease !== undefined) context.lease = turn.lease
  return turn.lease !== undefined
}

async function findFresh(
  { tiers }: ResponseCache,
  key: string,
  strict: boolean,
  replaces?: number,
): Promise<Lookup | undefined> {
  const lookup = await tiers.lookup(key, strict, replaces !== undefined)
  if (lookup.state !== 'fresh') return undefined
  return replaces === undefined || lookup.found.entry.storedAt > replaces ? lookup : undefined
}
