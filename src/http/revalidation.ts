import { entityTagIn, fieldText, type StoredFields, type Validators } from './conditional.ts'
import type { RequestFields } from './credentials.ts'
import { parseHttpDate } from './dates.ts'
import { isMadeEntityTag, strongMatch, weakMatch } from './entity-tag.ts'
import { isReplayable, listMembers } from './fields.ts'
import type { HandlerFields } from './handler-fields.ts'

/** The conditions of a request that validates a stored response. */
export interface Conditions {
  readonly etag: string | undefined
  readonly lastModified: string | undefined
}

/**
 * The conditions under which the handler may answer 304 for a stored response (RFC 9111 §4.3.1), in
 * the very words of its fields, as some handlers compare texts. Undefined when the handler gave no
 * validator: then nothing can be asked.
 */
export function conditionsFor(stored: Validators): Conditions | undefined {
  const etag = stored.etag?.text
  const own = etag !== undefined && isMadeEntityTag(etag)
  const lastModified = stored.lastModified?.text
  if ((etag === undefined || own) && lastModified === undefined) return undefined
  return { etag: own ? undefined : etag, lastModified }
}

/** These are about the client's own copy, or ask for less than what is stored. */
const CLIENT_CONDITIONS = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
])

/**
 * The fields of the request that validates: those of the client's, with our conditions in place of
 * its own. Those are for later, for whatever comes of this (RFC 9111 §4.3.2).
 */
export function validationRequest(request: RequestFields, conditions: Conditions): RequestFields {
  const fields: RequestFields = {}
  for (const name of Object.keys(request)) {
    if (!CLIENT_CONDITIONS.has(name)) fields[name] = request[name]
  }
  // RFC 9111 §4.3.1: the tag must be sent, the date should be.
  if (conditions.etag !== undefined) fields['if-none-match'] = conditions.etag
  if (conditions.lastModified !== undefined) fields['if-modified-since'] = conditions.lastModified
  return fields
}

/**
 * Whether a 304 speaks of this stored response (RFC 9111 §4.3.4), `update` being its fields. One
 * that names a validator we do not hold is about something else, and must not be used.
 */
export function validates(update: StoredFields, stored: Validators): boolean {
  const conditions = conditionsFor(stored)
  if (conditions === undefined) return false
  const etag = entityTagIn(update)
  if (etag !== undefined && conditions.etag !== undefined) {
    return etag.weak ? weakMatch(etag, stored.etag!) : strongMatch(etag, stored.etag!)
  }
  const modified = fieldText(update, 'last-modified')
  if (modified !== undefined) return sameDate(modified, stored)
  // Without any validator it can only mean the one that we asked about.
  return etag === undefined
}

function sameDate(text: string, { lastModified, dateAt }: Validators): boolean {
  if (lastModified === undefined) return false
  return text === lastModified.text || parseHttpDate(text, dateAt) === lastModified.at
}

/** What a 304 changes of a stored response. */
export interface StoredHead {
  readonly headers: StoredFields
  /** Fields that the handler took away from what hooks had set. */
  readonly removed: readonly string[]
}

/**
 * RFC 9111 §3.2: fields that the stored body depends on are not updated. A 304 is no place to give
 * the bytes another coding, or another type: servers write the type they write by default.
 */
const OF_THE_BODY = new Set([
  'content-digest',
  'content-encoding',
  'content-length',
  'content-md5',
  'content-range',
  'content-type',
  'digest',
  'repr-digest',
])

/** The stored head with the fields of a 304 in place of its own (RFC 9111 §3.2). */
export function freshenedHead(stored: StoredHead, update: HandlerFields): StoredHead {
  const listed = listMembers(update.set.find(([name]) => name === 'connection')?.[1])
  const changes = new Map<string, string | string[]>()
  for (const [name, value] of update.set) {
    if (
      (isReplayable(name) || name === 'date') &&
      !OF_THE_BODY.has(name) &&
      !listed.includes(name)
    ) {
      changes.set(name, value)
    }
  }
  const headers = stored.headers.map(([name, value]) => [name, changes.get(name) ?? value] as const)
  const known = new Set(headers.map(([name]) => name))
  for (const change of changes) if (!known.has(change[0])) headers.push(change)
  return { headers, removed: stored.removed.filter((name) => !changes.has(name)) }
}
