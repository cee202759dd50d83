import type { RequestFields } from './credentials.ts'
import { parseHttpDate } from './dates.ts'
import { type EntityTag, parseEntityTag, parseEntityTags, weakMatch } from './entity-tag.ts'

/** The fields of a stored response, in their order. */
export type StoredFields = readonly (readonly [name: string, value: string | readonly string[]])[]

/** What conditions are compared with; worked out once for each stored response. */
export interface Validators {
  readonly etag: EntityTag | undefined
  readonly lastModified: { readonly text: string; readonly at: number } | undefined
  /** Epoch milliseconds: the Date field, else when it was stored. */
  readonly dateAt: number
}

/**
 * The validators of a stored response. Undefined unless its status is 200: RFC 9111 §4.3.2 has a
 * cache evaluate conditions for a stored 200 (or 206, which is not stored).
 */
export function validatorsOf(
  status: number,
  fields: StoredFields,
  storedAt: number,
): Validators | undefined {
  if (status !== 200) return undefined
  const lastModified = fieldText(fields, 'last-modified')
  const modifiedAt = dateIn(lastModified, storedAt)
  return {
    etag: entityTagIn(fields),
    lastModified: modifiedAt === undefined ? undefined : { text: lastModified!, at: modifiedAt },
    dateAt: dateIn(fieldText(fields, 'date'), storedAt) ?? storedAt,
  }
}

/** Clocks of the file and of the server may differ by this much. */
const CLOCKS_DIFFER_MS = 60_000

/** RFC 9110 §8.8.2.2: a date is strong when nothing can have changed after it in the same second. */
export function isStrongDate({ lastModified, dateAt }: Validators): boolean {
  return lastModified !== undefined && lastModified.at <= dateAt - CLOCKS_DIFFER_MS
}

/** The entity tag of a field section; a malformed one is none. */
export function entityTagIn(fields: StoredFields): EntityTag | undefined {
  const text = fieldText(fields, 'etag')
  return text === undefined ? undefined : parseEntityTag(text)
}

/** The value of a field that may appear once; undefined when it is absent or there are several. */
export function fieldText(fields: StoredFields, name: string): string | undefined {
  let found: string | undefined
  for (const [candidate, value] of fields) {
    if (candidate !== name) continue
    if (found !== undefined || (typeof value !== 'string' && value.length !== 1)) return undefined
    found = (typeof value === 'string' ? value : value[0]!).trim()
  }
  return found
}

function dateIn(text: string | undefined, now: number): number | undefined {
  return text === undefined ? undefined : parseHttpDate(text, now)
}

/**
 * Whether the answer to a GET or HEAD is 304 instead of the stored response. Two property reads
 * when the request has no condition.
 */
export function isNotModified(request: RequestFields, stored: Validators): boolean {
  const noneMatch = request['if-none-match']
  // RFC 9110 §13.2.2: If-Modified-Since only counts without If-None-Match, even a malformed one.
  if (noneMatch !== undefined) return matchesList(noneMatch, stored.etag)
  const since = request['if-modified-since']
  return since !== undefined && unchangedSince(since, stored)
}

function matchesList(field: string | string[], etag: EntityTag | undefined): boolean {
  // Browsers send back the one tag that they were given.
  if (field === etag?.text) return true
  const tags = parseEntityTags(typeof field === 'string' ? field : field.join(','))
  if (tags === '*') return true
  return etag !== undefined && tags !== undefined && tags.some((tag) => weakMatch(tag, etag))
}

function unchangedSince(field: string | string[], stored: Validators): boolean {
  // RFC 9110 §13.1.3: what is no date, or more than one, is ignored.
  const sinceAt = typeof field === 'string' ? parseHttpDate(field, stored.dateAt) : undefined
  // RFC 9111 §4.3.2: without Last-Modified, the Date of the response or when it came.
  return sinceAt !== undefined && (stored.lastModified?.at ?? stored.dateAt) <= sinceAt
}

/** RFC 9111 §4.3.2: these two are not for a cache; such a request goes to the handler as it is. */
export function hasOriginCondition(request: RequestFields): boolean {
  return request['if-match'] !== undefined || request['if-unmodified-since'] !== undefined
}

/** They describe the content, and a 304 has none: what the client has stays true of its copy. */
const CONTENT_FIELDS = new Set([
  'content-digest',
  'content-encoding',
  'content-language',
  'content-length',
  'content-md5',
  'content-range',
  'content-type',
  'digest',
  'repr-digest',
  // Never stored; a 304 made of something else must not have it either.
  'set-cookie',
])

/**
 * What of the stored fields a 304 carries (RFC 9110 §15.4.5): all that the client's own copy is
 * updated from, and no metadata of the representation. Last-Modified is there when no entity tag
 * is. To be worked out once, not for each 304.
 */
export function notModifiedFields(fields: StoredFields): StoredFields {
  const tagged = entityTagIn(fields) !== undefined
  return fields.filter(
    ([name]) => !CONTENT_FIELDS.has(name) && !(tagged && name === 'last-modified'),
  )
}
