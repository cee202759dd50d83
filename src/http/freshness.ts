import { ageCountsFrom } from './age.ts'
import { type StoredFreshness, statedLifetime } from './lifetime.ts'
import type { FieldReader } from './storability.ts'
import { statedPolicy } from './targeted-fields.ts'

export interface Freshness {
  /** Epoch milliseconds. */
  storedAt: number
  /** Epoch milliseconds; at this instant the response is stale (RFC 9111 §4.2). */
  freshUntil: number
}

export function isFresh(response: Freshness, now: number): boolean {
  return now < response.freshUntil && isClockRight(response, now)
}

const MAX_CLOCK_SKEW_MS = 60_000

/** A clock that was set back must not make a response from the future live longer than its ttl. */
function isClockRight(response: Freshness, now: number): boolean {
  return now >= response.storedAt - MAX_CLOCK_SKEW_MS
}

/** Whole seconds since it was stored, never negative: the Age field (RFC 9111 §5.1). */
export function currentAge(response: Freshness, now: number): number {
  return Math.max(0, Math.floor((now - response.storedAt) / 1000))
}

/** Whole seconds of freshness that remain: the ttl parameter of Cache-Status (RFC 9211 §2.3). */
export function remainingLifetime(response: Freshness, now: number): number {
  return Math.max(0, Math.floor((response.freshUntil - now) / 1000))
}

/** RFC 5861 §3: stale, and may answer while it is validated in the background. */
export function mayServeWhileRevalidating(response: StoredFreshness, now: number): boolean {
  return now < response.staleWhileRevalidateUntil && isClockRight(response, now)
}

/**
 * RFC 5861 §4: stale, and may answer in place of an error. Without a window of its own not even
 * while its lifetime lasts: what is asked about then is something that was invalidated.
 */
export function mayServeOnError(response: StoredFreshness, now: number): boolean {
  const { freshUntil, staleIfErrorUntil } = response
  return staleIfErrorUntil > freshUntil && now < staleIfErrorUntil && isClockRight(response, now)
}

/**
 * The lifetime that the response's own fields state (RFC 9111 §4.2.1), less the age it already has;
 * undefined when they state none.
 */
export function explicitLifetime(field: FieldReader, now: number): number | undefined {
  const stated = statedLifetime(statedPolicy(field, []), field, now)
  if (stated === undefined) return undefined
  const countsFrom = ageCountsFrom(field, { requestedAt: now, receivedAt: now })
  return Math.max(0, stated - (now - countsFrom) / 1000)
}
