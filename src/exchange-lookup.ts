import type { FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { selectVariant } from './exchange-variants.ts'
import type { Lookup } from './store/tiered-cache.ts'

/** What can be found without asking anyone; under the key of its variant, where there are variants. */
export function peek(exchange: Exchange, request: FastifyRequest, now: number): Lookup | undefined {
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
  const lookup = await tiers.lookup(exchange.key, strict)
  if (!selectVariant(exchange, request, lookup)) return lookup
  return asVariant(await tiers.lookup(exchange.key, strict))!
}

/** Nothing under a variant's key may lead to another index. */
export function asVariant(lookup: Lookup | undefined): Lookup | undefined {
  return lookup?.found?.entry.varies === undefined ? lookup : { found: undefined, state: 'none' }
}

/** What is under the key of the exchange, be it a response or the way to its variants. */
export function lookUpOnce(exchange: Exchange): Promise<Lookup> {
  const { cache, policy, key } = exchange
  return cache.tiers.lookup(key, policy.strict, isEarly(exchange))
}

/** A refresh of what is fresh still. With a lease Redis has been asked. */
function isEarly({ refresh }: Exchange): boolean {
  return refresh?.replaces !== undefined && refresh.lease === undefined
}
