import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { targetTags } from './exchange-target.ts'
import {
  type CacheNotes,
  type CapturedAnswer,
  type Exchange,
  NOTES,
  tellStatus,
} from './exchange.ts'
import { type CacheStatus, STORED_MISS, STORED_STALE } from './http/cache-status.ts'
import { type FieldValue, listMembers } from './http/fields.ts'
import { explicitLifetime } from './http/freshness.ts'
import {
  type FieldReader,
  type NotStoredReason,
  privateSign,
  varyIsKeyed,
} from './http/storability.ts'
import { MAX_TAGS } from './invalidation/tags.ts'
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
  const verdict = verdictOn(exchange, entry, reply.request[NOTES])
  const set = (name: string, value: string): void => {
    if (headers === undefined) reply.raw.setHeader(name, value)
    else headers[name] = value
  }
  const upstream = final('cache-status')
  tellStatus(exchange.cache, verdict, (name, value) =>
    // RFC 9211 §2: each cache on the way adds its member at the end.
    set(
      name,
      name === 'cache-status' && upstream !== undefined ? `${String(upstream)}, ${value}` : value,
    ),
  )
  const { clientCacheControl } = exchange.policy
  if (clientCacheControl && verdict.stored && final('cache-control') === undefined) {
    set('cache-control', clientCacheControl)
  }
  return entry
}

/** Once the header section is on its way: stores what may be stored, releases those who wait. */
export function settleOnWire(
  exchange: Exchange,
  reply: FastifyReply,
  entry: StoredEntry | NotStoredReason,
): void {
  exchange.conclude(verdictOn(exchange, entry, reply.request[NOTES]))
  if (typeof entry === 'string') {
    release(exchange, entry === 'invalidated' ? 'overtaken' : 'uncacheable')
    return
  }
  if (entry.epoch !== '') void exchange.cache.tiers.store(exchange.key, entry)
  if (exchange.flight !== undefined) release(exchange, new Cached(entry, 'handler'))
}

function verdictOn(
  exchange: Exchange,
  entry: StoredEntry | NotStoredReason,
  notes: CacheNotes | undefined,
): CacheStatus {
  const { fwd } = exchange
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  const reason = typeof entry === 'string' ? entry : entry.epoch === '' ? 'unavailable' : undefined
  if (reason === undefined) {
    return fwd === 'stale' ? STORED_STALE : STORED_MISS
  }
  const message = reason === 'skipped' ? notes?.skip?.reason : undefined
  return { hit: false, fwd, detail: reason, ...(message === undefined ? {} : { message }) }
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.key, flight, outcome, cache.tiers.now())
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
  if (exchange.hasToken) return 'csrf-token'
  if (exchange.sawIgnored) return 'query'
  if (reply.request[NOTES]?.skip !== undefined) return 'skipped'
  if (!answer?.complete) return 'incomplete'
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !policy.statuses.has(status)) return 'status'
  if (answer.fields === undefined) return 'fields'
  const { set } = answer.fields
  const { before } = exchange.fill!
  const own: FieldReader = (name) => {
    for (const pair of set) if (pair[0] === name) return pair[1]
    return undefined
  }
  const { origin } = reply.request.headers
  if (!varyIsKeyed(hooksVary(before['vary']), policy.keyedFields)) return 'vary'
  return privateSign(own, final, policy.keyedFields, origin) ?? complete(exchange, reply, final)
}

/**
 * What a hook varies on before the handler, the handler may have seen. Origin is what @fastify/cors
 * writes on every response, for fields that are made anew on every hit.
 */
function hooksVary(vary: FieldValue | undefined): string[] | undefined {
  return vary === undefined ? undefined : listMembers(vary).filter((name) => name !== 'origin')
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
  const notes = reply.request[NOTES]
  const stated = notes?.ttl ?? answer!.ttl
  const ttl = stated === 'headers' ? explicitLifetime(final, now) : stated
  if (ttl === undefined || ttl <= 0) return 'ttl'
  if (bodyLength(answer!.body) > exchange.policy.maxBytes) return 'too-big'
  const tags = allTags(exchange, answer!, notes)
  if (tags === undefined) return 'too-many-tags'
  const entry: StoredEntry = {
    epoch: exchange.fill!.fence.epoch,
    seq: exchange.fill!.fence.seq,
    tags,
    storedAt: now,
    freshUntil: now + ttl * 1000,
    status: answer!.status,
    headers: answer!.fields!.set,
    removed: answer!.fields!.removed,
    body: ownBody(answer!.body),
  }
  if (!tiers.hasRoom(exchange.key, entry)) return 'too-big'
  if (carriesNonce(reply, entry)) return 'nonce'
  // Nothing at all was invalidated while the handler ran: then these tags were not either.
  return log.version === knownVersion || log.allows(entry) ? entry : 'invalidated'
}

/** Hooks may add tags until the very end. */
function allTags(
  { target }: Exchange,
  answer: CapturedAnswer,
  notes: CacheNotes | undefined,
): readonly string[] | undefined {
  const own = notes?.tags ? [...new Set([...answer.tags, ...notes.tags])] : answer.tags
  if (own.length > MAX_TAGS) return undefined
  const tags = targetTags(target!)
  for (const tag of own) tags.push(tag)
  return tags
}

function bodyLength(body: string | Uint8Array | undefined): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0)
}

/**
 * A copy of our own: the handler may use its buffer again, a pooled one would pin the pool, and a
 * part of a long text would pin the whole of it.
 */
function ownBody(body: string | Uint8Array | undefined): string | Buffer | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return Buffer.from(body).toString()
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
      (body?.includes(nonce) || headers.some(([, value]) => String(value).includes(nonce))),
  )
}
