import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import {
  type CapturedAnswer,
  type Exchange,
  type Fill,
  targetTags,
  tellStatus,
} from './exchange.ts'
import type { CacheStatus } from './http/cache-status.ts'
import type { FieldValue } from './http/fields.ts'
import { explicitLifetime } from './http/freshness.ts'
import { type NotStoredReason, privateSign } from './http/storability.ts'
import { Cached } from './store/cached.ts'
import type { StoredEntry } from './stored-response.ts'

/** The head of a response when nothing can change it any more. */
export interface FinalHead {
  status: number
  /** What `writeHead` was called with, after the status. */
  rest: unknown[]
  writeHead: () => unknown
}

/** The final header section, field by field: what writeHead is given over what was set before. */
type FinalField = (name: string) => FieldValue | undefined

/**
 * The last moment: status and header section are final. Decides whether the answer may be stored,
 * tells the client, lets the headers go, then stores and releases those who wait.
 */
export function concludeOnWire(exchange: Exchange, reply: FastifyReply, head: FinalHead): unknown {
  const headers = headerArgument(exchange.fill!, head.rest)
  const final: FinalField = (name) =>
    (headers?.[name] ?? reply.raw.getHeader(name)) as FieldValue | undefined
  const entry = judge(exchange, reply, head.status, final)
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
  let outcome: Outcome = entry === 'invalidated' ? 'overtaken' : 'uncacheable'
  try {
    const result = head.writeHead()
    if (typeof entry !== 'string') outcome = keep(exchange, entry)
    return result
  } finally {
    release(exchange, outcome)
  }
}

const STORED = {
  'uri-miss': { hit: false, fwd: 'uri-miss', stored: true },
  stale: { hit: false, fwd: 'stale', stored: true },
} satisfies Record<string, CacheStatus>

function conclude(exchange: Exchange, entry: StoredEntry | NotStoredReason): CacheStatus {
  const { fwd, fill } = exchange
  // Without a position in the log an entry can be shared with those who wait, and not be kept.
  const reason = typeof entry === 'string' ? entry : entry.epoch === '' ? 'unavailable' : undefined
  if (reason === undefined && (fwd === 'uri-miss' || fwd === 'stale')) {
    return exchange.conclude(STORED[fwd])
  }
  return exchange.conclude({
    hit: false,
    fwd,
    ...(reason === undefined ? { stored: true } : { detail: reason }),
    ...(reason === 'skipped' && fill!.skipReason ? { message: fill!.skipReason } : {}),
  })
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.key, flight, outcome, exchange.arrivedAt)
}

function keep(exchange: Exchange, entry: StoredEntry): Cached {
  const { tiers } = exchange.cache
  if (entry.epoch !== '') void tiers.store(exchange.key, entry)
  return new Cached(entry, 'handler')
}

/**
 * Fastify passes the fields as one object of its own. What a handler that writes by itself passes
 * is the handler's, and not to be touched.
 */
function headerArgument(fill: Fill, rest: unknown[]): Record<string, unknown> | undefined {
  if (fill.answer === undefined) return undefined
  const last = rest.at(-1)
  return last !== null && typeof last === 'object' && !Array.isArray(last)
    ? (last as Record<string, unknown>)
    : undefined
}

/** The entry to store, or the reason why there is none. */
function judge(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  final: FinalField,
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
  const own: FinalField = (name) => set.find((pair) => pair[0] === name)?.[1]
  const { origin } = reply.request.headers
  return privateSign({ own, final, origin }, policy.keyedFields) ?? complete(exchange, reply, final)
}

/** The last questions need the entry itself. */
function complete(
  exchange: Exchange,
  reply: FastifyReply,
  final: FinalField,
): StoredEntry | NotStoredReason {
  const { tiers, log } = exchange.cache
  const answer = exchange.fill!.answer!
  const now = tiers.now()
  const ttl = answer.ttl === 'headers' ? explicitLifetime(final, now) : answer.ttl
  if (ttl === undefined || ttl <= 0) return 'ttl'
  const entry = makeEntry(exchange, answer, now, ttl)
  if (typeof entry === 'string') return entry
  const contentType = final('content-type')
  if (contentType !== undefined) entry.headers.unshift(['content-type', String(contentType)])
  else if (entry.body.length > 0) return 'content-type'
  if (carriesNonce(reply, entry)) return 'nonce'
  return log.allows(entry) ? entry : 'invalidated'
}

type Making = StoredEntry & { headers: [string, string | string[]][] }

function makeEntry(
  { policy, fill, target }: Exchange,
  answer: CapturedAnswer,
  now: number,
  ttl: number,
): Making | NotStoredReason {
  const body = toBuffer(answer.body!, policy.maxBytes)
  if (body === undefined) return 'too-big'
  const tags = targetTags(target!)
  for (const tag of answer.tags) tags.push(tag)
  return {
    epoch: fill!.fence.epoch,
    seq: fill!.fence.seq,
    tags,
    storedAt: now,
    freshUntil: now + ttl * 1000,
    status: answer.status,
    // Fastify completes the content type after the handler's answer, so the final one is kept.
    headers: answer.fields!.set.filter((pair) => pair[0] !== 'content-type'),
    removed: answer.fields!.removed,
    body,
  }
}

/** A copy of our own: the handler may use its buffer again, and a pooled one would pin the pool. */
function toBuffer(body: string | Uint8Array, maxBytes: number): Buffer | undefined {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  if (length > maxBytes) return undefined
  const buffer = Buffer.allocUnsafeSlow(length)
  if (typeof body === 'string') buffer.write(body)
  else buffer.set(body)
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
