import { inspect } from 'node:util'

import type { FastifyRequest } from 'fastify'

import { canonicalTarget, primaryKey, splitTarget } from './http/cache-key.ts'
import { type RequestFields, cookieValue } from './http/credentials.ts'
import { encodePart } from './http/encoding.ts'
import { selectingValue } from './http/vary.ts'
import type { KnownTarget } from './key-memo.ts'
import type { Policy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import { exactTag, originForm, pathTag } from './url-tags.ts'

/** In front of the keys of responses; values of the cache client have another. */
export const RESPONSE_KEY = 'r:'

/** The request target with its key: remembered, or worked out. */
export function findTarget(
  cache: ResponseCache,
  policy: Policy,
  request: FastifyRequest,
): KnownTarget {
  const url = request.raw.url!
  const known = cache.memo.find(url, policy, request)
  if (known !== undefined && sameQuery(known.query!, request.query)) return known
  const { host, protocol, originalUrl } = request
  const canonical = canonicalTarget(url, request.query, policy.counts)
  const key =
    RESPONSE_KEY + primaryKey(policy.identity, { host, protocol, url, originalUrl }, canonical)
  const query = flatCopy(request.query)
  return {
    policy,
    host,
    protocol,
    url,
    originalUrl,
    query,
    canonical,
    key,
    memoized: query === undefined,
    next: undefined,
  }
}

/** Names and values of a query of texts alone, before validation changes it; undefined for others. */
function flatCopy(query: unknown): string[] | undefined {
  if (query === null || typeof query !== 'object') return undefined
  const pairs: string[] = []
  for (const name in query) {
    const value = (query as Record<string, unknown>)[name]
    if (typeof value !== 'string') return undefined
    pairs.push(name, value)
  }
  return pairs
}

/** A hook may have changed what the URL says, and for this request in another way. */
function sameQuery(pairs: readonly string[], query: unknown): boolean {
  let at = 0
  for (const name in query as object) {
    if (pairs[at] !== name || pairs[at + 1] !== (query as Record<string, unknown>)[name])
      return false
    at += 2
  }
  return at === pairs.length
}

/** The tags that every response of a target carries. */
export function targetTags({ policy, url, originalUrl, canonical }: KnownTarget): string[] {
  const path = originForm(url)
  const tags = [
    policy.routeTag,
    pathTag(path),
    exactTag(path === url ? canonical : withPath(path, url, canonical), policy.filterId),
  ]
  // A rewritten URL can be invalidated under the name that clients know, with all its queries.
  if (originalUrl !== url) tags.push(pathTag(originForm(originalUrl)))
  return tags
}

/** A target in absolute form is a key of its own, and is invalidated under its path all the same. */
function withPath(path: string, url: string, canonical: string): string {
  const query = canonical.slice(encodePart(splitTarget(url).path).length)
  return encodePart(splitTarget(path).path) + query
}

/** The values of the route's own vary dimensions; `sentFields` are those before a schema saw them. */
export function varyValues(
  { policy, sentFields }: { policy: Policy; sentFields: RequestFields | undefined },
  headers: RequestFields,
  identity: string | undefined,
): (string | undefined)[] {
  const sent = sentFields ?? headers
  const { normalizers } = policy.vary
  const values = policy.vary.headers.map((name) =>
    normalizers?.has(name)
      ? selectingValue(name, headers, normalizers)
      : fieldText(headers[name], sent[name]),
  )
  for (const name of policy.vary.cookies) values.push(cookieValue(sent['cookie'], name))
  if (policy.vary.by !== undefined) values.push(identity)
  return values
}

/**
 * A schema may have made a number, a list or null of a field, or have taken it away; what hooks made
 * of the text before is still there. No text of a field has a NUL.
 */
export function fieldText(value: unknown, sent: unknown): string | undefined {
  if (typeof value === 'string' || (value === undefined && sent === undefined)) return value
  return `\0${inspect([value, sent], { depth: null, maxArrayLength: null, maxStringLength: null })}`
}
