import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import { tellStatus } from './exchange.ts'
import { type ReplayBody, asTyped, completeTextType } from './exchange-replay-body.ts'
import { skipSerializer } from './exchange-serializer.ts'
import type { CacheStatus } from './http/cache-status.ts'
import {
  type Validators,
  isNotModified,
  notModifiedFields,
  validatorsOf,
} from './http/conditional.ts'
import { cacheGroupsField, plainTags } from './group-tags.ts'
import { fieldsOf, listMembers } from './http/fields.ts'
import { bucketOf, observeIn } from './histogram.ts'
import { currentAge, remainingLifetime } from './http/freshness.ts'
import { isRangeable, rangeAnswer } from './http/range.ts'
import type { Cached } from './store/cached.ts'
import { type StoredEntry, bodyBytes } from './stored-response.ts'
import { AGE_BOUNDS } from './telemetry.ts'

type SentFields = Record<string, string | string[]>

/** What of an entry makes the head of an answer. */
type StoredHead = Pick<StoredEntry, 'status' | 'headers' | 'removed' | 'body'>

/** The fields of a stored response as they are for a while: until age or ttl is another number. */
interface Rendered {
  until: number
  from: number
  fields: SentFields
  /** Those of a 304, once one was needed. */
  notModified: SentFields | undefined
  status: CacheStatus
  age: number
  ageBucket: number
}

/** A Redis hit is a Cached of its own, so one slot serves both tiers. */
function rendered(exchange: Exchange, cached: Cached, now: number): Rendered {
  const known = cached.notes.rendered as Rendered | undefined
  if (known !== undefined && now < known.until && now >= known.from) return known
  const { entry, tier } = cached
  const age = currentAge(entry, now)
  const ttl = remainingLifetime(entry, now)
  const status: CacheStatus = { hit: true, tier: tier === 'redis' ? tier : 'memory', ttl }
  const fields = storedFields(exchange, entry, entry.headers)
  addOwnFields(exchange, fields, status, age)
  const until = Math.min(entry.storedAt + (age + 1) * 1000, entry.freshUntil - ttl * 1000 + 1)
  const ageBucket = bucketOf(AGE_BOUNDS, age)
  const result = { until, from: now, fields, notModified: undefined, status, age, ageBucket }
  cached.notes.rendered = result
  return result
}

function storedFields(
  { cache, policy }: Exchange,
  { tags }: StoredEntry,
  headers: StoredEntry['headers'],
): SentFields {
  const fields = fieldsOf(headers)
  if (cache.emitsGroups) {
    const groups = cacheGroupsField(plainTags(tags), fields['cache-groups'])
    if (groups !== undefined) fields['cache-groups'] = groups
  }
  if (fields['set-cookie'] !== undefined && !policy.http.storesCookies) delete fields['set-cookie']
  if (policy.clientCacheControl !== undefined) fields['cache-control'] ??= policy.clientCacheControl
  return fields
}

function addOwnFields(
  { cache }: Exchange,
  fields: SentFields,
  status: CacheStatus,
  age: number,
): void {
  fields['age'] = String(age)
  tellStatus(cache, status, (name, value) => (fields[name] = value))
}

/** What conditions are compared with; null when there is nothing to compare. */
export function validatorsOfCached({ entry, notes }: Cached): Validators | null {
  if (notes.validators === undefined) {
    notes.validators = validatorsOf(entry.status, entry.headers, entry.storedAt) ?? null
  }
  return notes.validators
}

/**
 * Makes a stored response the answer to this request: the handler's fields over those that hooks
 * and plugins have set for it, the status, the age; 304 or a part, if that is what was asked for.
 * Returns the body, which is left to the caller to send.
 */
export function replay(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  now: number,
): ReplayBody {
  const known = rendered(exchange, cached, now)
  exchange.cache.memo.add(exchange.target!)
  exchange.conclude(known.status)
  const { stats } = exchange.policy
  stats.savedMs += cached.entry.computeMs ?? 0
  observeIn(stats.ageAtHit, known.ageBucket, known.age)
  const validators = validatorsOfCached(cached)
  if (validators !== null && isNotModified(reply.request.headers, validators)) {
    known.notModified ??= notModifiedOf(exchange, cached, known.status, now)
    return notModified(reply, cached.entry, known.notModified)
  }
  applyHead(reply, cached.entry, known.fields)
  const body = exchange.policy.http.ranges
    ? wholeOrPart(exchange, reply, cached)
    : cached.entry.body
  countBytes(exchange, reply, cached, body)
  return known.fields['content-type'] === undefined ? asTyped(reply, body) : body
}

/** What goes to a client from a store. */
function countBytes(
  { policy }: Exchange,
  { request }: FastifyReply,
  { entry, notes }: Cached,
  body: StoredEntry['body'],
): void {
  if (request.method === 'HEAD') return
  if (body !== entry.body) policy.stats.bytesServed += bodyBytes(body)
  else {
    if (notes.bodyBytes < 0) notes.bodyBytes = bodyBytes(body)
    policy.stats.bytesServed += notes.bodyBytes
  }
}

