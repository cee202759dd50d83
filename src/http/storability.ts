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

/** An answer on its way to the wire. */
export interface Answer {
  /** A field as the handler set it. */
  own: (name: string) => FieldValue | undefined
  /** A field as the client gets it: with what hooks and plugins made of it. */
  final: (name: string) => FieldValue | undefined
  /** The Origin of the request it answers. */
  origin: string | undefined
}

/**
 * The first sign that this answer is for one client only, or that it cannot be told when it may be
 * used again (RFC 9111 §3, and stricter). `keyed` are the request fields that the key covers.
 */
export function privateSign(
  { own, final, origin }: Answer,
  keyed: ReadonlySet<string>,
): NotStoredReason | undefined {
  if (final('set-cookie') !== undefined) return 'set-cookie'
  if (final('trailer') !== undefined) return 'trailer'
  const forbidden = forbiddingDirective(final('cache-control'))
  if (forbidden !== undefined) return forbidden
  if (!varyIsKeyed(own('vary'), keyed) || variesOnCredential(final('vary'), keyed)) return 'vary'
  if (own('content-encoding') !== undefined && !keyed.has('accept-encoding')) {
    return 'content-encoding'
  }
  const allowed = own('access-control-allow-origin')
  // An echoed Origin is an answer to that origin alone.
  return allowed !== undefined && allowed === origin && !keyed.has('origin') ? 'origin' : undefined
}

function forbiddingDirective(cacheControl: FieldValue | undefined): NotStoredReason | undefined {
  if (cacheControl === undefined) return undefined
  const directives = parseCacheControl(cacheControl)
  return (['no-store', 'private', 'no-cache'] as const).find((name) => directives.has(name))
}

/** Whether every field that the handler varied on is in the key. */
function varyIsKeyed(vary: FieldValue | undefined, keyed: ReadonlySet<string>): boolean {
  return vary === undefined || listMembers(vary).every((name) => keyed.has(name))
}

const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization', '*'])

/** A hook that varies on a credential says that the answers of this route depend on who asks. */
function variesOnCredential(vary: FieldValue | undefined, keyed: ReadonlySet<string>): boolean {
  if (vary === undefined) return false
  return listMembers(vary).some((name) => CREDENTIALS.has(name) && !keyed.has(name))
}
