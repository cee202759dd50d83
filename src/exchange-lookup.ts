import type { FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { selectVariant } from './exchange-variants.ts'
import type { Lookup } from './store/tiered-cache.ts'
import { type LookupTrace, lookupChannel, traced } from './tracing.ts'

/** What can be found without asking anyone; under the key of its variant, where there are variants. */
export function peek(exchange: Exchange, request: FastifyRequest, now: number): Lookup | undefined {
  if (!lookupChannel.hasSubscribers) return peekHere(exchange, request, now)
  const trace = traceOf(exchange, true)
  return traced(lookupChannel, trace, () => noted(trace, peekHere(exchange, request, now)))
}

function traceOf(
  { cache: { namespace }, policy: { route }, key }: Exchange,
  sync: boolean,
): LookupTrace {
  return { namespace, route, key, sync }
}

/** The answer to a lookup in its trace: what it says, not what was stored. */
function noted<Found extends Lookup | undefined>(trace: LookupTrace, lookup: Found): Found {
  if (lookup === undefined) return lookup
  trace.state = lookup.state
  if (lookup.found !== undefined) trace.tier = lookup.found.tier === 'redis' ? 'redis' : 'memory'
  return lookup
}

function traceAsk(exchange: Exchange, ask: () => Promise<Lookup>): Promise<Lookup> {
  if (!lookupChannel.hasSubscribers) return ask()
  const trace = traceOf(exchange, false)
  return traced(lookupChannel, trace, async () => noted(trace, await ask()))
}

function peekHere(exchange: Exchange, request: FastifyRequest, now: number): Lookup | undefined {
  const { tiers } = exchange.cache
  const { strict } = exchange.policy
  // Another process may have refreshed it early already.
  if (tiers.redis !== undefined && isEarly(exchange)) return undefined
  const lookup = tiers.peek(exchange.key, now, strict)
  if (!selectVariant(exchange, request, lookup)) return lookup
  return asVariant(tiers.peek(exchange.key, now, strict))
}

/** The same, but asking Redis where that is needed. */
export async function lookUp(exchange: Exchange, request: FastifyRequest): Promise<Lookup> {
  const { tiers } = exchange.cache
  const { strict } = exchange.policy
  const ask = (): Promise<Lookup> => traceAsk(exchange, () => tiers.lookup(exchange.key, strict))
  const lookup = await ask()
  if (!selectVariant(exchange, request, lookup)) return lookup
  return asVariant(await ask())!
}

/** Nothing under a variant's key may lead to another index. */
export function asVariant(lookup: Lookup | undefined): Lookup | undefined {
  return lookup?.found?.entry.varies === undefined ? lookup : { found: undefined, state: 'none' }
}

/** What is under the key of the exchange, be it a response or the way to its variants. */
export function lookUpOnce(exchange: Exchange): Promise<Lookup> {
  const { cache, policy, key } = exchange
  return traceAsk(exchange, () => cache.tiers.lookup(key, policy.strict, isEarly(exchange)))
}

/** A refresh of what is fresh still. With a lease Redis has been asked. */
function isEarly({ refresh }: Exchange): boolean {
  return refresh?.replaces !== undefined && refresh.lease === undefined
}
