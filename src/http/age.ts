import { parseHttpDate } from './dates.ts'
import { deltaSeconds } from './directives.ts'
import type { FieldValue } from './fields.ts'
import type { FieldReader } from './storability.ts'

/** When a request was made and its response received, in epoch milliseconds. */
export interface Received {
  readonly requestedAt: number
  readonly receivedAt: number
}

/**
 * The Age field in seconds, undefined when there is none or it is no number. RFC 9111 §5.1: of a
 * list the first member counts, and what is invalid then is ignored.
 */
export function parseAge(value: FieldValue | undefined): number | undefined {
  if (value === undefined) return undefined
  const text = String(typeof value === 'object' ? value[0] : value)
  const comma = text.indexOf(',')
  return deltaSeconds((comma === -1 ? text : text.slice(0, comma)).trim())
}

/**
 * The instant from which a response's age counts: RFC 9111 §4.2.3, `response_time` less
 * `corrected_initial_age`. Its age at any later time is what has passed since.
 */
export function ageCountsFrom(field: FieldReader, received: Received): number {
  const { requestedAt, receivedAt } = received
  // A Date without fractions stands for the whole of its second.
  const apparentAge = Math.floor((receivedAt - dateOf(field, receivedAt)) / 1000) * 1000
  const delay = Math.max(0, receivedAt - requestedAt)
  const correctedAge = (parseAge(field('age')) ?? 0) * 1000 + delay
  // An age of more than half a century would lead to before the epoch.
  return Math.max(1, receivedAt - Math.max(0, apparentAge, correctedAge))
}

/** RFC 9110 §6.6.1: without a Date, or with one that is invalid, the time of receipt. */
export function dateOf(field: FieldReader, receivedAt: number): number {
  const value = field('date')
  const date = value === undefined ? undefined : parseHttpDate(String(value), receivedAt)
  return date ?? receivedAt
}
