import {
  NO_FIELDS,
  isFieldName,
  isFieldValue,
  isReplayable,
  listMembers,
  sameField,
} from './fields.ts'
import type { FieldValue, Fields } from './fields.ts'

/** What the handler did to the header section: this, and nothing else, is replayed on a hit. */
export interface HandlerFields {
  set: [name: string, value: string | string[]][]
  /** Fields that a hook had set and the handler took away. */
  removed: readonly string[]
}

/**
 * The difference between the fields at the start of the handler and at its answer. Fields that
 * hooks and plugins make per request (CORS, CSP, rate limits, cookies) are in both and stay out.
 * Undefined when a field cannot be replayed faithfully. `also` names fields of one
 * message that this response is to be replayed with all the same.
 */
export function handlerFields(
  before: Fields,
  after: Fields,
  also: ReadonlySet<string> = NO_NAMES,
): HandlerFields | undefined {
  const set: HandlerFields['set'] = []
  // RFC 9111 §3.1: fields that Connection lists are not stored.
  const named = after['connection'] === undefined ? undefined : listMembers(after['connection'])
  for (const name in after) {
    const value = after[name]
    if (value === undefined || sameField(before[name], value)) continue
    if (!(isReplayable(name) || also.has(name)) || named?.includes(name)) continue
    const own = ownValue(name, before[name], value)
    if (own === undefined || !isFieldName(name)) return undefined
    if (own.length > 0 || name !== 'vary') set.push([name, own])
  }
  return { set, removed: before === NO_FIELDS ? NONE : missingFields(before, after) }
}

function ownValue(
  name: string,
  before: FieldValue | undefined,
  after: FieldValue,
): string | string[] | undefined {
  if (name === 'vary') return addedMembers(before, after)
  // Cookies of hooks and those of the handler are one list: whose they are cannot be told.
  if (name === 'set-cookie' && before !== undefined) return undefined
  return textOf(after)
}

const NONE: readonly string[] = []
const NO_NAMES: ReadonlySet<string> = new Set()

function missingFields(before: Fields, after: Fields): string[] {
  const missing: string[] = []
  for (const name in before) {
    if (after[name] === undefined && isReplayable(name)) missing.push(name)
  }
  return missing
}

/** Hooks add their own members to Vary on every request; only the handler's are kept. */
function addedMembers(before: FieldValue | undefined, after: FieldValue): string {
  const had = new Set(listMembers(before))
  return listMembers(after)
    .filter((member) => !had.has(member))
    .join(', ')
}

function textOf(value: FieldValue): string | string[] | undefined {
  if (typeof value === 'object') {
    const values = value.map(String)
    return values.every(isFieldValue) ? values : undefined
  }
  const text = String(value)
  return isFieldValue(text) ? text : undefined
}
