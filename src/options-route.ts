import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Duration } from './durations.ts'
import { InvalidOptionError } from './errors.ts'
import type { QueryFilter } from './http/query.ts'
import type { Normalizers } from './http/vary.ts'
import { MAX_TAGS, tagProblem } from './invalidation/tags.ts'
import { isFieldName, isFieldValue } from './http/fields.ts'
import {
  type CheckedCoalesceOptions,
  type CoalesceOptions,
  checkCoalesce,
} from './options-coalesce.ts'
import {
  type CheckedHttpOptions,
  HTTP_OPTIONS,
  type NormalizeOptions,
  checkHttpOptions,
  checkNormalize,
} from './options-http.ts'
import {
  type CheckedSpread,
  SPREAD_OPTIONS,
  type SpreadOptions,
  checkSpread,
  checkStatuses,
} from './options-lifetime.ts'
import { OptionsReader } from './options-reader.ts'

/**
 * The request as the functions of a route's options see it. The types of one route's parameters do
 * not reach its `config`, so `params` and `query` are open here.
 */
export type CacheRequest = Omit<FastifyRequest, 'params' | 'query'> & {
  // oxlint-disable-next-line typescript/no-explicit-any
  params: any
  // oxlint-disable-next-line typescript/no-explicit-any
  query: any
}

/** What two requests must have in common, beyond route, host, protocol, path and query. */
export interface VaryOptions {
  /** Request header fields whose values are part of the key. */
  headers?: readonly string[]
  /** Cookies whose values are part of the key. */
  cookies?: readonly string[]
  /** Which query parameters are part of the key: `only` these, or all but those in `ignore`. */
  query?: QueryFilter
  /**
   * The identity or segment (user, tenant, role) the response depends on. Runs after all hooks, so
   * `request.user` is there. `undefined` means that the request has none: with credentials it then
   * goes around the cache.
   */
  by?: (request: CacheRequest) => string | undefined
  /** Makes values of negotiation fields that mean the same the same: fewer variants. */
  normalize?: NormalizeOptions
}

