import type { FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { uncoveredCredential } from './http/credentials.ts'
import type { RefreshRequest } from './revalidator.ts'

/**
 * Sees to it that a stale response is refreshed while it is served. False when only a request that
 * waits can do that: the background knows nobody's identity.
 */
export function refreshInBackground(exchange: Exchange, request: FastifyRequest): boolean {
  const { cache, policy, key } = exchange
  if (policy.vary.by !== undefined || policy.vary.cookies.length > 0) return false
  if (uncoveredCredential(request.headers, cache.credentialFields, NOTHING_KEYED) !== undefined) {
    return false
  }
  cache.revalidator.refresh(key, refreshRequest(exchange, request), { key })
  return true
}

const NOTHING_KEYED = { headers: new Set<string>(), cookies: new Set<string>() }

/** The same question without anything that is not part of the key. */
function refreshRequest(exchange: Exchange, request: FastifyRequest): RefreshRequest {
  const { policy, variants } = exchange
  const headers: RefreshRequest['headers'] = {}
  const copy = (name: string): void => {
    const value = request.headers[name]
    if (value !== undefined) headers[name] = value
  }
  for (const name of policy.keyedFields) copy(name)
  for (const name of variants?.names ?? []) copy(name)
  copy('host')
  const { originalUrl, host, protocol, raw } = request
  // Behind a trusted proxy host and protocol are made of these.
  const own = (raw.socket as { encrypted?: boolean }).encrypted ? 'https' : 'http'
  if (host !== request.headers.host || protocol !== own) FORWARDED.forEach(copy)
  return { url: originalUrl, host, protocol, remoteAddress: raw.socket.remoteAddress, headers }
}

const FORWARDED = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port']
