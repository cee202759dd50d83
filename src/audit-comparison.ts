import { MAX_POINTERS, isWithin, jsonDifferences } from './json-difference.ts'
import type { StoredEntry } from './stored-response.ts'

/** What of an answer is compared. */
export type Compared = Pick<StoredEntry, 'status' | 'headers' | 'body'>

/** What an audit's run of the handler came to. */
export interface AuditAnswer {
  /** The key under which it would be stored. */
  readonly key: string
  readonly primaryKey: string
  readonly status: number
  /** Undefined where it would not be stored. */
  readonly entry: Compared | undefined
  /** Something that it depends on was invalidated meanwhile, or has not settled yet. */
  readonly overtaken: boolean
}

/** What may differ between two answers that mean the same. */
export interface IgnoredParts {
  /** Lower-case names. */
  readonly fields: ReadonlySet<string>
  /** JSON pointers, member by member. */
  readonly pointers: readonly (readonly string[])[]
}

/** Where two answers to one request differ; never what is there. */
export interface Difference {
  /** If the statuses differ, nothing else is compared. */
  status?: { served: number; now: number }
  /** Names of header fields. */
  fields?: string[]
  /** JSON pointers into the bodies; `''` is the whole. */
  pointers?: string[]
  /** Of bodies that are no JSON: the first byte that differs. */
  offset?: number
}

/**
 * Fields that differ by nature, and those that follow from a body, which is compared itself. What hooks
 * set is not stored and so not compared either.
 */
const UNCOMPARED: ReadonlySet<string> = new Set([
  ...['age', 'date', 'expires', 'retry-after', 'cache-status', 'x-cache', 'cache-groups'],
  ...['etag', 'last-modified', 'content-length', 'content-md5', 'digest'],
  ...['content-digest', 'repr-digest', 'set-cookie', 'server-timing', 'x-response-time'],
  ...['x-runtime', 'x-request-id', 'request-id', 'x-correlation-id', 'x-trace-id'],
  ...['x-amzn-trace-id', 'traceparent', 'tracestate', 'ratelimit', 'ratelimit-policy'],
])
const UNCOMPARED_PREFIX = /^(x-)?ratelimit-/

/** Parsing a larger body would hold up everybody for longer than a look at it is worth. */
const MAX_JSON_BYTES = 256 * 1024

export function differenceOf(
  served: Compared,
  now: Compared,
  ignored: IgnoredParts,
): Difference | undefined {
  if (served.status !== now.status) return { status: { served: served.status, now: now.status } }
  const fields = differingFields(served.headers, now.headers, ignored.fields)
  const difference: Difference = {
    ...(fields.length > 0 && { fields }),
    ...bodyDifference(served, now, ignored),
  }
  return Object.keys(difference).length === 0 ? undefined : difference
}

/**
 * What is left of a difference when the answer changes from one run to the next: what was different in
 * both runs and the same in both.
 */
export function steadyPart(
  difference: Difference | undefined,
  unsteady: Difference | undefined,
): Difference | undefined {
  if (difference === undefined || unsteady === undefined) return difference
  if (unsteady.status !== undefined) return undefined
  if (difference.status !== undefined) return difference
  const fields = difference.fields?.filter((name) => unsteady.fields?.includes(name) !== true)
  const pointers = steadyPointers(difference.pointers ?? [], unsteady)
  const isSteadyBody = unsteady.offset === undefined && unsteady.pointers === undefined
  const steady: Difference = {
    ...(fields !== undefined && fields.length > 0 && { fields }),
    ...(pointers.length > 0 && { pointers }),
    ...(difference.offset !== undefined && isSteadyBody && { offset: difference.offset }),
  }
  return Object.keys(steady).length === 0 ? undefined : steady
}

function steadyPointers(pointers: readonly string[], unsteady: Difference): string[] {
  const changing = unsteady.pointers ?? []
  if (unsteady.offset !== undefined || changing.length >= MAX_POINTERS) return []
  return pointers.filter(
    (pointer) => !changing.some((each) => isWithin(pointer, each) || isWithin(each, pointer)),
  )
}

function differingFields(
  served: Compared['headers'],
  now: Compared['headers'],
  ignored: ReadonlySet<string>,
): string[] {
  const [before, after] = [new Map(served), new Map(now)]
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].filter((name) => {
    if (UNCOMPARED.has(name) || UNCOMPARED_PREFIX.test(name) || ignored.has(name)) return false
    return String(before.get(name)) !== String(after.get(name))
  })
}

function bodyDifference(
  served: Compared,
  now: Compared,
  { pointers: ignored }: IgnoredParts,
): Pick<Difference, 'pointers' | 'offset'> {
  if (served.body === now.body) return {}
  const [one, other] = [bytesOf(served.body), bytesOf(now.body)]
  if (one.equals(other)) return {}
  const documents = [parsed(served, one), parsed(now, other)]
  if (documents[0] === undefined || documents[1] === undefined) {
    return { offset: firstDifference(one, other) }
  }
  const pointers = jsonDifferences(documents[0].value, documents[1].value, ignored)
  return pointers.length === 0 ? {} : { pointers }
}

function bytesOf(body: Compared['body']): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : (body ?? Buffer.alloc(0))
}

function parsed({ headers }: Compared, bytes: Buffer): { value: unknown } | undefined {
  const type = headers.find(([name]) => name === 'content-type')?.[1]
  const isEncoded = headers.some(([name]) => name === 'content-encoding')
  if (isEncoded || bytes.length > MAX_JSON_BYTES || !/^[^;]*[/+]json\b/i.test(String(type))) {
    return undefined
  }
  try {
    return { value: JSON.parse(bytes.toString()) as unknown }
  } catch {
    return undefined
  }
}

/** By halves: comparing memory is faster than reading it. */
function firstDifference(one: Buffer, other: Buffer): number {
  let [from, to] = [0, Math.min(one.length, other.length)]
  while (from < to) {
    const middle = (from + to + 1) >> 1
    if (one.compare(other, from, middle, from, middle) === 0) from = middle
    else to = middle - 1
  }
  return from
}