/** Options of one route, under `config.cache`; `true` takes the plugin's `defaults`. */
export interface RouteCacheOptions extends SpreadOptions {
  /**
   * Freshness lifetime: seconds, text such as `'5m'`, a function of the answer, or `'headers'` for
   * what the response's own Cache-Control or Expires say. A function may return undefined: not stored.
   */
  ttl?:
    | Duration
    | 'headers'
    | ((request: CacheRequest, reply: FastifyReply, payload: unknown) => Duration | undefined)
  /** Tags by which the response can be invalidated. The handler may add more: `reply.cacheTags()`. */
  tags?:
    | readonly string[]
    | ((request: CacheRequest, reply: FastifyReply, payload: unknown) => readonly string[])
  /** On unsafe routes: tags to invalidate after a 2xx or 3xx, before the client has its answer. */
  invalidates?:
    | readonly string[]
    | ((request: CacheRequest, reply: FastifyReply) => readonly string[])
  /**
   * After a 2xx or 3xx to an unsafe method: invalidate the URL of the request with all its queries,
   * and those of the same origin in Location and Content-Location (RFC 9111 §4.4), before the client
   * has its answer. Routes that write have this where they set `invalidates`, or where a cached route
   * has the same URL pattern.
   * @default true
   */
  invalidateTarget?: boolean
  vary?: VaryOptions
  /**
   * The response is the same for everyone, although requests carry credentials.
   * @default false
   */
  public?: boolean
  /**
   * Serve a stale response for this long while one run of the handler refreshes it (RFC 5861 §3): in
   * the background, or, where the key holds an identity, by the first request that finds it stale.
   * Never what says must-revalidate. A response's own stale-while-revalidate goes before.
   */
  staleWhileRevalidate?: Duration
  /**
   * Serve a stale response for this long in place of an error: the handler threw, or answered with
   * 500 to 599 (RFC 5861 §4). A response's own stale-if-error goes before.
   */
  staleIfError?: Duration
  /**
   * Which statuses may be stored, each with its own lifetime, or `true` for `ttl`.
   * @default { 200: true }; with `ttl: 'headers'` each status, but 206 and 304, that states a lifetime
   */
  statuses?: Record<number, Duration | true>
  /**
   * `'eventual'`: other processes see an invalidation as fast as the log delivers it, and never
   * later than `stats().stalenessBoundMs`. `'strict'`: each hit is confirmed by Redis first.
   * @default 'eventual'
   */
  consistency?: 'eventual' | 'strict'
  /**
   * For handlers that read replicas: how far these may lag. For this long after an invalidation of one
   * of its tags has come to this process, what the handler makes is not stored. @default 0
   */
  settle?: Duration
  /**
   * Concurrent misses of one key share one handler run: in this process, with `fleet: true` in all.
   * @default { maxWaitMs: 5000, fleet: false }
   */
  coalesce?: boolean | CoalesceOptions
  /** Sends a request around the cache. */
  bypass?: (request: CacheRequest) => boolean
  /** The Cache-Control sent to clients with stored responses that do not set their own. */
  clientCacheControl?: string
  /** Bodies above this many bytes are not stored. @default the plugin's `memory.maxEntryBytes` */
  maxBytes?: number
  /**
   * Honour the Cache-Control of requests (RFC 9111 §5.2.1): no-cache, no-store, max-age, min-fresh,
   * max-stale, only-if-cached. Off by default: with it a client can force work.
   * @default false
   */
  requestDirectives?: boolean
  /**
   * Give responses that have no ETag one, made of their content when they are stored.
   * @default false
   */
  etag?: boolean
  /** Answer Range requests with 206 out of stored responses. @default true with `ttl: 'headers'` */
  ranges?: boolean
  /**
   * With `ttl: 'headers'`: targeted fields (RFC 9213) that go before Cache-Control, the most
   * applicable first, as `['CDN-Cache-Control']`.
   * @default []
   */
  targets?: readonly string[]
  /**
   * With `ttl: 'headers'`: guess a lifetime from Last-Modified where a response states none
   * (RFC 9111 §4.2.2).
   * @default false
   */
  heuristicFreshness?: boolean
  /**
   * With `ttl: 'headers'`: `'store'` keeps responses with Set-Cookie where their Cache-Control allows
   * it, and sends the same cookies to everybody. Only for origins that set none that identify people.
   * @default 'refuse'
   */
  setCookie?: 'refuse' | 'store'
  /**
   * With the plugin option `audit`: whether hits on this route are among those that are computed once
   * more. Not for handlers that cost much, or whose answers may be as old as their `ttl`.
   * @default true
   */
  audit?: boolean
  /** A last word on storing an answer that the cache would store. */
  storable?: (request: CacheRequest, reply: FastifyReply, payload: unknown) => boolean
}

const KNOWN = [
  ...['ttl', 'tags', 'invalidates', 'invalidateTarget', 'vary', 'public'],
  ...['staleWhileRevalidate', 'staleIfError', 'statuses', 'consistency', 'settle', 'coalesce'],
  ...[
    'audit',
    'bypass',
    'clientCacheControl',
    'maxBytes',
    'storable',
    ...HTTP_OPTIONS,
    ...SPREAD_OPTIONS,
  ],
]

type Fn<Name extends keyof RouteCacheOptions> = Extract<
  RouteCacheOptions[Name],
  (...args: never[]) => unknown
>

/** Route options after validation: durations in seconds, defaults filled in. */
export interface CheckedRouteOptions extends CheckedSpread, CheckedCoalesceOptions {
  ttl: number | 'headers' | Fn<'ttl'> | undefined
  tags: readonly string[] | Fn<'tags'>
  invalidates: readonly string[] | Fn<'invalidates'> | undefined
  invalidateTarget: boolean
  vary: {
    headers: readonly string[]
    cookies: readonly string[]
    query: QueryFilter | undefined
    by: VaryOptions['by']
    normalizers: Normalizers | undefined
  }
  public: boolean
  statuses: ReadonlyMap<number, number | true>
  /** All that state a lifetime, whatever `statuses` names. */
  anyStatus: boolean
  http: CheckedHttpOptions
  strict: boolean
  settleMs: number
  audit: boolean
  bypass: RouteCacheOptions['bypass']
  clientCacheControl: string | undefined
  maxBytes: number
  storable: RouteCacheOptions['storable']
}

