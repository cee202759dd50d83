import { deltaSeconds, parseCacheControl } from './cache-control.ts'
import { parseHttpDate } from './dates.ts'
import type { FieldValue } from './fields.ts'
import type { FieldReader } from './storability.ts'

export interface Freshness {
  /** Epoch milliseconds. */
  storedAt: number
  /** Epoch milliseconds; at this instant the response is stale (RFC 9111 §4.2). */
  freshUntil: number
}

export function isFresh(response: Freshness, now: number): boolean {
  // A clock that was set back must not make a response from the future live longer than its ttl.
  return now < response.freshUntil && now >= response.storedAt - MAX_CLOCK_SKEW_MS
}

const MAX_CLOCK_SKEW_MS = 60_000

/** Whole seconds since it was stored, never negative: the Age field (RFC 9111 §5.1). */
export function currentAge(response: Freshness, now: number): number {
  return Math.max(0, Math.floor((now - response.storedAt) / 1000))
}

/** Whole seconds of freshness that remain: the ttl parameter of Cache-Status (RFC 9211 §2.3). */
export function remainingLifetime(response: Freshness, now: number): number {
  return Math.max(0, Math.floor((response.freshUntil - now) / 1000))
}

/**
 * The lifetime that the response's own fields state (RFC 9111 §4.2.1), less the age it already has;
 * undefined when they state none.
 */
export function explicitLifetime(field: FieldReader, now: number): number | undefined {
  const stated = statedLifetime(field, now)
  if (stated === undefined) return undefined
  const age = deltaSeconds(text(field('age')))
  return Math.max(0, stated - (age ?? 0))
}

function statedLifetime(field: FieldReader, now: number): number | undefined {
  const directives = parseCacheControl(field('cache-control'))
  // RFC 9111 §5.2.2.10: s-maxage wins in a shared cache.
  for (const name of ['s-maxage', 'max-age']) {
    if (directives.has(name)) return deltaSeconds(directives.get(name)) ?? 0
  }
  const expires = field('expires')
  if (expires === undefined) return undefined
  const expiresAt = parseHttpDate(text(expires)!, now)
  // RFC 9111 §5.3: an invalid date, `0` above all, is in the past.
  if (expiresAt === undefined) return 0
  const date = parseHttpDate(text(field('date')) ?? '', now)
  return Math.max(0, (expiresAt - (date ?? now)) / 1000)
}

function text(value: FieldValue | undefined): string | undefined {
  return value === undefined ? undefined : String(value).trim()
}
