import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { type CapturedAnswer, type Exchange, targetTags, tellStatus } from './exchange.ts'
import { type CacheStatus, STORED_MISS, STORED_STALE } from './http/cache-status.ts'
import type { FieldValue } from './http/fields.ts'
import { explicitLifetime } from './http/freshness.ts'
import { type FieldReader, type NotStoredReason, privateSign } from './http/storability.ts'
import { Cached } from './store/cached.ts'
import type { StoredEntry } from './stored-response.ts'

/** A header section as it is given to `writeHead`. */
export type HeadFields = Record<string, unknown>

/**
 * The last moment: status and header section are final. Decides whether the answer may be stored
 * and tells the client. Returns the entry to keep, or why there is none.
 */
export function judgeOnWire(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  headers: HeadFields | undefined,
): StoredEntry | NotStoredReason {
  const final: FieldReader = (name) =>
    (headers?.[name] ?? reply.raw.getHeader(name)) as FieldValue | undefined
  const entry = judge(exchange, reply, status, final)
  const verdict = conclude(exchange, entry)
  const set = (name: string, value: string): void => {
    if (headers === undefined) reply.raw.setHeader(name, value)
    else headers[name] = value
  }
  tellStatus(exchange.cache, verdict, set)
  const { clientCacheControl } = exchange.policy
  if (clientCacheControl && verdict.stored && final('cache-control') === undefined) {
    set('cache-control', clientCacheControl)
  }
  return entry
}

/** Once the header section is on its way: stores what may be stored, releases those who wait. */
export function settleOnWire(exchange: Exchange, entry: StoredEntry | NotStoredReason): void {
  if (typeof entry === 'string') {
    release(exchange, entry === 'invalidated' ? 'overtaken' : 'uncacheable')
    return
  }
  if (entry.epoch !== '') void exchange.cache.tiers.store(exchange.key, entry)
  if (exchange.flight !== undefined) release(exchange, new Cached(entry, 'handler'))
}

function conclude(exchange: Exchange, entry: StoredEntry | NotStoredReason): CacheStatus {
  const { fwd, fill } = exchange
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  const reason = typeof entry === 'string' ? entry : entry.epoch === '' ? 'unavailable' : undefined
  if (reason === undefined) {
    return exchange.conclude(fwd === 'stale' ? STORED_STALE : STORED_MISS)
  }
  const message = reason === 'skipped' ? fill!.skipReason : undefined
  return exchange.conclude({
    hit: false,
    fwd,
    detail: reason,
    ...(message === undefined ? {} : { message }),
  })
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.key, flight, outcome, exchange.arrivedAt)
}

/** The entry to store, or the reason why there is none. */
function judge(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  final: FieldReader,
): StoredEntry | NotStoredReason {
  const { policy } = exchange
  const { answer, failure } = exchange.fill!
  if (reply.request.is404) return 'not-found-handler'
  if (failure !== undefined) return failure
  if (answer?.body === undefined) return 'incomplete'
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !policy.statuses.has(status)) return 'status'
  if (answer.fields === undefined) return 'fields'
  const { set } = answer.fields
  const own: FieldReader = (name) => {
    for (const pair of set) if (pair[0] === name) return pair[1]
    return undefined
  }
  const { origin } = reply.request.headers
  return privateSign(own, final, policy.keyedFields, origin) ?? complete(exchange, reply, final)
}

/** The last questions need the entry itself. */
function complete(
  exchange: Exchange,
  reply: FastifyReply,
  final: FieldReader,
): StoredEntry | NotStoredReason {
  const { tiers, log } = exchange.cache
  const { answer, knownVersion } = exchange.fill!
  const now = tiers.now()
  const ttl = answer!.ttl === 'headers' ? explicitLifetime(final, now) : answer!.ttl
  if (ttl === undefined || ttl <= 0) return 'ttl'
  const body = ownBody(answer!.body!, exchange.policy.maxBytes)
  if (body === undefined) return 'too-big'
  const contentType = final('content-type')
  if (contentType === undefined && body.length > 0) return 'content-type'
  const entry: StoredEntry = {
    epoch: exchange.fill!.fence.epoch,
    seq: exchange.fill!.fence.seq,
    tags: allTags(exchange, answer!),
    storedAt: now,
    freshUntil: now + ttl * 1000,
    status: answer!.status,
    headers: headersOf(answer!, contentType),
    removed: answer!.fields!.removed,
    body,
  }
  if (carriesNonce(reply, entry)) return 'nonce'
  // Nothing at all was invalidated while the handler ran: then these tags were not either.
  return log.version === knownVersion || log.allows(entry) ? entry : 'invalidated'
}

function allTags({ target }: Exchange, answer: CapturedAnswer): string[] {
  const tags = targetTags(target!)
  for (const tag of answer.tags) tags.push(tag)
  return tags
}

/** Fastify completes the content type after the handler's answer, so the final one is kept. */
function headersOf(
  { fields }: CapturedAnswer,
  contentType: FieldValue | undefined,
): [string, string | string[]][] {
  const headers: [string, string | string[]][] = []
  if (contentType !== undefined) headers.push(['content-type', String(contentType)])
  for (const pair of fields!.set) if (pair[0] !== 'content-type') headers.push(pair)
  return headers
}

/**
 * A copy of our own: the handler may use its buffer again, a pooled one would pin the pool, and a
 * part of a long text would pin the whole of it.
 */
function ownBody(body: string | Uint8Array, maxBytes: number): string | Buffer | undefined {
  if (typeof body === 'string') {
    // A text has at least as many bytes as code units.
    if (body.length > maxBytes) return undefined
    const bytes = Buffer.from(body)
    return bytes.length > maxBytes ? undefined : bytes.toString()
  }
  if (body.length > maxBytes) return undefined
  const buffer = Buffer.allocUnsafeSlow(body.length)
  buffer.set(body)
  return buffer
}

/** A nonce (of @fastify/helmet) in a page allows scripts for one response only. */
function carriesNonce(reply: FastifyReply, { body, headers }: StoredEntry): boolean {
  const { cspNonce } = reply as { cspNonce?: unknown }
  if (cspNonce === null || typeof cspNonce !== 'object') return false
  return Object.values(cspNonce).some(
    (nonce) =>
      typeof nonce === 'string' &&
      nonce !== '' &&
      (body.includes(nonce) || headers.some(([, value]) => String(value).includes(nonce))),
  )
}
