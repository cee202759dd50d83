import { FRAME_FORMAT } from './stored-response.ts'
import { routeIdentity } from './http/cache-key.ts'
import type { KeyedCredentials } from './http/credentials.ts'
import { type QueryPredicate, compileQueryFilter } from './http/query.ts'
import { encodeTag } from './invalidation/tags.ts'
import type { CheckedRouteOptions } from './options-route.ts'
import { RouteCoalescing } from './route-coalescing.ts'
import type { RouteStats } from './telemetry.ts'

/** One route's options, compiled once: everything that does not depend on the request. */
export interface Policy extends CheckedRouteOptions {
  /** The route pattern, as `/products/:id`. */
  readonly route: string
  /** Part of every key: which route this is, and by what its responses vary. */
  readonly identity: string
  readonly routeTag: string
  /** Tags from the options, encoded; a function's are encoded when it has run. */
  readonly encodedTags: readonly string[]
  readonly counts: QueryPredicate | undefined
  /** Names the query filter, so that equal filters are looked up once. */
  readonly filterId: string
  readonly hasVariants: boolean
  /** The route has a schema of request fields: what it does not name, it may take away. */
  readonly checksFields: boolean
  /** Request fields in the key, lower case. */
  readonly keyedFields: ReadonlySet<string>
  readonly keyed: KeyedCredentials
  /** A share of its hits is computed once more. */
  readonly audited: boolean
  /** Whether a hit is an occasion for anything but its answer. */
  readonly looksAtHits: boolean
  readonly stats: RouteStats
  readonly coalescing: RouteCoalescing
}

export interface RouteFacts {
  url: string
  constraints: Record<string, unknown>
  namespace: string
  checksFields: boolean
  /** The plugin audits what its routes serve. */
  audits: boolean
}

export function compilePolicy(
  route: RouteFacts,
  options: CheckedRouteOptions,
  stats: RouteStats,
): Policy {
  const { headers, cookies, by, query } = options.vary
  const keyedFields = new Set(headers)
  // A policy that varies on other things is another route to the key: a change of options can
  // never make old responses be read in a new way.
  const { http } = options
  // The background knows nobody's identity.
  const isForBackground = by === undefined && cookies.length === 0
  const earlyRefresh = isForBackground ? options.earlyRefresh : 0
  const audited = isForBackground && route.audits && options.audit
  const vary = [
    ...headers.map((name) => `h${name}`),
    ...cookies.map((name) => `c${name}`),
    ...(by ? ['b'] : []),
    ...(options.public ? ['p'] : []),
    ...(http.storesCookies ? ['s'] : []),
    `q${JSON.stringify(query ?? null)}`,
  ]
  return {
    ...options,
    earlyRefresh,
    route: route.url,
    identity: routeIdentity({ format: FRAME_FORMAT, ...route, url: withoutSlash(route.url), vary }),
    routeTag: encodeTag('route', route.url),
    encodedTags:
      typeof options.tags === 'function' ? [] : options.tags.map((tag) => encodeTag('tag', tag)),
    counts: compileQueryFilter(query),
    filterId: query === undefined ? '' : JSON.stringify(query),
    hasVariants: headers.length > 0 || cookies.length > 0 || by !== undefined,
    checksFields: route.checksFields,
    keyedFields,
    audited,
    looksAtHits: audited || earlyRefresh !== 0,
    keyed: { headers: keyedFields, cookies: new Set(cookies) },
    stats,
    coalescing: new RouteCoalescing(stats),
  }
}

/** `/api` and `/api/` may be one route with two paths, and the path is part of the key anyway. */
function withoutSlash(url: string): string {
  return url.length > 1 && url.endsWith('/') ? url.slice(0, -1) : url
}
