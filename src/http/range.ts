import { fieldText, isStrongDate, type StoredFields, type Validators } from './conditional.ts'
import type { RequestFields } from './credentials.ts'
import { parseHttpDate } from './dates.ts'
import { parseEntityTag, strongMatch } from './entity-tag.ts'

/** One part of a stored body, or that there is no such part. */
export type RangeAnswer =
  | {
      readonly status: 206
      /** First byte. */
      readonly start: number
      /** The byte after the last one. */
      readonly end: number
      readonly contentRange: string
    }
  | { readonly status: 416; readonly contentRange: string }

/**
 * What the Range field of a request makes of a stored 200 with a body of `length` bytes. Undefined:
 * the field is ignored and the answer is the whole of it (RFC 9110 §14.2), as it is for several
 * ranges and for what is no range. Conditions come first: ask `isNotModified` before.
 */
export function rangeAnswer(
  method: string,
  request: RequestFields,
  stored: Validators,
  length: number,
): RangeAnswer | undefined {
  const field = request['range']
  // RFC 9110 §14.2: GET is the only method for which ranges are defined.
  if (typeof field !== 'string' || method !== 'GET') return undefined
  const ifRange = request['if-range']
  if (ifRange !== undefined && !isUnchanged(ifRange, stored)) return undefined
  const range = parseSingleRange(field)
  return range && select(range, length)
}

/** Positions as they are written: from `first` to `last`, or the last `suffix` bytes. */
type ByteRange = { readonly first: number; readonly last: number } | { readonly suffix: number }

const UNIT = /^bytes=/i
const SPEC = /^[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/
const EMPTY = /^[ \t]*$/

/** The only range of a Range field in bytes (RFC 9110 §14.1.2). */
export function parseSingleRange(field: string): ByteRange | undefined {
  if (!UNIT.test(field)) return undefined
  // RFC 9110 §5.6.1.2: empty members of a list are skipped.
  const specs = field
    .slice('bytes='.length)
    .split(',')
    .filter((spec) => !EMPTY.test(spec))
  const match = specs.length === 1 ? SPEC.exec(specs[0]!) : null
  if (match === null) return undefined
  if (match[3] !== undefined) return { suffix: Number(match[3]) }
  const first = Number(match[1])
  const last = match[2] === '' ? Infinity : Number(match[2])
  // RFC 9110 §14.1.2: a range that ends before it starts is invalid.
  return last < first ? undefined : { first, last }
}

function select(range: ByteRange, length: number): RangeAnswer | undefined {
  if ('suffix' in range) {
    // No Content-Range can name a part of nothing.
    if (range.suffix > 0 && length === 0) return undefined
    return range.suffix > 0
      ? part(Math.max(0, length - range.suffix), length, length)
      : none(length)
  }
  return range.first < length
    ? part(range.first, Math.min(range.last + 1, length), length)
    : none(length)
}

function part(start: number, end: number, length: number): RangeAnswer {
  return { status: 206, start, end, contentRange: `bytes ${start}-${end - 1}/${length}` }
}

function none(length: number): RangeAnswer {
  return { status: 416, contentRange: `bytes */${length}` }
}

/** RFC 9110 §13.1.5: If-Range asks for byte equality, so weak validators never do. */
function isUnchanged(field: string | string[], stored: Validators): boolean {
  if (typeof field !== 'string') return false
  const tag = parseEntityTag(field.trim())
  if (tag !== undefined) return stored.etag !== undefined && strongMatch(tag, stored.etag)
  const { lastModified, dateAt } = stored
  if (lastModified === undefined || parseHttpDate(field, dateAt) !== lastModified.at) return false
  return isStrongDate(stored)
}

/**
 * Whether ranges may be cut out of a stored body: only out of one without a content coding, as
 * hooks give each client its own.
 */
export function isRangeable(fields: StoredFields): boolean {
  if (!fields.some(([name]) => name === 'content-encoding')) return true
  return fieldText(fields, 'content-encoding')?.toLowerCase() === 'identity'
}
