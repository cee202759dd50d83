import { parseCacheControl } from './cache-control.ts'
import { type FieldValue, listMembers } from './fields.ts'

/** Why a response was not stored; the word is the metric label and the Cache-Status detail. */
export type NotStoredReason =
  | 'skipped'
  | 'status'
  | 'ttl'
  | 'set-cookie'
  | 'private'
  | 'no-store'
  | 'no-cache'
  | 'authorization'
  | 'vary'
  | 'content-encoding'
  | 'content-type'
  | 'origin'
  | 'nonce'
  | 'csrf-token'
  | 'trailer'
  | 'fields'
  | 'stream'
  | 'too-big'
  | 'too-many-tags'
  | 'error'
  | 'not-found-handler'
  | 'incomplete'
  | 'invalidated'
  | 'option-failed'
  | 'unavailable'

/** One header section, or what several make together. */
export type FieldReader = (name: string) => FieldValue | undefined

/**
 * The first sign that this answer is for one client only, or that it cannot be told when it may be
 * used again (RFC 9111 §3, and stricter). `own` is what the handler set, `final` what the client
 * gets from handler, hooks and plugins together; `keyed` are the request fields in the key.
 */
export function privateSign(
  own: FieldReader,
  final: FieldReader,
  keyed: ReadonlySet<string>,
  origin: string | undefined,
): NotStoredReason | undefined {
  if (final('set-cookie') !== undefined) return 'set-cookie'
  if (final('trailer') !== undefined) return 'trailer'
  const forbidden = forbiddingDirective(final('cache-control'))
  if (forbidden !== undefined) return forbidden
  const vary = final('vary')
  if (vary !== undefined && (!varyIsKeyed(own('vary'), keyed) || variesOnCredential(vary, keyed))) {
    return 'vary'
  }
  if (own('content-encoding') !== undefined && !keyed.has('accept-encoding')) {
    return 'content-encoding'
  }
  // An echoed Origin is an answer to that origin alone.
  if (origin === undefined || keyed.has('origin')) return undefined
  return own('access-control-allow-origin') === origin ? 'origin' : undefined
}

function forbiddingDirective(cacheControl: FieldValue | undefined): NotStoredReason | undefined {
  if (cacheControl === undefined) return undefined
  const directives = parseCacheControl(cacheControl)
  if (directives.noStore) return 'no-store'
  if (directives.private || directives.privateFields.length > 0) return 'private'
  return directives.noCache || directives.noCacheFields.length > 0 ? 'no-cache' : undefined
}

/** Whether every field that an answer varies on is in the key. */
export function varyIsKeyed(vary: FieldValue | undefined, keyed: ReadonlySet<string>): boolean {
  return vary === undefined || listMembers(vary).every((name) => keyed.has(name))
}

const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization', '*'])

/** A hook that varies on a credential says that the answers of this route depend on who asks. */
function variesOnCredential(vary: FieldValue, keyed: ReadonlySet<string>): boolean {
  return listMembers(vary).some((name) => CREDENTIALS.has(name) && !keyed.has(name))
}