/** The same for a request that waited for another's handler run (RFC 9211 §2.6). */
export function replayCollapsed(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  now: number,
): ReplayBody {
  const status = exchange.conclude({ hit: false, fwd: exchange.fwd, collapsed: true })
  exchange.policy.stats.savedMs += cached.entry.computeMs ?? 0
  return replayWith(exchange, reply, cached, { status, now })
}

/** The same for a stale response in place of an error (RFC 5861 §4). */
export function replayOnError(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  { now, fwdStatus }: { now: number; fwdStatus: number | undefined },
): ReplayBody {
  const status = exchange.conclude({
    hit: false,
    fwd: 'stale',
    ...(fwdStatus === undefined ? { collapsed: true } : { fwdStatus }),
    detail: 'stale-if-error',
  })
  return replayWith(exchange, reply, cached, { status, now })
}

function replayWith(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  { status, now }: { status: CacheStatus; now: number },
): ReplayBody {
  const validators = validatorsOfCached(cached)
  if (validators !== null && isNotModified(reply.request.headers, validators)) {
    return notModified(reply, cached.entry, notModifiedOf(exchange, cached, status, now))
  }
  const fields = storedFields(exchange, cached.entry, cached.entry.headers)
  addOwnFields(exchange, fields, status, currentAge(cached.entry, now))
  applyHead(reply, cached.entry, fields)
  const body = wholeOrPart(exchange, reply, cached)
  countBytes(exchange, reply, cached, body)
  return asTyped(reply, body)
}

function notModifiedOf(
  exchange: Exchange,
  { entry }: Cached,
  status: CacheStatus,
  now: number,
): SentFields {
  const fields = storedFields(exchange, entry, notModifiedFields(entry.headers))
  addOwnFields(exchange, fields, status, currentAge(entry, now))
  return fields
}

function notModified(reply: FastifyReply, entry: StoredEntry, fields: SentFields): undefined {
  applyHead(reply, entry, fields)
  // Where the handler overruled a hook, the hook's field would change what the client has stored.
  for (const [name] of entry.headers) if (!(name in fields)) reply.removeHeader(name)
  reply.code(304)
  if (reply.request.method === 'HEAD') withoutLength(reply.raw)
  return undefined
}

/** Fastify's HEAD routes say 0 of what has no body, and RFC 9110 §8.6 forbids that in a 304. */
function withoutLength(raw: FastifyReply['raw']): void {
  // oxlint-disable-next-line typescript/unbound-method
  const writeHead = raw.writeHead as (...args: unknown[]) => typeof raw
  raw.writeHead = function (this: typeof raw, ...args: unknown[]) {
    const fields = args.at(-1)
    if (typeof fields === 'object' && fields !== null) {
      delete (fields as Record<string, unknown>)['content-length']
    }
    return writeHead.apply(this, args)
  }
}

function wholeOrPart(
  exchange: Exchange,
  reply: FastifyReply,
  { entry, notes }: Cached,
): StoredEntry['body'] {
  const { body, headers } = entry
  if (!exchange.policy.http.ranges || !notes.validators || body === undefined) return body
  const { request } = reply
  if (!isRangeable(headers)) return body
  reply.header('accept-ranges', 'bytes')
  if (request.headers.range === undefined) return body
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const part = rangeAnswer(request.method, request.headers, notes.validators, bytes.length)
  if (part === undefined) return body
  if (part.status === 416) return unsatisfiable(reply, headers, part.contentRange)
  if (typeof body === 'string') completeTextType(reply)
  reply.code(206).header('content-range', part.contentRange)
  return bytes.subarray(part.start, part.end)
}

/**
 * This says nothing of the representation; above all not how long it is fresh, as a cache on the way
 * to the client might keep it then.
 */
function unsatisfiable(
  reply: FastifyReply,
  headers: StoredEntry['headers'],
  contentRange: string,
): string {
  for (const [name] of headers) if (name !== 'vary') reply.removeHeader(name)
  reply.removeHeader('cache-control').code(416).header('content-range', contentRange)
  return ''
}

/** Over what hooks and plugins have set; the status, too. */
export function applyHead(reply: FastifyReply, entry: StoredHead, fields: SentFields): void {
  for (const pair of entry.headers) {
    // Hooks may add to a list of theirs, and Fastify to that of the cookies.
    if (typeof pair[1] === 'string') continue
    fields = withOwnLists(fields)
    break
  }
  const vary = fields['vary']
  // Hooks vary on fields of their own (CORS on Origin), and the handler's come on top.
  const own = vary === undefined ? undefined : reply.getHeader('vary')
  reply.code(entry.status).headers(fields)
  if (own !== undefined) reply.header('vary', mergedVary(own, vary!))
  for (const name of entry.removed) reply.removeHeader(name)
  if (typeof entry.body === 'string') skipSerializer(reply)
}

function withOwnLists(fields: SentFields): SentFields {
  const own: SentFields = {}
  for (const name in fields) {
    const value = fields[name]!
    own[name] = typeof value === 'string' ? value : value.slice()
  }
  return own
}

function mergedVary(own: unknown, stored: string | readonly string[]): string {
  const members = new Set([...listMembers(own as string), ...listMembers(stored)])
  return [...members].join(', ')
}
