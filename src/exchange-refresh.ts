import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { mayRefresh } from './exchange-fleet.ts'
import { auditHit } from './exchange-audit.ts'
import { backgroundRequest, isForBackground } from './exchange-background.ts'
import { replay } from './exchange-replay.ts'
import type { ReplayBody } from './exchange-replay-body.ts'
import { earlyFrom, isDueEarly } from './http/early-refresh.ts'
import type { RefreshContext } from './refresh-request.ts'
import type { Cached } from './store/cached.ts'

/** Makes a fresh response the answer; on some routes that is an occasion for work in the background. */
export function replayHit(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  now: number,
): ReplayBody {
  if (exchange.policy.looksAtHits) lookAt(exchange, reply.request, cached, now)
  return replay(exchange, reply, cached, now)
}

function lookAt(exchange: Exchange, request: FastifyRequest, cached: Cached, now: number): void {
  const { earlyRefresh, audited } = exchange.policy
  if (earlyRefresh !== 0 && now >= cached.notes.earlyFrom) {
    refreshEarly(exchange, request, cached, now)
  }
  if (audited) auditHit(exchange, request, cached, now)
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
  const { cache, policy, key } = exchange
  if (policy.vary.by !== undefined || policy.vary.cookies.length > 0) return false
  if (!isForBackground(exchange, request)) return false
  const fleet = policy.fleet ? cache.fleet : undefined
  if (!cache.revalidator.accepts(key) || fleet?.isElsewhere(key)) return true
  const { strict } = policy
  const permit = fleet && ((context: RefreshContext) => mayRefresh(cache, context, strict))
  cache.revalidator.refresh(key, backgroundRequest(exchange, request), { key, replaces }, permit)
  return true
}

/** The first request that finds it stale refreshes it; those that come meanwhile need not wait. */
export function isBeingRefreshed({ cache, policy, key }: Exchange): boolean {
  if (policy.coalesce === false) return false
  return cache.collapser.join(key, cache.tiers.now(), policy.coalesce) !== undefined
}
