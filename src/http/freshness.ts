import type { StoredFreshness } from './lifetime.ts'

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

/** Whole seconds of freshness that remain, negative once stale: the ttl of Cache-Status (RFC 9211 §2.4). */
export function remainingLifetime(response: Freshness, now: number): number {
  return Math.floor((response.freshUntil - now) / 1000)
}

/** RFC 5861 §3: stale, and may answer while it is validated in the background. */
export function mayServeWhileRevalidating(response: StoredFreshness, now: number): boolean {
  return now < response.staleWhileRevalidateUntil && isClockRight(response, now)
}

/** RFC 5861 §3. A response without a window has none after a soft invalidation either. */
export function isInWindow(response: StoredFreshness, now: number): boolean {
  const { freshUntil, staleWhileRevalidateUntil } = response
  return (
    now < staleWhileRevalidateUntil &&
    staleWhileRevalidateUntil > freshUntil &&
    !response.mustRevalidate
  )
}

/**
 * RFC 5861 §4: stale, and may answer in place of an error. Without a window of its own not even
 * while its lifetime lasts: what is asked about then is something that was invalidated.
 */
export function mayServeOnError(response: StoredFreshness, now: number): boolean {
  const { freshUntil, staleIfErrorUntil } = response
  return staleIfErrorUntil > freshUntil && now < staleIfErrorUntil && isClockRight(response, now)
}
