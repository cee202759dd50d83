import { encodePart } from './encoding.ts'

/** Which query parameters are part of the key. Names, or prefixes written `utm_*`. */
export interface QueryFilter {
  only?: readonly string[]
  ignore?: readonly string[]
}

export type QueryPredicate = (name: string) => boolean

/** Compiles a filter; undefined means that every parameter counts. */
export function compileQueryFilter(filter: QueryFilter | undefined): QueryPredicate | undefined {
  if (filter?.only) return matcher(filter.only)
  if (filter?.ignore) {
    const ignored = matcher(filter.ignore)
    return (name) => !ignored(name)
  }
  return undefined
}

function matcher(patterns: readonly string[]): QueryPredicate {
  const names = new Set(patterns.filter((pattern) => !pattern.endsWith('*')))
  const prefixes = patterns.filter((p) => p.endsWith('*')).map((p) => p.slice(0, -1))
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix))
}

/**
 * The query as the application's own parser read it: names sorted, repeated values in their order.
 * What that parser returns may be any shape; what cannot be compared safely falls back to the raw
 * text, which can only make more keys, never fewer.
 */
export function canonicalQuery(query: unknown, raw: string, counts?: QueryPredicate): string {
  if (query === null || typeof query !== 'object' || !isPlain(query)) return `r${encodePart(raw)}`
  const record = query as Record<string, unknown>
  let canonical = ''
  for (const name of sortedNames(record)) {
    if (counts && !counts(name)) continue
    const value = canonicalValue(record[name], 0)
    if (value === undefined) return `r${encodePart(raw)}`
    canonical += encodePart(name) + value
  }
  return canonical
}

/** Most clients send them in the same order; a list that is sorted already is not copied to be sorted. */
function sortedNames(record: object): string[] {
  const names = Object.keys(record)
  for (let at = 1; at < names.length; at++) {
    if (names[at - 1]! > names[at]!) return names.sort()
  }
  return names
}

const MAX_DEPTH = 32

/** Each type has a letter of its own, so `'1'` and `1`, `[]` and `''` stay different. */
function canonicalValue(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string') return `s${encodePart(value)}`
  if (value === undefined) return 'u'
  if (value === null) return 'n'
  // Minus zero has the text of zero.
  if (Object.is(value, -0)) return 'z'
  if (typeof value === 'number' || typeof value === 'boolean') return `p${encodePart(`${value}`)}`
  if (typeof value !== 'object' || depth > MAX_DEPTH) return undefined
  if (Array.isArray(value)) return canonicalArray(value, depth)
  return isPlain(value) ? canonicalObject(value as Record<string, unknown>, depth) : undefined
}

function canonicalArray(values: unknown[], depth: number): string | undefined {
  let canonical = `a${values.length};`
  for (const value of values) {
    const part = canonicalValue(value, depth + 1)
    if (part === undefined) return undefined
    canonical += part
  }
  return canonical
}

function canonicalObject(record: Record<string, unknown>, depth: number): string | undefined {
  const names = sortedNames(record)
  let canonical = `o${names.length};`
  for (const name of names) {
    const part = canonicalValue(record[name], depth + 1)
    if (part === undefined) return undefined
    canonical += encodePart(name) + part
  }
  return canonical
}

/** The last empty prototype that was seen: a parser has one. */
let plainPrototype: object | undefined

/**
 * Whether an object is nothing but its names and values. fast-querystring returns one whose prototype
 * is an empty one of its own.
 */
export function isPlain(value: object): boolean {
  if (Object.getOwnPropertySymbols(value).length > 0) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype || prototype === plainPrototype) {
    return true
  }
  if (
    Object.getPrototypeOf(prototype) !== null ||
    Reflect.ownKeys(prototype as object).length > 0
  ) {
    return false
  }
  plainPrototype = prototype as object
  return true
}
