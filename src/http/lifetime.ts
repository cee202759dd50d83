import { dateOf } from './age.ts'
import { parseHttpDate } from './dates.ts'
import type { CacheControl } from './directives.ts'
import type { FieldReader } from './storability.ts'
import type { StatedPolicy } from './targeted-fields.ts'

/** RFC 9110 §15.1, without 206: parts are not stored. */
const HEURISTIC_STATUSES: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
])

/** One day. RFC 9111 §4.2.2 sets no limit, and asks for caution. */
const MAX_HEURISTIC_SECONDS = 86_400

/** RFC 9111 §3: may be stored without saying more about caching. */
export function isHeuristicallyCacheable(status: number, directives: CacheControl): boolean {
  return HEURISTIC_STATUSES.has(status) || directives.public
}

/**
 * The freshness lifetime in seconds that the response states (RFC 9111 §4.2.1), as a shared cache
 * reads it; undefined when it states none.
 */
export function statedLifetime(
  { directives, expires }: StatedPolicy,
  field: FieldReader,
  receivedAt: number,
): number | undefined {
  // RFC 9111 §5.2.2.10: s-maxage wins in a shared cache; §5.3: either wins over Expires.
  const seconds = directives.sMaxage ?? directives.maxAge
  if (seconds !== undefined || expires === undefined) return seconds
  const expiresAt = parseHttpDate(String(expires), receivedAt)
  // RFC 9111 §5.3: an invalid date, `0` above all, is in the past.
  if (expiresAt === undefined) return 0
  return Math.max(0, (expiresAt - dateOf(field, receivedAt)) / 1000)
}

/**
 * RFC 9111 §4.2.2: a tenth of the time since it was last modified, for responses that state no
 * lifetime; undefined when there is nothing to go by.
 */
export function heuristicLifetime(
  status: number,
  directives: CacheControl,
  field: FieldReader,
  receivedAt: number,
): number | undefined {
  const value = field('last-modified')
  if (value === undefined || !isHeuristicallyCacheable(status, directives)) return undefined
  const modifiedAt = parseHttpDate(String(value), receivedAt)
  if (modifiedAt === undefined) return undefined
  const seconds = (dateOf(field, receivedAt) - modifiedAt) / 10_000
  return Math.min(Math.max(0, seconds), MAX_HEURISTIC_SECONDS)
}

/** Instants in epoch milliseconds, worked out once when a response is stored; a hit compares them. */
export interface StoredFreshness {
  /** From here its age counts: when it was received, less the age that it had (RFC 9111 §4.2.3). */
  readonly storedAt: number
  /** From here on it is stale. */
  readonly freshUntil: number
  /** Until here it may be used while it is validated in the background (RFC 5861 §3). */
  readonly staleWhileRevalidateUntil: number
  /** Until here it may be used in place of an error (RFC 5861 §4). */
  readonly staleIfErrorUntil: number
  /** Once stale it is not used before it is validated, whoever asks for it (RFC 9111 §4.2.4). */
  readonly mustRevalidate: boolean
}

/** Seconds for which a response may be used after it became stale (RFC 5861). */
export interface StaleWindows {
  readonly staleWhileRevalidate?: number | undefined
  readonly staleIfError?: number | undefined
}

/**
 * RFC 9111 §4.2.4: directives that forbid to use a stale response before it is validated, whoever
 * else permits it. An s-maxage says what proxy-revalidate says (§5.2.2.10).
 */
export function forbidsStale(directives: CacheControl): boolean {
  return (
    directives.mustRevalidate ||
    directives.proxyRevalidate ||
    directives.noCache ||
    directives.sMaxage !== undefined
  )
}

/**
 * The instants at which a response with this lifetime becomes stale and then unusable. `lifetime` is
 * undefined when the response is to be validated before each use. `windows` are the route's, for a
 * response that names none itself.
 */
export function freshnessOf(
  directives: CacheControl,
  lifetime: number | undefined,
  countsFrom: number,
  windows: StaleWindows,
): StoredFreshness {
  const seconds = directives.noCache ? 0 : (lifetime ?? 0)
  const freshUntil = countsFrom + Math.round(seconds * 1000)
  const mustRevalidate = lifetime === undefined || forbidsStale(directives)
  // The route knows nothing of a response that is stale from the start.
  const defaults = freshUntil > countsFrom ? windows : {}
  const until = (own: number | undefined, ofRoute: number | undefined): number =>
    mustRevalidate ? freshUntil : freshUntil + (own ?? ofRoute ?? 0) * 1000
  return {
    storedAt: countsFrom,
    freshUntil,
    staleWhileRevalidateUntil: until(
      directives.staleWhileRevalidate,
      defaults.staleWhileRevalidate,
    ),
    staleIfErrorUntil: until(directives.staleIfError, defaults.staleIfError),
    mustRevalidate,
  }
}
