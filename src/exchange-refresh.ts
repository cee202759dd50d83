import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { mayRefresh } from './exchange-fleet.ts'
import { type ReplayBody, replay } from './exchange-replay.ts'
import { uncoveredCredential } from './http/credentials.ts'
import { earlyFrom, isDueEarly } from './http/early-refresh.ts'
import { type RefreshContext, refreshRequestOf } from './refresh-request.ts'
import type { Cached } from './store/cached.ts'

/** Makes a fresh response the answer, and sees to it that it is refreshed where that is due early. */
export function replayHit(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  now: number,
): ReplayBody {
  if (exchange.policy.earlyRefresh !== 0 && now >= cached.notes.earlyFrom) {
    refreshEarly(exchange, reply.request, cached, now)
  }
  return replay(exchange, reply, cached, now)
}

function refreshEarly(
  exchange: Exchange,
  request: FastifyRequest,
  { entry, notes }: Cached,
  now: number,
): void {
  const { policy, cache } = exchange
  const { freshUntil, storedAt, computeMs = 0 } = entry
  const spreadMs = computeMs * policy.earlyRefresh
  if (notes.earlyFrom === 0) notes.earlyFrom = earlyFrom(freshUntil, spreadMs)
  // HEAD has nothing computed; a refresh is none of a refresh.
  if (now < notes.earlyFrom || request.method === 'HEAD' || exchange.refresh !== undefined) return
  if (!isDueEarly(freshUntil - now, spreadMs, cache.random())) return
  refreshInBackground(exchange, request, storedAt)
}

/**
 * Sees to it that a stale response is refreshed while it is served. False when only a request that
 * waits can do that: the background knows nobody's identity. `replaces` says when what is to be
 * refreshed was stored, if it is fresh.
 */
export function refreshInBackground(
  exchange: Exchange,
  request: FastifyRequest,
  replaces?: number,
): boolean {
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
  cache.revalidator.refresh(key, source, { key, replaces }, permit)
  return true
}

const NO_NAMES: ReadonlySet<string> = new Set()
const NOTHING_KEYED = { headers: NO_NAMES, cookies: NO_NAMES }

/** The first request that finds it stale refreshes it; those that come meanwhile need not wait. */
export function isBeingRefreshed({ cache, policy, key }: Exchange): boolean {
  if (policy.coalesce === false) return false
  return cache.collapser.join(key, cache.tiers.now(), policy.coalesce) !== undefined
}
