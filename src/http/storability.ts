import { parseCacheControl } from './cache-control.ts'
import { type FieldValue, type Fields, listMembers } from './fields.ts'

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
  /** What the handler set. */
  own: Fields
  /** What the client gets: with the fields of hooks and plugins. */
  final: Fields
  /** The fields of the request it answers. */
  request: Record<string, string | string[] | undefined>
}

/**
 * The first sign that this answer is for one client only, or that it cannot be told when it may be
 * used again (RFC 9111 §3, and stricter). `keyed` are the request fields that the key covers.
 */
export function privateSign(
  answer: Answer,
  keyed: ReadonlySet<string>,
): NotStoredReason | undefined {
  const { own, final, request } = answer
  if (final['set-cookie'] !== undefined) return 'set-cookie'
  if (final['trailer'] !== undefined) return 'trailer'
  const directives = parseCacheControl(final['cache-control'])
  if (directives.has('no-store')) return 'no-store'
  if (directives.has('private')) return 'private'
  if (directives.has('no-cache')) return 'no-cache'
  if (!varyIsKeyed(own['vary'], keyed)) return 'vary'
  if (variesOnCredential(final['vary'], keyed)) return 'vary'
  if (own['content-encoding'] !== undefined && !keyed.has('accept-encoding')) {
    return 'content-encoding'
  }
  const allowed = own['access-control-allow-origin']
  // An echoed Origin is an answer to that origin alone.
  if (allowed !== undefined && allowed === request['origin'] && !keyed.has('origin')) return 'origin'
  return undefined
}

/** Whether every field that the handler varied on is in the key. */
function varyIsKeyed(vary: FieldValue | undefined, keyed: ReadonlySet<string>): boolean {
  return listMembers(vary).every((name) => keyed.has(name))
}

const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization', '*'])

/** A hook that varies on a credential says that the answers of this route depend on who asks. */
function variesOnCredential(vary: FieldValue | undefined, keyed: ReadonlySet<string>): boolean {
  return listMembers(vary).some((name) => CREDENTIALS.has(name) && !keyed.has(name))
}
