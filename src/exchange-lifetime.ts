import type { FastifyReply } from 'fastify'

import type { Exchange, Fill } from './exchange.ts'
import { parseCacheControl } from './http/cache-control.ts'
import { jitteredLifetime } from './http/early-refresh.ts'
import { conditionsFor } from './http/revalidation.ts'
import { validatorsOf } from './http/conditional.ts'
import { type StoredFreshness, freshnessOf } from './http/lifetime.ts'
import { type FieldReader, type NotStoredReason } from './http/storability.ts'
import { storableResponse } from './http/storable.ts'
import type { Lifetimes } from './stored-response.ts'

export interface Life {
  readonly lifetimes: Lifetimes
  /** Fields that are not to be stored. */
  readonly withheld: readonly string[]
}

const NONE: readonly string[] = []

/** Until when an answer may be used for what, as the route or the answer itself says. */
export function lifetimesOf(
  exchange: Exchange,
  reply: FastifyReply,
  final: FieldReader,
  noted: number | undefined,
): Life | NotStoredReason {
  const fill = exchange.fill!
  const { rules } = exchange.policy.http
  const now = exchange.cache.tiers.now()
  const ttl = noted ?? fill.ttl
  if (ttl === 'headers') {
    const request = { hasAuthorization: exchange.hasAuthorization, noStore: false }
    const received = { requestedAt: fill.startedAt, receivedAt: now }
    const verdict = storableResponse(
      { status: fill.status, field: final, ...received },
      request,
      rules,
    )
    if (typeof verdict === 'string') return verdict
    return { lifetimes: kept(exchange, verdict.freshness, now), withheld: verdict.withheld }
  }
  if (ttl === undefined || ttl <= 0) return 'ttl'
  // The route's lifetime is for this cache; an s-maxage in the answer is for those further on.
  const stated = parseCacheControl(final('cache-control'))
  const directives = stated.sMaxage === undefined ? stated : { ...stated, sMaxage: undefined }
  const lifetime = spread(exchange, fill, ttl, noted !== undefined)
  const freshness = freshnessOf(directives, lifetime, now, rules)
  return { lifetimes: kept(exchange, freshness, now), withheld: NONE }
}

/** What was only confirmed has the lifetime that it had, and that was shortened before. */
function spread(
  { policy, cache }: Exchange,
  { fwdStatus }: Fill,
  ttl: number,
  isNoted: boolean,
): number {
  if (policy.ttlJitter === 0 || (fwdStatus !== undefined && !isNoted)) return ttl
  return jitteredLifetime(ttl, policy.ttlJitter, cache.random())
}

/** What has validators is kept for a while longer: the handler may confirm it. */
const MIN_KEPT_MS = 5 * 60_000
const MAX_KEPT_MS = 24 * 3_600_000

function kept({ fill }: Exchange, freshness: StoredFreshness, now: number): Lifetimes {
  const { storedAt, freshUntil, mustRevalidate } = freshness
  const { staleWhileRevalidateUntil, staleIfErrorUntil } = freshness
  let keepUntil = Math.max(freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil)
  const { set } = fill!.fields!
  if (set.some(([name]) => name === 'etag' || name === 'last-modified')) {
    const validators = validatorsOf(fill!.status, set, now)
    if (validators !== undefined && conditionsFor(validators) !== undefined) {
      const lifetime = freshUntil - storedAt
      const more = Math.min(Math.max(lifetime, MIN_KEPT_MS), MAX_KEPT_MS)
      keepUntil = Math.max(keepUntil, Math.max(freshUntil, now) + more)
    }
  }
  return {
    storedAt,
    freshUntil,
    staleWhileRevalidateUntil,
    staleIfErrorUntil,
    keepUntil,
    mustRevalidate,
    computeMs: computeTime(fill!, freshUntil, now),
  }
}

/** Undefined where it took no time that can be told. No more than the lifetime: a clock may be set. */
function computeTime({ startedAt }: Fill, freshUntil: number, now: number): number | undefined {
  const took = Math.min(now - startedAt, freshUntil - now)
  return took > 0 ? took : undefined
}