/** Checks route options merged over the defaults. `where` names the route in messages. */
export function checkRouteOptions(
  where: string,
  options: RouteCacheOptions,
  maxEntryBytes: number,
): CheckedRouteOptions {
  const reader = new OptionsReader(where, options, KNOWN)
  const ttl = checkTtl(reader)
  return {
    ttl,
    tags: checkTags(reader, 'tags') ?? [],
    invalidates: checkTags(reader, 'invalidates'),
    invalidateTarget: reader.flag('invalidateTarget') ?? true,
    vary: checkVary(reader),
    public: reader.flag('public') ?? false,
    statuses: checkStatuses(reader),
    ...checkSpread(reader),
    anyStatus: ttl === 'headers' && !reader.has('statuses'),
    http: checkHttpOptions(reader, ttl === 'headers'),
    strict: reader.oneOf('consistency', ['eventual', 'strict']) === 'strict',
    settleMs: (reader.duration('settle') ?? 0) * 1000,
    ...checkCoalesce(reader),
    audit: reader.flag('audit') ?? true,
    bypass: reader.function<NonNullable<RouteCacheOptions['bypass']>>('bypass'),
    clientCacheControl: checkClientCacheControl(reader),
    maxBytes: reader.integer('maxBytes', 1) ?? maxEntryBytes,
    storable: reader.function<NonNullable<RouteCacheOptions['storable']>>('storable'),
  }
}

function checkClientCacheControl(reader: OptionsReader): string | undefined {
  const value = reader.text('clientCacheControl')
  if (value === undefined || isFieldValue(value)) return value
  return reader.fail('clientCacheControl', "a header value such as 'public, max-age=60'")
}

function checkTtl(reader: OptionsReader): CheckedRouteOptions['ttl'] {
  const ttl = reader.value('ttl')
  if (ttl === 'headers') return ttl
  if (typeof ttl === 'function') {
    reader.refuseAsync('ttl')
    return ttl as Fn<'ttl'>
  }
  return reader.duration('ttl', ", 'headers', or a function of (request, reply, payload)")
}

function checkTags<Name extends 'tags' | 'invalidates'>(
  reader: OptionsReader,
  name: Name,
): readonly string[] | Fn<Name> | undefined {
  if (typeof reader.value(name) === 'function') {
    reader.refuseAsync(name)
    return reader.value(name) as Fn<Name>
  }
  const tags = reader.strings(name)
  const problem = tags?.map(tagProblem).find((each) => each !== undefined)
  if (problem !== undefined) throw new InvalidOptionError(`${reader.path(name)}: ${problem}`)
  if (tags !== undefined && tags.length > MAX_TAGS) {
    throw new InvalidOptionError(
      `${reader.path(name)} has ${tags.length} tags; ${MAX_TAGS} is the most`,
    )
  }
  return tags
}

function checkVary(reader: OptionsReader): CheckedRouteOptions['vary'] {
  const vary = reader.object('vary', ['headers', 'cookies', 'query', 'by', 'normalize'])
  const query = vary?.object('query', ['only', 'ignore'])
  const only = query?.strings('only')
  const ignore = query?.strings('ignore')
  if (only && ignore) query!.fail('ignore', 'left out when `only` is given')
  const headers = (vary?.strings('headers') ?? []).map((name) => name.toLowerCase()).sort()
  // A field name, and not `*`, which is the end of all caching.
  if (headers.some((name) => !isFieldName(name) || name === '*')) {
    vary!.fail('headers', 'a list of header names')
  }
  return {
    headers,
    cookies: [...(vary?.strings('cookies') ?? [])].sort(),
    query: only ? { only } : ignore ? { ignore } : undefined,
    by: vary?.function<NonNullable<VaryOptions['by']>>('by'),
    normalizers: vary && checkNormalize(vary),
  }
}
