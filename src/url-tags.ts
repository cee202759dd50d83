import { parse } from 'node:querystring'

import { canonicalTarget, splitTarget } from './http/cache-key.ts'
import type { QueryPredicate } from './http/query.ts'
import { encodeTag } from './invalidation/tags.ts'

/** The tag of a path, whatever its query. */
export function pathTag(url: string): string {
  return encodeTag('path', splitTarget(url).path)
}

/** The tag of one path with one query, as `canonicalTarget` writes it with the filter of that name. */
export function exactTag(canonical: string, filterId: string): string {
  return encodeTag('url', filterId + canonical)
}

/** Reads the query of a target as the application does. */
export type QueryReader = (target: string) => unknown

/**
 * The tags that `invalidateUrl` has to invalidate. Without a query every query of the path is
 * meant; with one, that query as each route's filter sees it.
 */
export function tagsOfUrl(
  url: string,
  filters: Iterable<[id: string, counts: QueryPredicate | undefined]>,
  readQuery: QueryReader,
): string[] {
  const target = originForm(url)
  if (!target.includes('?')) return [pathTag(target)]
  const query = readQuery(target) ?? parse(splitTarget(target).rawQuery)
  const exact = [...filters].map(([id, counts]) =>
    exactTag(canonicalTarget(target, query, counts), id),
  )
  return [...new Set(exact)]
}

/** The path and query of a URL, or of a path; every host that serves it is meant. */
export function originForm(url: string): string {
  if (url.startsWith('/') && !url.includes('#')) return url
  const withoutFragment = url.split('#', 1)[0]!
  const rest = withoutFragment.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}
