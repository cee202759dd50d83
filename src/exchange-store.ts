import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { lifetimesOf } from './exchange-lifetime.ts'
import type { StreamOutcome } from './exchange-stream.ts'
import { hasRawFields } from './exchange-fields.ts'
import { targetTags } from './exchange-target.ts'
import { type VariantIndex, indexEntry, indexWith, keyOfVariant } from './exchange-variants.ts'
import { type CacheNotes, type Exchange, type Fill, NOTES, tellStatus } from './exchange.ts'
import { type CacheStatus, STORED_MISS, STORED_STALE } from './http/cache-status.ts'
import type { FieldValue } from './http/fields.ts'
import { type FieldReader, type NotStoredReason, privateSign } from './http/storability.ts'
import { nominatedFields, withNominated } from './http/vary.ts'
import type { Policy } from './policy.ts'
import { MAX_TAGS } from './invalidation/tags.ts'
import { Cached } from './store/cached.ts'
import { type StoredEntry, bodyBytes } from './stored-response.ts'

/** A header section as it is given to `writeHead`. */
export type HeadFields = Record<string, unknown>

/** What is to be kept of an answer, if anything, and what is said of it. */
export interface Judgement {
  readonly storable: Storable | undefined
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

function withEntry(exchange: Exchange, storable: Storable): Judgement {
  return { storable, status: statusOfStored(exchange, storable.entry), overtaken: false }
}

function statusOfStored({ fwd, fill }: Exchange, entry: StoredEntry): CacheStatus {
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  if (entry.epoch === '') return { hit: false, fwd, detail: 'unavailable' }
  const { fwdStatus } = fill!
  if (fwdStatus !== undefined) return { hit: false, fwd, fwdStatus, stored: true }
  if (fwd === 'uri-miss') return STORED_MISS
  return fwd === 'stale' ? STORED_STALE : { hit: false, fwd, stored: true }
}

/** There is nothing to keep, and this is why. */
export function withoutEntry(
  { fwd, fill }: Exchange,
  reason: NotStoredReason,
  skipped?: string,
): Judgement {
  const message = reason === 'skipped' && skipped !== undefined ? { message: skipped } : undefined
  const confirmed = fill?.fwdStatus === undefined ? undefined : { fwdStatus: fill.fwdStatus }
  const status: CacheStatus = { hit: false, fwd, ...confirmed, detail: reason, ...message }
  return { storable: undefined, status, overtaken: reason === 'invalidated' }
}

/** Once the header section is on its way: stores what may be stored, releases those who wait. */
export function settleOnWire(exchange: Exchange, reply: FastifyReply, judgement: Judgement): void {
  const { storable } = judgement
  exchange.conclude(judgement.status)
  const flow = exchange.fill!.flow
  if (storable === undefined) {
    if (flow !== undefined) flow.settle = undefined
    release(exchange, judgement.overtaken ? 'overtaken' : 'uncacheable')
  } else if (flow === undefined) keep(exchange, storable)
  else {
    flow.settle = () => {
      flow.settle = undefined
      settleFlow(exchange, reply, storable, flow.outcome!)
    }
    if (flow.outcome !== undefined) flow.settle()
  }
}

/** The body has flowed to the first client, or has not come to its end. */
function settleFlow(
  exchange: Exchange,
  reply: FastifyReply,
  { entry, variant }: Storable,
  { body, failure }: StreamOutcome,
): void {
  if (body === undefined) {
    return release(exchange, failure === 'too-big' ? 'uncacheable' : 'overtaken')
  }
  const whole = { ...entry, body }
  const { tiers, log } = exchange.cache
  const size = tiers.sizeOf(exchange.key, whole)
  // What was true when the head was sent may have changed while the body was made.
  const isPrivate = exchange.hasToken || exchange.sawIgnored || carriesNonce(reply, whole)
  if (isPrivate || !tiers.hasRoom(size)) release(exchange, 'uncacheable')
  else if (entry.epoch !== '' && !log.allows(whole)) release(exchange, 'overtaken')
  else keep(exchange, { entry: whole, size, variant })
}

/** Stores, and hands over to those who wait. */
function keep(exchange: Exchange, { entry, size, variant }: Storable): void {
  const { tiers } = exchange.cache
  const isNew = exchange.fwd === 'uri-miss' || exchange.fwd === 'vary-miss'
  if (entry.epoch !== '') {
    if (variant !== undefined && variant.index !== exchange.variants) {
      void tiers.store(exchange.primaryKey, indexEntry(variant.index, entry))
    }
    void tiers.store(variant?.key ?? exchange.key, entry, { size, isNew })
  }
  if (exchange.refresh !== undefined) exchange.refresh.stored = true
  const { flight } = exchange
  if (flight === undefined) return
  if (flight.waiters === undefined) return release(exchange, 'unwaited')
  const cached = new Cached(entry, 'handler')
  if (variant !== undefined) cached.variant = { names: variant.index.names, key: variant.key }
  release(exchange, cached)
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.flightKey, flight, outcome, cache.tiers.now())
}

