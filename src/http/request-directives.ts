import { parseCacheControl } from './cache-control.ts'
import type { CacheControl } from './directives.ts'
import { type FieldValue, listMembers } from './fields.ts'
import { isFresh, mayServeWhileRevalidating } from './freshness.ts'
import type { StoredFreshness } from './lifetime.ts'

/**
 * What the client's Cache-Control leaves to do: answer with what is stored, fresh or within its
 * stale windows (`use`); validate it before (`revalidate`); ask the handler, because nothing is
 * stored (`forward`); or say 504, because the client wants no answer but a stored one.
 */
export type RequestVerdict = 'use' | 'revalidate' | 'forward' | 'gateway-timeout'

/** RFC 9111 §5.4: Pragma speaks only where Cache-Control is silent. */
export function requestDirectives(
  cacheControl: FieldValue | undefined,
  pragma: FieldValue | undefined,
): CacheControl {
  if (cacheControl !== undefined || pragma === undefined) return parseCacheControl(cacheControl)
  return listMembers(pragma).includes('no-cache')
    ? parseCacheControl('no-cache')
    : parseCacheControl(undefined)
}

/**
 * RFC 9111 §5.2.1. That the response to a request with no-store is not stored is the caller's to
 * see to; what is stored already may answer it (§5.2.1.5).
 */
export function requestVerdict(
  directives: CacheControl,
  stored: StoredFreshness | undefined,
  now: number,
): RequestVerdict {
  if (stored !== undefined && isAcceptable(directives, stored, now)) return 'use'
  if (directives.onlyIfCached) return 'gateway-timeout'
  return stored === undefined ? 'forward' : 'revalidate'
}

function isAcceptable(directives: CacheControl, stored: StoredFreshness, now: number): boolean {
  const { maxAge, minFresh } = directives
  if (directives.noCache || directives.noCacheFields.length > 0) return false
  // A client that says max-age=0 means: validate. Within the same millisecond, too.
  if (maxAge !== undefined && (maxAge === 0 || now - stored.storedAt > maxAge * 1000)) return false
  if (minFresh !== undefined && stored.freshUntil - now < minFresh * 1000) return false
  return isFresh(stored, now) || isStalenessAccepted(directives, stored, now)
}

function isStalenessAccepted(
  { maxAge, maxStale }: CacheControl,
  stored: StoredFreshness,
  now: number,
): boolean {
  // RFC 9111 §4.2.4: what forbids stale answers wins over the client.
  if (maxStale !== undefined) {
    return !stored.mustRevalidate && now - stored.freshUntil <= maxStale * 1000
  }
  // RFC 9111 §5.2.1.1: max-age alone asks for a response that is not stale.
  return maxAge === undefined && mayServeWhileRevalidating(stored, now)
}
