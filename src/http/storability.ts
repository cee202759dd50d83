import { parseCacheControl } from './cache-control.ts'
import { type FieldValue, listMembers, sameField } from './fields.ts'

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
  | 'query'
  | 'input'
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
  | 'too-many-variants'
  | 'error'
  | 'not-found-handler'
  | 'incomplete'
  | 'invalidated'
  | 'settling'
  | 'option-failed'
  | 'unavailable'

/** One header section, or what several make together. */
export type FieldReader = (name: string) => FieldValue | undefined

/** What an answer shows of itself. */
export interface Signs {
  /** What the handler set. */
  readonly own: FieldReader
  /** What the client gets from handler, hooks and plugins together. */
  readonly final: FieldReader
  /** The request fields that the route keeps in the key. */
  readonly keyed: ReadonlySet<string>
  /** Those that select the answer because it varies on them. */
  readonly nominated: readonly string[]
  /** Of the request. */
  readonly origin: string | undefined
}

/**
 * The first sign that this answer is for one client only, or that it cannot be told when it may be
 * used again (RFC 9111 §3, and stricter). `declared` is for a route whose responses say themselves
 * what may be stored: there, Cache-Control is read elsewhere.
 */
export function privateSign(
  { own, final, keyed, nominated, origin }: Signs,
  declared?: { readonly storesCookies: boolean },
): NotStoredReason | undefined {
  const cookies = final('set-cookie')
  // Those that a hook adds are this client's, whatever the handler's are.
  const mayStoreCookies = declared?.storesCookies && sameField(cookies, own('set-cookie'))
  if (cookies !== undefined && !mayStoreCookies) return 'set-cookie'
  if (final('trailer') !== undefined) return 'trailer'
  const isKeyed = (name: string): boolean => keyed.has(name) || nominated.includes(name)
  if (declared === undefined) {
    const forbidden = forbiddingDirective(final('cache-control'))
    if (forbidden !== undefined) return forbidden
    if (own('content-encoding') !== undefined && !isKeyed('accept-encoding')) {
      return 'content-encoding'
    }
  }
  const vary = final('vary')
  if (vary !== undefined && variesOnCredential(vary, keyed)) return 'vary'
  // An echoed Origin is an answer to that origin alone.
  if (origin === undefined || isKeyed('origin')) return undefined
  return own('access-control-allow-origin') === origin ? 'origin' : undefined
}

function forbiddingDirective(cacheControl: FieldValue | undefined): NotStoredReason | undefined {
  if (cacheControl === undefined) return undefined
  const directives = parseCacheControl(cacheControl)
  if (directives.noStore) return 'no-store'
  if (directives.private || directives.privateFields.length > 0) return 'private'
  return directives.noCache || directives.noCacheFields.length > 0 ? 'no-cache' : undefined
}

const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization', '*'])

/** A hook that varies on a credential says that the answers of this route depend on who asks. */
function variesOnCredential(vary: FieldValue, keyed: ReadonlySet<string>): boolean {
  return listMembers(vary).some((name) => CREDENTIALS.has(name) && !keyed.has(name))
}
