import { parse } from 'node:querystring'

import { splitTarget } from './http/cache-key.ts'
import { encodePart } from './http/encoding.ts'
import { type QueryPredicate, canonicalQuery } from './http/query.ts'
import { encodeTag } from './invalidation/tags.ts'

/** The tags under which a response can be invalidated by URL: its path, and its path with query. */
export function urlTags(
  url: string,
  query: unknown,
  counts: QueryPredicate | undefined,
): [path: string, exact: string] {
  const { path, rawQuery } = splitTarget(url)
  const exact = encodePart(path) + canonicalQuery(query, rawQuery, counts)
  return [encodeTag('path', path), encodeTag('url', exact)]
}

/** Reads a query string as the application does. */
export type QueryReader = (target: string) => unknown

/**
 * The tags that `invalidateUrl` has to invalidate. Without a query every query of the path is
 * meant; with one, that query as each route's filter sees it.
 */
export function tagsOfUrl(
  url: string,
  filters: Iterable<QueryPredicate | undefined>,
  readQuery: QueryReader,
): string[] {
  const target = originForm(url)
  const { path, rawQuery } = splitTarget(target)
  if (!target.includes('?')) return [encodeTag('path', path)]
  const query = readQuery(target) ?? parse(rawQuery)
  return [...new Set([...filters].map((counts) => urlTags(target, query, counts)[1]))]
}

/** The path and query of a URL, or of a path; every host that serves it is meant. */
function originForm(url: string): string {
  const withoutFragment = url.split('#', 1)[0]!
  const rest = withoutFragment.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}
