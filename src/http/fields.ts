/** Header fields as Node keeps them: lower-case names, one value or a list. */
export type FieldValue = string | number | readonly string[]
export type Fields = Record<string, FieldValue | undefined>

export const NO_FIELDS: Fields = Object.freeze({})

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
// RFC 9110 §5.5: visible characters, space, tab and obs-text; never CR, LF or NUL.
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

export function isFieldName(name: unknown): name is string {
  return typeof name === 'string' && TOKEN.test(name)
}

export function isFieldValue(value: unknown): value is string {
  return typeof value === 'string' && VALUE.test(value)
}

/** RFC 9110 §7.6.1: these describe one connection, so they are never replayed on another. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Made anew for every message, or by this cache itself. */
const PER_MESSAGE = new Set([
  'age',
  'cache-status',
  'content-length',
  'date',
  'request-id',
  'server-timing',
  'set-cookie',
  'x-cache',
  'x-correlation-id',
  'x-request-id',
  'x-response-time',
  'x-runtime',
])

const PER_REQUEST_PREFIX = /^(?:x-)?rate-?limit(?:-|$)/

/** Handlers use the same few names over and over. */
const MAX_KNOWN_NAMES = 500
const knownNames = new Map<string, boolean>()

/** Whether a field that the handler set belongs to the representation and may be replayed. */
export function isReplayable(name: string): boolean {
  const known = knownNames.get(name)
  if (known !== undefined) return known
  const replayable =
    !HOP_BY_HOP.has(name) && !PER_MESSAGE.has(name) && !PER_REQUEST_PREFIX.test(name)
  if (knownNames.size >= MAX_KNOWN_NAMES) knownNames.clear()
  knownNames.set(name, replayable)
  return replayable
}

/** The members of a comma-separated list field, lower-cased. */
export function listMembers(value: FieldValue | undefined): string[] {
  if (value === undefined) return []
  const text = Array.isArray(value) ? value.join(',') : String(value)
  const members: string[] = []
  for (const member of text.toLowerCase().split(',')) {
    const trimmed = member.trim()
    if (trimmed !== '') members.push(trimmed)
  }
  return members
}

export function sameField(a: FieldValue | undefined, b: FieldValue | undefined): boolean {
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((member, index) => member === b[index])
  }
  return a === b
}

/** Fields in pairs as one object. */
export function fieldsOf(
  pairs: readonly (readonly [name: string, value: string | readonly string[]])[],
): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {}
  for (const [name, value] of pairs) fields[name] = value as string | string[]
  return fields
}
