import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { hasRawFields } from './exchange-fields.ts'
import { targetTags } from './exchange-target.ts'
import { type CacheNotes, type Exchange, type Fill, NOTES, tellStatus } from './exchange.ts'
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
import { type StoredEntry, bodyBytes, plainLifetimes } from './stored-response.ts'

/** A header section as it is given to `writeHead`. */
export type HeadFields = Record<string, unknown>

/** What is to be kept of an answer, if anything, and what is said of it. */
export interface Judgement {
  readonly entry: StoredEntry | undefined
  /** What the entry costs the tier in memory, in bytes. */
  readonly size: number
  readonly status: CacheStatus
  readonly overtaken: boolean
}

/**
 * The last moment: status and header section are final. Decides whether the answer may be stored
 * and tells the client.
 */
export function judgeOnWire(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  headers: HeadFields | undefined,
): Judgement {
  const final = finalFields(reply, headers)
  const entry = judge(exchange, reply, status, final)
  const judgement =
    typeof entry === 'string'
      ? withoutEntry(exchange, entry, reply.request[NOTES]?.skip?.reason)
      : withEntry(exchange, entry)
  const set = (name: string, value: string): void => {
    if (headers === undefined) reply.raw.setHeader(name, value)
    else headers[name] = value
  }
  const upstream = final('cache-status')
  tellStatus(exchange.cache, judgement.status, (name, value) =>
    // RFC 9211 §2: each cache on the way adds its member at the end.
    set(
      name,
      name === 'cache-status' && upstream !== undefined ? `${String(upstream)}, ${value}` : value,
    ),
  )
  const { clientCacheControl } = exchange.policy
  if (clientCacheControl && judgement.status.stored && final('cache-control') === undefined) {
    set('cache-control', clientCacheControl)
  }
  return judgement
}

function finalFields(reply: FastifyReply, headers: HeadFields | undefined): FieldReader {
  const { raw } = reply
  if (headers !== undefined && !hasRawFields(reply)) return (name) => headers[name] as FieldValue
  return (name) => (headers?.[name] ?? raw.getHeader(name)) as FieldValue | undefined
}

function withEntry(exchange: Exchange, { entry, size }: Storable): Judgement {
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  const status =
    entry.epoch === ''
      ? { hit: false, fwd: exchange.fwd, detail: 'unavailable' }
      : exchange.fwd === 'stale'
        ? STORED_STALE
        : STORED_MISS
  return { entry, size, status, overtaken: false }
}

/** There is nothing to keep, and this is why. */
export function withoutEntry(
  { fwd }: Exchange,
  reason: NotStoredReason,
  skipped?: string,
): Judgement {
  const message = reason === 'skipped' && skipped !== undefined ? { message: skipped } : undefined
  const status: CacheStatus = { hit: false, fwd, detail: reason, ...message }
  return { entry: undefined, size: 0, status, overtaken: reason === 'invalidated' }
}

/** Once the header section is on its way: stores what may be stored, releases those who wait. */
export function settleOnWire(exchange: Exchange, judgement: Judgement): void {
  const { entry, size } = judgement
  exchange.conclude(judgement.status)
  if (entry === undefined) {
    release(exchange, judgement.overtaken ? 'overtaken' : 'uncacheable')
    return
  }
  if (entry.epoch !== '') {
    const isNew = exchange.fwd === 'uri-miss'
    void exchange.cache.tiers.store(exchange.key, entry, { size, isNew })
  }
  const { flight } = exchange
  if (flight === undefined) return
  release(exchange, flight.waiters === undefined ? 'unwaited' : new Cached(entry, 'handler'))
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.key, flight, outcome, cache.tiers.now())
}

interface Storable {
  entry: StoredEntry
  size: number
}

/** The entry to store, or the reason why there is none. */
function judge(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  final: FieldReader,
): Storable | NotStoredReason {
  const { policy } = exchange
  const fill = exchange.fill!
  const { failure } = fill
  if (reply.request.is404) return 'not-found-handler'
  if (failure !== undefined) return failure
  if (exchange.hasToken) return 'csrf-token'
  if (reply.request[NOTES]?.skip !== undefined) return 'skipped'
  if (!fill.complete) return 'incomplete'
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !policy.statuses.has(status)) return 'status'
  if (fill.fields === undefined) return 'fields'
  const { set } = fill.fields
  const { before } = fill
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
): Storable | NotStoredReason {
  const { tiers, log } = exchange.cache
  const fill = exchange.fill!
  const now = tiers.now()
  const notes = reply.request[NOTES]
  const stated = notes?.ttl ?? fill.ttl
  const ttl = stated === 'headers' ? explicitLifetime(final, now) : stated
  if (ttl === undefined || ttl <= 0) return 'ttl'
  if (bodyBytes(fill.body) > exchange.policy.maxBytes) return 'too-big'
  const tags = allTags(exchange, fill, notes)
  if (tags === undefined) return 'too-many-tags'
  const entry: StoredEntry = {
    epoch: fill.fence.epoch,
    seq: fill.fence.seq,
    tags,
    ...plainLifetimes(now, now + ttl * 1000),
    status: fill.status,
    headers: fill.fields!.set,
    removed: fill.fields!.removed,
    varies: undefined,
    body: ownBody(fill),
  }
  const size = tiers.sizeOf(exchange.key, entry)
  if (!tiers.hasRoom(size)) return 'too-big'
  if (carriesNonce(reply, entry)) return 'nonce'
  // Nothing at all was invalidated while the handler ran: then these tags were not either.
  return log.version === fill.knownVersion || log.allows(entry) ? { entry, size } : 'invalidated'
}

/** Hooks may add tags until the very end. */
function allTags(
  { target }: Exchange,
  fill: Fill,
  notes: CacheNotes | undefined,
): readonly string[] | undefined {
  const own = notes?.tags ? [...new Set([...fill.tags, ...notes.tags])] : fill.tags
  if (own.length > MAX_TAGS) return undefined
  const tags = targetTags(target!)
  for (const tag of own) tags.push(tag)
  return tags
}

/**
 * A copy of our own: the handler may use its buffer again, a pooled one would pin the pool, and a
 * part of a long text would pin the whole of it. What a serializer made was made for this answer.
 */
function ownBody({ body, isSerialized }: Fill): string | Buffer | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return isSerialized ? body.toWellFormed() : ownText(body)
  const buffer = Buffer.allocUnsafeSlow(body.length)
  buffer.set(body)
  return buffer
}

/** Texts are copied through it; it never leaves this file. */
const SCRATCH = Buffer.allocUnsafeSlow(32 * 1024)

function ownText(text: string): string {
  // Three bytes are the most that a code unit can take.
  if (text.length * 3 > SCRATCH.length) return Buffer.from(text).toString()
  return SCRATCH.toString('utf8', 0, SCRATCH.write(text))
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
