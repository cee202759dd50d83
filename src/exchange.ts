import type { IncomingHttpHeaders } from 'node:http'

import type { FastifyRequest } from 'fastify'

import type { Flight } from './collapser.ts'
import type { StreamOutcome } from './exchange-recording.ts'
import { findTarget } from './exchange-target.ts'
import type { FleetLease } from './fleet-lease.ts'
import {
  type BypassReason,
  type CacheStatus,
  type ForwardReason,
  formatCacheStatus,
  formatXCache,
} from './http/cache-status.ts'
import type { Conditions } from './http/revalidation.ts'
import { hasOriginCondition } from './http/conditional.ts'
import type { CacheControl } from './http/directives.ts'
import { type RequestFields, uncoveredCredential } from './http/credentials.ts'
import type { HandlerFields } from './http/handler-fields.ts'
import type { NotStoredReason } from './http/storability.ts'
import type { Fields } from './http/fields.ts'
import type { Input } from './input-guard.ts'
import type { KnownTarget } from './key-memo.ts'
import type { Policy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import { type RefreshContext, refreshOf } from './refresh-request.ts'
import type { Cached } from './store/cached.ts'
import type { LogPosition, VariantIndex } from './stored-response.ts'
import { countLatency, countStatus } from './telemetry.ts'

/** Where a request keeps its exchange; state on the route would not survive `callNotFound()`. */
export const EXCHANGE: unique symbol = Symbol('fastify-response-cache.exchange')

/** Where a request keeps what was said of its answer, perhaps before there is an exchange. */
export const NOTES: unique symbol = Symbol('fastify-response-cache.notes')

/** What a route is attached to; under this name in its `config`. */
export const ROUTE: unique symbol = Symbol('fastify-response-cache.route')

declare module 'fastify' {
  interface FastifyRequest {
    [EXCHANGE]?: Exchange
    [NOTES]?: CacheNotes
  }
}

/** What is known of a request on its way: may it use the cache, under which key, and what came of it. */
export class Exchange {
  readonly cache: ResponseCache
  readonly policy: Policy
  readonly arrivedAt: number
  /** Why this request goes around the cache. */
  bypass: string | undefined = undefined
  target: KnownTarget | undefined = undefined
  /** The key with the values of the route's own vary dimensions. */
  primaryKey = ''
  /** The key of what answers this request: the primary, or that of its variant. */
  key = ''
  /** The request fields that select among the variants under the primary key, as far as known. */
  variants: VariantIndex | undefined = undefined
  /** What the client's Cache-Control asks for, where the route honours it. */
  demands: CacheControl | undefined = undefined
  /** A stored response that may not answer as it is; the handler may confirm it, or fail. */
  stale: Cached | undefined = undefined
  /** What the handler is asked to compare with, in place of the client's own conditions. */
  conditions: Conditions | undefined = undefined
  /** This is no client's request but the background refresh of what is stored. */
  refresh: RefreshContext | undefined = undefined
  status: CacheStatus | undefined = undefined
  /** Whether the request came with it; a handler may hide it from its origin. */
  hasAuthorization = false
  /** The fields as they came, where a schema may change some before the key is complete. */
  sentFields: RequestFields | undefined = undefined
  /** Why a handler would have to run. */
  fwd: ForwardReason = 'uri-miss'
  flight: Flight | undefined = undefined
  flightKey = ''
  /** Other processes wait for this run. */
  lease: FleetLease | undefined = undefined
  /** A CSRF token was made for this request. */
  hasToken = false
  /** What the client has written last: what it gets is from after that. */
  after: LogPosition | undefined = undefined
  /** While it waits for another: the position that had been reached `settle` before it came. */
  settledSeq: number = Infinity
  /** Neither joins the computation of another nor has others join. */
  isAlone = false
  /** When the clock of its latency started, in milliseconds of `performance.now()`; 0: none runs. */
  clockAt = 0
  /** Somebody looked at what `vary.query` leaves out of the key. */
  sawIgnored = false
  /** With `inputGuard`: what the handler has read. */
  inputs: ReadonlyMap<string, Input> | undefined = undefined
  /** What the handler says of its answer, if it runs for the cache. */
  fill: Fill | undefined = undefined

  constructor(cache: ResponseCache, policy: Policy, arrivedAt: number) {
    this.cache = cache
    this.policy = policy
    this.arrivedAt = arrivedAt
  }

  /** One status per request: it is counted, and told to the client, exactly once. */
  conclude(status: CacheStatus): CacheStatus {
    const { stats } = this.policy
    if (this.status === undefined) {
      countStatus(stats, status)
      if (this.clockAt !== 0) countLatency(stats, status, performance.now() - this.clockAt)
    }
    this.status = status
    return status
  }
}

/** A handler run whose answer may be stored, and what became of it. */
export class Fill {
  /** The log's position when the handler started: what it read may be as old as that. */
  readonly fence: LogPosition
  /** The log's version at that moment: while it is the same, nothing was invalidated. */
  readonly knownVersion: number
  /** The header section when the handler started: what hooks and plugins had made of it. */
  readonly before: Fields
  /** Those of the request at that moment: what the handler changes says nothing of its client. */
  requestFields: RequestFields = {}
  startedAt = 0
  /** The position that had been reached `settle` before that. */
  settledSeq: number = Infinity
  failure: NotStoredReason | undefined = undefined
  /** The handler has answered, before any hook saw it; until then all below says nothing. */
  answered = false
  status = 0
  fields: HandlerFields | undefined = undefined
  tags: readonly string[] = []
  ttl: number | 'headers' | undefined = undefined
  /** Undefined where the handler sent nothing. */
  body: string | Uint8Array | undefined = undefined
  /** The body flows to the client still; what becomes of it is told later. */
  flow: Flow | undefined = undefined
  /** Fields of the request as they came and as a schema made them, while the handler sees others. */
  ownRequestFields: IncomingHttpHeaders | undefined = undefined
  ownMadeFields: IncomingHttpHeaders | undefined = undefined
  /** The handler's own status, where another is made of it. */
  fwdStatus: number | undefined = undefined
  /** A stored response takes the place of what the handler said. */
  rescued = false
  /** The handler itself varies on Origin, and not only a hook that answers for CORS. */
  namesOrigin = false
  /** It came out of a serializer just now. */
  isSerialized = false
  /** The body is there; for an object only once it is serialized. */
  complete = false
  /** The header section is on its way, and all is decided. */
  concluded = false

  constructor(fence: LogPosition, knownVersion: number, before: Fields) {
    this.fence = fence
    this.knownVersion = knownVersion
    this.before = before
  }
}

/** A body that is collected while it flows: it and the judgement of its head come in any order. */
export interface Flow {
  outcome: StreamOutcome | undefined
  /** Called when both are there. */
  settle: (() => void) | undefined
}

/** What hooks and handler say of the answer by `reply.cache…()`: encoded tags, seconds. */
export interface CacheNotes {
  tags?: string[]
  ttl?: number
  skip?: { reason: string | undefined }
}

/** The onRequest step: eligibility by what the request itself says, and its key. Answers nothing. */
export function openExchange(
  cache: ResponseCache,
  policy: Policy,
  request: FastifyRequest,
): Exchange {
  const exchange = new Exchange(cache, policy, cache.tiers.now())
  if (cache.revalidator.running > 0) {
    exchange.refresh = refreshOf(request.raw)
    exchange.lease = exchange.refresh?.lease
  }
  const { method } = request
  if (method !== 'GET' && method !== 'HEAD') {
    exchange.bypass = 'method' satisfies BypassReason
    return exchange
  }
  if (cache.readYourWrites !== undefined)
    exchange.after = cache.readYourWrites.take(request.headers)
  exchange.bypass = oddRequest(request.headers)
  exchange.hasAuthorization = request.headers.authorization !== undefined
  if (exchange.bypass === undefined && !policy.public && policy.vary.by === undefined) {
    exchange.bypass = credentialReason(exchange, request)
  }
  if (exchange.bypass === undefined) exchange.target = findTarget(cache, policy, request)
  if (policy.checksFields) exchange.sentFields = { ...request.headers }
  return exchange
}

export function credentialReason(exchange: Exchange, request: FastifyRequest): string | undefined {
  const { cache, policy } = exchange
  const fields = exchange.sentFields ?? request.headers
  const name = uncoveredCredential(fields, cache.credentialFields, policy.keyed)
  if (name !== undefined) return name
  // A client certificate that was verified is an identity that no field shows.
  const socket = request.raw.socket as { authorized?: boolean } | null
  return socket?.authorized === true ? ('client-certificate' satisfies BypassReason) : undefined
}

/** What makes a GET more than a question for a page. */
function oddRequest(fields: FastifyRequest['headers']): BypassReason | undefined {
  if (fields.upgrade !== undefined) return 'upgrade'
  if (fields['transfer-encoding'] !== undefined) return 'request-body'
  // RFC 9111 §4.3.2: such conditions are the origin's to evaluate.
  if (hasOriginCondition(fields)) return 'precondition'
  const length = fields['content-length']
  return length !== undefined && length !== '0' ? 'request-body' : undefined
}

/** Tells the client, one field after the other. */
export function tellStatus(
  cache: ResponseCache,
  status: CacheStatus,
  set: (name: string, value: string) => void,
): void {
  if (cache.statusHeader) set('cache-status', formatCacheStatus(status))
  if (cache.xCache) set('x-cache', formatXCache(status))
}
