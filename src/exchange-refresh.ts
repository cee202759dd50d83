import type { FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { mayRefresh } from './exchange-fleet.ts'
import { uncoveredCredential } from './http/credentials.ts'
import { type RefreshContext, refreshRequestOf } from './refresh-request.ts'

/**
 * Sees to it that a stale response is refreshed while it is served. False when only a request that
 * waits can do that: the background knows nobody's identity.
 */
export function refreshInBackground(exchange: Exchange, request: FastifyRequest): boolean {
  const { cache, policy, key, variants } = exchange
  if (policy.vary.by !== undefined || policy.vary.cookies.length > 0) return false
  if (uncoveredCredential(request.headers, cache.credentialFields, NOTHING_KEYED) !== undefined) {
    return false
  }
  const fleet = policy.fleet ? cache.fleet : undefined
  if (!cache.revalidator.accepts(key) || fleet?.isElsewhere(key)) return true
  // The same question without anything that is not part of the key.
  const headers = new Set([...policy.keyedFields, ...(variants?.names ?? [])])
  const { originalUrl, host, protocol, ips, raw } = request
  // As they came: a schema has made something else of them, and will again.
  const fields = exchange.sentFields ?? raw.headers
  const source = refreshRequestOf(
    { originalUrl, host, protocol, ips, raw: { headers: fields, socket: raw.socket } },
    { headers, cookies: NO_NAMES },
  )
  const { strict } = policy
  const permit = fleet && ((context: RefreshContext) => mayRefresh(cache, context, strict))
  cache.revalidator.refresh(key, source, { key }, permit)
  return true
}

const NO_NAMES: ReadonlySet<string> = new Set()
const NOTHING_KEYED = { headers: NO_NAMES, cookies: NO_NAMES }
