import type { RequestFields } from './credentials.ts'
import { type FieldValue, isFieldName, listMembers } from './fields.ts'

/** A target that varies on more than this has more variants than a cache is good for. */
export const MAX_NOMINATED = 16

const NONE: readonly string[] = []

/**
 * The request fields that a Vary field nominates: lower-case, sorted, each once. Undefined when the
 * response matches no other request: `*` (RFC 9111 §4.1), a member that is no name, or too many.
 */
export function nominatedFields(vary: FieldValue | undefined): readonly string[] | undefined {
  if (vary === undefined) return NONE
  const names = [...new Set(listMembers(vary))].sort()
  // `*` is a token as well.
  if (names.includes('*') || !names.every(isFieldName)) return undefined
  return names.length > MAX_NOMINATED ? undefined : names
}

/**
 * What the variants of a target are told apart by once another response has nominated fields: the
 * union, which only grows, so a response that leaves Vary out does not stand in for all others.
 * `known` itself when it covers `nominated`; undefined when there would be too many.
 */
export function withNominated(
  known: readonly string[],
  nominated: readonly string[],
): readonly string[] | undefined {
  if (nominated.every((name) => known.includes(name))) return known
  const union = [...new Set([...known, ...nominated])].sort()
  return union.length > MAX_NOMINATED ? undefined : union
}

/**
 * Makes values with the same meaning the same text. Undefined: as if the field were absent. A
 * handler must see what it returns in place of the value, or it could tell requests apart that share
 * a response.
 */
export type Normalizer = (value: string) => string | undefined
export type Normalizers = ReadonlyMap<string, Normalizer>

/**
 * The parts of the secondary key (RFC 9111 §4.1): each nominated name and its value in this request,
 * undefined where it is absent. For `variantKey`, which encodes each part with its length, so that
 * no value can stand for another field's.
 */
export function selectingParts(
  names: readonly string[],
  request: RequestFields,
  normalizers?: Normalizers,
): (string | undefined)[] {
  const parts: (string | undefined)[] = []
  for (const name of names) parts.push(name, selectingValue(name, request, normalizers))
  return parts
}

/** The value of one nominated field, as it counts in the key. */
export function selectingValue(
  name: string,
  request: RequestFields,
  normalizers?: Normalizers,
): string | undefined {
  // Vary may nominate `constructor`, which every object has.
  const field: unknown = Object.hasOwn(request, name) ? request[name] : undefined
  if (field === undefined) return undefined
  const value = Array.isArray(field) ? field.join(', ') : field
  // A schema has made a number or null of it. No text of a field has a NUL.
  if (typeof value !== 'string') return `\0${JSON.stringify(value)}`
  const normalizer = normalizers?.get(name)
  return normalizer === undefined ? withoutOptionalSpace(name, value) : normalizer(value)
}

/** Known not to be lists: a space beside a comma is as good as any other character in them. */
const SINGLE = new Set(['authorization', 'cookie', 'proxy-authorization', 'referer', 'user-agent'])
/** In quotes and comments a space is no optional one; such values stay as they are. */
const QUOTED = /["'()\\]/

/** RFC 9111 §4.1: white space beside the commas of a list makes no difference. */
function withoutOptionalSpace(name: string, value: string): string {
  if (!value.includes(' ') && !value.includes('\t')) return value
  if (SINGLE.has(name) || QUOTED.test(value)) return value
  return value.split(',').map(trimSpace).join(',')
}

/** Space and tab only: `trim` takes obs-text away, too. */
export function trimSpace(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
