import { digest, encodePart, encodeParts } from './encoding.ts'
import { canonicalQuery, type QueryPredicate } from './query.ts'

/** Everything by which the application could tell two GET requests apart, before `vary`. */
export interface RequestTarget {
  /** As the request names it; `''` when there is none. */
  host: string
  protocol: string
  /** The request target exactly as it was routed: never normalized, never through `new URL()`. */
  url: string
  /** The target before `rewriteUrl`, when that changed it. */
  originalUrl: string
}

/**
 * The path is what stands before the first `?`, byte for byte. A router that also splits at `#` or
 * `;` sees less than this, so two targets it would tell apart never share a key.
 */
export function splitTarget(url: string): { path: string; rawQuery: string } {
  const at = url.indexOf('?')
  return at === -1
    ? { path: url, rawQuery: '' }
    : { path: url.slice(0, at), rawQuery: url.slice(at + 1) }
}

/** Path and query of a target in one unambiguous text: the query as the application's parser read it. */
export function canonicalTarget(
  url: string,
  query: unknown,
  counts: QueryPredicate | undefined,
): string {
  const { path, rawQuery } = splitTarget(url)
  return encodePart(path) + canonicalQuery(query, rawQuery, counts)
}

/** The primary key (RFC 9111 §2): route, host, protocol, path and query. */
export function primaryKey(identity: string, target: RequestTarget, canonical: string): string {
  const original = target.originalUrl === target.url ? undefined : target.originalUrl
  return digest(
    identity +
      encodePart(target.host) +
      encodePart(target.protocol) +
      encodePart(original) +
      encodePart(unencodedQuery(target.url)) +
      canonical,
  )
}

/** Browsers encode these in a query: the URL Standard's special-query percent-encode set. */
const NEVER_FROM_BROWSERS = /["'<>#]|[^\x21-\x7e]/

/**
 * A parser reads `<` and `%3C` alike. A page that shows its own URL need not: it may trust browsers
 * to encode, and must not get to them as somebody filled it who did not.
 */
function unencodedQuery(url: string): string | undefined {
  const { rawQuery } = splitTarget(url)
  return NEVER_FROM_BROWSERS.test(rawQuery) ? rawQuery : undefined
}

/** The secondary key (RFC 9111 §4.1) folded into the first: one value per declared vary dimension. */
export function variantKey(primary: string, values: readonly (string | undefined)[]): string {
  return digest(encodePart(primary) + encodeParts(values))
}

/** Names a route among all routes of all versions of this format: pattern, constraints, vary names. */
export function routeIdentity(parts: {
  format: string
  namespace: string
  url: string
  constraints: Record<string, unknown>
  vary: readonly string[]
}): string {
  const constraints = Object.keys(parts.constraints)
    .sort()
    .map((name) => encodePart(name) + encodePart(constraintText(parts.constraints[name])))
  return encodeParts([
    parts.format,
    parts.namespace,
    parts.url,
    constraints.join(''),
    encodeParts(parts.vary),
  ])
}

/** Values that have no text, such as functions, are told apart by the order in which they appear. */
const ordinals = new WeakMap<WeakKey, number>()
let lastOrdinal = 0

function constraintText(value: unknown): string {
  if (value instanceof RegExp) return `/${value.source}/${value.flags}`
  const shared = typeof value === 'symbol' ? Symbol.keyFor(value) : undefined
  if (shared !== undefined) return `symbol:${shared}`
  if (!isWeakKey(value)) return `${typeof value}:${String(value)}`
  let ordinal = ordinals.get(value)
  if (ordinal === undefined) ordinals.set(value, (ordinal = ++lastOrdinal))
  return `#${ordinal}`
}

function isWeakKey(value: unknown): value is WeakKey {
  return value !== null && ['object', 'function', 'symbol'].includes(typeof value)
}
