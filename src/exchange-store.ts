import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { tellAudit } from './exchange-audit.ts'
import { type Storable, carriesNonce, judge } from './exchange-judge.ts'
import type { StreamOutcome } from './exchange-recording.ts'
import { hasRawFields } from './exchange-fields.ts'
import { noteCacheable, noteUncacheable } from './exchange-learn.ts'
import { cacheGroupsField, plainTags } from './group-tags.ts'
import { indexEntry } from './exchange-variants.ts'
import { type Exchange, NOTES, tellStatus } from './exchange.ts'
import type { LeaseOutcome } from './fleet-lease.ts'
import {
  type CacheStatus,
  STORED_MISS,
  STORED_STALE,
  formatCacheStatus,
} from './http/cache-status.ts'
import type { FieldValue } from './http/fields.ts'
import { isFresh, mayServeWhileRevalidating } from './http/freshness.ts'
import type { FieldReader, NotStoredReason } from './http/storability.ts'
import { Cached } from './store/cached.ts'
import { type StoredEntry, bodyBytes } from './stored-response.ts'
import { type StoreTrace, storeChannel, traced } from './tracing.ts'

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
    set(name, name === 'cache-status' ? appended(upstream, value) : value),
  )
  if (exchange.cache.emitsGroups && judgement.storable !== undefined) {
    const { tags } = judgement.storable.entry
    const groups = cacheGroupsField(plainTags(tags), final('cache-groups'))
    if (groups !== undefined) set('cache-groups', groups)
  }
  const { clientCacheControl } = exchange.policy
  if (clientCacheControl && judgement.status.stored && final('cache-control') === undefined) {
    set('cache-control', clientCacheControl)
  }
  return judgement
}

/** RFC 9211 §2: each cache on the way adds its member at the end. */
function appended(upstream: FieldValue | undefined, own: string): string {
  return upstream === undefined ? own : `${String(upstream)}, ${own}`
}

/** The same where nobody watches the answer: what another cache says of it comes in our place. */
export function tellForwarded(
  { cache, policy }: Exchange,
  reply: FastifyReply,
  status: CacheStatus,
): void {
  tellStatus(cache, status, (name, value) => void reply.header(name, value))
  // Behind such routes there may be another cache.
  if (policy.ttl !== 'headers' || !cache.statusHeader) return
  const own = formatCacheStatus(status)
  const { raw } = reply
  const writeHead = raw.writeHead.bind(raw) as (...args: unknown[]) => typeof raw
  raw.writeHead = (...args: unknown[]) => {
    // Of a stream the fields are on the raw response already.
    const fields = args.findLast((argument) => argument && typeof argument === 'object') as
      | HeadFields
      | undefined
    const told = (fields?.['cache-status'] ?? raw.getHeader('cache-status')) as
      | FieldValue
      | undefined
    if (told !== undefined && told !== own) {
      if (fields === undefined) raw.setHeader('cache-status', appended(told, own))
      else fields['cache-status'] = appended(told, own)
    }
    return writeHead(...args)
  }
}

function finalFields(reply: FastifyReply, headers: HeadFields | undefined): FieldReader {
  const { raw } = reply
  if (headers !== undefined && !hasRawFields(reply)) return (name) => headers[name] as FieldValue
  return (name) => (headers?.[name] ?? raw.getHeader(name)) as FieldValue | undefined
}

function withEntry(exchange: Exchange, storable: Storable): Judgement {
  return { storable, status: statusOfStored(exchange, storable), overtaken: false }
}

