import { isFieldName, isFieldValue, isReplayable } from './http/fields.ts'

/** What stands between the prelude and the body, as JSON. */
export interface Head {
  t: readonly string[]
  s: number
  h: readonly (readonly [name: string, value: string | readonly string[]])[]
  r: readonly string[]
  /** Stored at, fresh until. */
  a: number
  f: number
  /** Stale while revalidate, stale if error, kept: until when, where longer than fresh. */
  w?: number
  e?: number
  k?: number
  /** Must be revalidated (1). */
  m?: 1
  /** What computing it took. */
  c?: number
  /** What it varies on. */
  v?: readonly string[]
  /** The body is a text (1), or there is none (2). */
  x?: 1 | 2
  n?: string
}

/** Undefined when it is none. Never throws. */
export function parseHead(text: string): Head | undefined {
  let head: unknown
  try {
    head = JSON.parse(text)
  } catch {
    return undefined
  }
  return isHead(head) ? head : undefined
}

function isHead(value: unknown): value is Head {
  if (value === null || typeof value !== 'object') return false
  const { t, s, h, r, x, n } = value as Partial<Record<keyof Head, unknown>>
  return (
    Array.isArray(t) &&
    t.every((tag) => typeof tag === 'string' && tag !== '') &&
    typeof s === 'number' &&
    (s === 0 || (Number.isInteger(s) && s >= 200 && s <= 599)) &&
    Array.isArray(h) &&
    h.every(isField) &&
    Array.isArray(r) &&
    r.every(isFieldName) &&
    areLifetimes(value) &&
    areKinds(x, n)
  )
}

function areLifetimes(head: Partial<Record<keyof Head, unknown>>): boolean {
  const { a, f, w, e, k, m, c, v } = head
  return (
    isInstant(a) &&
    isInstant(f) &&
    f >= a &&
    // Stale comes after fresh.
    [w, e, k].every((until) => until === undefined || (isInstant(until) && until >= f)) &&
    (m === undefined || m === 1) &&
    (c === undefined || isInstant(c)) &&
    (v === undefined || (Array.isArray(v) && v.length > 0 && v.every(isFieldName)))
  )
}

function isInstant(value: unknown): value is number {
  return Number.isFinite(value) && (value as number) > 0
}

const BODY_KINDS = new Set<unknown>([undefined, 1, 2] satisfies Head['x'][])

function areKinds(body: unknown, name: unknown): boolean {
  return BODY_KINDS.has(body) && (name === undefined || typeof name === 'string')
}

/** Stored where a route leaves them to its origin, and replayed only there. */
const OF_ORIGINS = new Set(['date', 'set-cookie'])

function isField(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false
  if (!isFieldName(pair[0]) || !(isReplayable(pair[0]) || OF_ORIGINS.has(pair[0]))) return false
  return Array.isArray(pair[1]) ? pair[1].every(isFieldValue) : isFieldValue(pair[1])
}