/** An answer that may be stored. */
export interface Storable {
  readonly entry: StoredEntry
  /** What the entry costs the tier in memory, in bytes. */
  readonly size: number
  /** Where the answer varies: its own key, and the index that leads to it. */
  readonly variant: { readonly key: string; readonly index: VariantIndex } | undefined
}

/** Whether answers with this status may be stored; 206 is a part, and 304 none at all. */
export function mayStoreStatus(policy: Policy, status: number): boolean {
  return policy.statuses.has(status) || (policy.anyStatus && status !== 206 && status !== 304)
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
  if (reply.request.is404) return 'not-found-handler'
  if (fill.failure !== undefined) return fill.failure
  if (exchange.hasToken) return 'csrf-token'
  if (exchange.sawIgnored) return 'query'
  if (reply.request[NOTES]?.skip !== undefined) return 'skipped'
  if (exchange.demands?.noStore) return 'no-store'
  if (!fill.complete) return 'incomplete'
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !mayStoreStatus(policy, status)) return 'status'
  if (fill.fields === undefined) return 'fields'
  const { set } = fill.fields
  const own: FieldReader = (name) => {
    for (const pair of set) if (pair[0] === name) return pair[1]
    return undefined
  }
  const names = variesOn(exchange, own)
  if (names === undefined) return 'vary'
  const { origin } = reply.request.headers
  const sign = privateSign(
    { own, final, keyed: policy.keyedFields, nominated: names, origin },
    policy.ttl === 'headers' ? policy.http : undefined,
  )
  return sign ?? complete(exchange, reply, final, names)
}

const NONE: readonly string[] = []

/**
 * The request fields that select this answer among others of its key, beside those that are in the
 * key already; undefined when it answers no other request. Fields that a hook varies on before the
 * handler count, as the handler may have seen them. Origin is what @fastify/cors writes on every
 * response, for fields that are made anew on every hit.
 */
function variesOn(
  { cache, policy, fill, variants }: Exchange,
  own: FieldReader,
): readonly string[] | undefined {
  const known = variants?.names ?? NONE
  const vary = own('vary')
  const hooks = fill!.before['vary']
  if (vary === undefined && hooks === undefined) return known
  const nominated = nominatedFields(vary)
  const early = nominatedFields(hooks)?.filter((name) => name !== 'origin')
  if (nominated === undefined || early === undefined) return undefined
  const open = [...nominated, ...early].filter((name) => !policy.keyedFields.has(name))
  // Promise made to users: what depends on a credential is not shared.
  if (open.some((name) => cache.credentialFields.includes(name))) return undefined
  return open.length === 0 ? known : withNominated(known, open)
}

/** The last questions need the entry itself. */
function complete(
  exchange: Exchange,
  reply: FastifyReply,
  final: FieldReader,
  names: readonly string[],
): Storable | NotStoredReason {
  const { tiers, log } = exchange.cache
  const fill = exchange.fill!
  const notes = reply.request[NOTES]
  const headers = fill.fields!.set
  const life = lifetimesOf(exchange, reply, final, notes?.ttl)
  if (typeof life === 'string') return life
  if (bodyBytes(fill.body) > exchange.policy.maxBytes) return 'too-big'
  const tags = allTags(exchange, fill, notes)
  if (tags === undefined) return 'too-many-tags'
  const { withheld } = life
  const entry: StoredEntry = {
    epoch: fill.fence.epoch,
    seq: fill.fence.seq,
    tags,
    ...life.lifetimes,
    status: fill.status,
    headers: withheld.length === 0 ? headers : headers.filter(([name]) => !withheld.includes(name)),
    removed: fill.fields!.removed,
    varies: undefined,
    body: ownBody(fill),
  }
  const size = tiers.sizeOf(exchange.key, entry)
  if (!tiers.hasRoom(size)) return 'too-big'
  if (carriesNonce(reply, entry)) return 'nonce'
  // Nothing at all was invalidated while the handler ran: then these tags were not either.
  if (log.version !== fill.knownVersion && !log.allows(entry)) return 'invalidated'
  if (names.length === 0) return { entry, size, variant: undefined }
  const key = keyOfVariant(exchange, reply.request, names)
  const index = indexWith(exchange.variants, names, key)
  return index === undefined ? 'too-many-variants' : { entry, size, variant: { key, index } }
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