function statusOfStored({ fwd, fill }: Exchange, { entry, settles }: Storable): CacheStatus {
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  if (entry.epoch === '') return { hit: false, fwd, detail: 'unavailable' }
  if (settles) return { hit: false, fwd, detail: 'settling' }
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
  if (exchange.refresh?.audit !== undefined) return tellAudit(exchange, reply, judgement)
  exchange.conclude(judgement.status)
  const flow = exchange.fill!.flow
  if (storable === undefined) {
    if (flow !== undefined) flow.settle = undefined
    if (judgement.overtaken && exchange.refresh) exchange.refresh.overtaken = true
    noteUncacheable(exchange, judgement.status.detail as NotStoredReason)
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
  { entry, variant, settles }: Storable,
  { body, failure }: StreamOutcome,
): void {
  if (body === undefined) {
    const isTooMuch = failure === 'too-big' || failure === 'crowded'
    if (failure === 'too-big') noteUncacheable(exchange, failure)
    return release(exchange, isTooMuch ? 'uncacheable' : 'overtaken')
  }
  const whole = { ...entry, body }
  const { tiers, log } = exchange.cache
  const size = tiers.sizeOf(exchange.key, whole)
  // What was true when the head was sent may have changed while the body was made.
  const isPrivate = exchange.hasToken || exchange.sawIgnored || carriesNonce(reply, whole)
  if (isPrivate || !tiers.hasRoom(size)) {
    noteUncacheable(exchange, exchange.sawIgnored ? 'query' : isPrivate ? 'private' : 'too-big')
    release(exchange, 'uncacheable')
  } else if (entry.epoch !== '' && !log.allows(whole)) {
    if (exchange.refresh) exchange.refresh.overtaken = true
    release(exchange, 'overtaken')
  } else keep(exchange, { entry: whole, size, variant, settles })
}

/** Whether those who wait can have it, which is noted of the route. */
function isForMany(exchange: Exchange, entry: StoredEntry): boolean {
  const isForOthers = answersOthers(entry, exchange.cache.tiers.now())
  if (isForOthers) noteCacheable(exchange)
  else noteUncacheable(exchange, 'no-cache')
  return isForOthers
}

/** Stores, and hands over to those who wait. */
function keep(exchange: Exchange, storable: Storable): void {
  const { entry, variant, settles } = storable
  const stored = entry.epoch === '' || settles ? undefined : store(exchange, storable)
  // The next refresh may follow at once.
  if (settles && exchange.refresh) exchange.refresh.overtaken = true
  else noteRefreshed(exchange, variant?.key ?? exchange.key)
  const { flight, lease } = exchange
  const isForOthers = isForMany(exchange, entry)
  if (flight === undefined && lease === undefined) return
  if (!isForOthers) return release(exchange, 'uncacheable')
  exchange.lease = undefined
  void lease?.settle(settles ? 'failed' : 'over', stored)
  if (flight?.waiters === undefined) return release(exchange, 'unwaited')
  const cached = new Cached(entry, 'handler')
  cached.settles = settles
  if (variant !== undefined) cached.variant = { names: variant.index.names, key: variant.key }
  release(exchange, cached)
}

/** The promise tells other processes when to look; the reply does not wait for it. */
function store(exchange: Exchange, { entry, size, variant }: Storable): Promise<boolean> {
  const { cache, fwd, key, primaryKey, lease } = exchange
  const { tiers } = cache
  const isNew = fwd === 'uri-miss' || fwd === 'vary-miss'
  let indexed: Promise<boolean> | undefined
  if (variant !== undefined && variant.index !== exchange.variants) {
    const index = indexEntry(variant.index, entry)
    indexed = tiers.store(primaryKey, index, { isNew: fwd === 'uri-miss' })
  }
  const put = (): Promise<boolean> => tiers.store(variant?.key ?? key, entry, { size, isNew })
  const stored = storeChannel.hasSubscribers ? traceStore(exchange, entry, put) : put()
  if (indexed === undefined || lease === undefined) return stored
  return Promise.all([indexed, stored]).then((both) => both.every(Boolean))
}

function traceStore(
  { cache: { namespace }, policy: { route }, key }: Exchange,
  { tags, body }: StoredEntry,
  put: () => Promise<boolean>,
): Promise<boolean> {
  const trace: StoreTrace = { namespace, route, key, tags, bytes: bodyBytes(body) }
  return traced(storeChannel, trace, async () => (trace.stored = await put()))
}

/** What is stale from the start is confirmed for each request, and waiting in line for that is no use. */
function answersOthers(entry: StoredEntry, now: number): boolean {
  return isFresh(entry, now) || mayServeWhileRevalidating(entry, now)
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, lease, cache } = exchange
  if (lease !== undefined) {
    exchange.lease = undefined
    void lease.settle(leaseOutcome(exchange, outcome))
  }
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.flightKey, flight, outcome, cache.tiers.now())
}

/** After an invalidation the next one may run; what stood in for an error others have, too. */
function leaseOutcome({ fill }: Exchange, outcome: Outcome): LeaseOutcome {
  if (outcome === 'uncacheable') return outcome
  return fill?.rescued ? 'failed' : 'over'
}

/** A refresh that reached another response than the one it was made for has done nothing for it. */
export function noteRefreshed({ refresh, primaryKey }: Exchange, key: string): void {
  if (refresh !== undefined && (refresh.key === key || refresh.key === primaryKey)) {
    refresh.stored = true
  }
}
