import type { FastifyReply } from 'fastify'

import type { Outcome } from './collapser.ts'
import { type CapturedAnswer, type Exchange, statusFields } from './exchange.ts'
import type { Fields } from './http/fields.ts'
import { explicitLifetime } from './http/freshness.ts'
import { type NotStoredReason, privateSign } from './http/storability.ts'
import { Cached } from './store/cached.ts'
import type { StoredEntry } from './stored-response.ts'

/**
 * The last moment: status and header section are final. Decides whether the answer may be stored,
 * tells the client, lets the headers go, then stores and releases those who wait.
 */
export function concludeOnWire(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  rest: unknown[],
  writeHead: () => unknown,
): unknown {
  const headers = headerArgument(rest)
  const final = { ...reply.raw.getHeaders(), ...headers } as Fields
  const verdict = judge(exchange, reply, status, final)
  const entry = typeof verdict === 'string' ? undefined : verdict
  const stored = entry !== undefined && entry.epoch !== ''
  const reason = typeof verdict === 'string' ? verdict : stored ? undefined : 'unavailable'
  const cacheStatus = exchange.conclude({
    hit: false,
    fwd: exchange.fwd,
    ...(stored ? { stored } : {}),
    ...(reason ? { detail: reason } : {}),
    ...(reason === 'skipped' && exchange.skipReason ? { message: exchange.skipReason } : {}),
  })
  const set = headers === undefined || exchange.answer === undefined
    ? (name: string, value: string) => reply.raw.setHeader(name, value)
    : (name: string, value: string) => (headers[name] = value)
  for (const [name, value] of statusFields(exchange.cache, cacheStatus)) set(name, value)
  if (stored && final['cache-control'] === undefined && exchange.policy.clientCacheControl) {
    set('cache-control', exchange.policy.clientCacheControl)
  }
  let result: unknown
  let outcome: Outcome = reason === 'invalidated' ? 'overtaken' : 'uncacheable'
  try {
    result = writeHead()
    if (entry !== undefined) outcome = keep(exchange, entry)
  } finally {
    release(exchange, outcome)
  }
  return result
}

/** Lets go of whoever waits for this exchange. */
export function release(exchange: Exchange, outcome: Outcome): void {
  const { flight, cache } = exchange
  if (flight === undefined) return
  exchange.flight = undefined
  cache.collapser.settle(exchange.key, flight, outcome, cache.tiers.now())
}

function keep(exchange: Exchange, entry: StoredEntry): Cached {
  const { tiers } = exchange.cache
  if (entry.epoch !== '') void tiers.store(exchange.key, entry)
  return new Cached(entry, 'handler')
}

/** Fastify passes the fields as one object; what else a raw writeHead may be given is not ours. */
function headerArgument(rest: unknown[]): Record<string, unknown> | undefined {
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
  final: Fields,
): StoredEntry | NotStoredReason {
  const { answer, failure, policy, cache } = exchange
  if (reply.request.is404) return 'not-found-handler'
  if (failure !== undefined) return failure
  if (answer?.body === undefined) return 'incomplete'
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !policy.statuses.has(status)) return 'status'
  const sign = privateSign(
    { own: fieldsOf(answer), final, request: reply.request.headers },
    policy.keyedFields,
  )
  if (sign !== undefined) return sign
  const now = cache.tiers.now()
  const ttl = answer.ttl === 'headers' ? explicitLifetime(final, now) : answer.ttl
  if (ttl === undefined || ttl <= 0) return 'ttl'
  return makeEntry(exchange, answer, { reply, status, final, now, ttl })
}

/** The handler's own fields, by name. */
function fieldsOf({ fields }: CapturedAnswer): Fields {
  return fields === undefined ? {} : Object.fromEntries(fields.set)
}

function makeEntry(
  exchange: Exchange,
  answer: CapturedAnswer,
  at: { reply: FastifyReply; status: number; final: Fields; now: number; ttl: number },
): StoredEntry | NotStoredReason {
  const { policy, cache, fence } = exchange
  if (answer.fields === undefined) return 'fields'
  const body = toBuffer(answer.body!)
  if (body.length > policy.maxBytes) return 'too-big'
  const headers = withContentType(answer, at.final)
  if (body.length > 0 && !headers.some(([name]) => name === 'content-type')) return 'content-type'
  if (carriesNonce(at.reply, body, headers)) return 'nonce'
  const entry: StoredEntry = {
    epoch: fence!.epoch,
    seq: fence!.seq,
    tags: [...exchange.target!.tags!, ...answer.tags],
    storedAt: at.now,
    freshUntil: at.now + at.ttl * 1000,
    status: answer.status,
    headers,
    removed: answer.fields.removed,
    body,
  }
  return cache.log.allows(entry) ? entry : 'invalidated'
}

/** A copy of our own: the handler may use its buffer again, and a pooled one would pin the pool. */
function toBuffer(body: string | Uint8Array): Buffer {
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  const buffer = Buffer.allocUnsafeSlow(length)
  if (typeof body === 'string') buffer.write(body)
  else buffer.set(body)
  return buffer
}

/** Fastify completes the content type after the handler's answer. */
function withContentType(answer: CapturedAnswer, final: Fields): StoredEntry['headers'] {
  const own = answer.fields!.set.filter(([name]) => name !== 'content-type')
  const contentType = final['content-type']
  return contentType === undefined ? own : [['content-type', String(contentType)], ...own]
}

/** A nonce (of @fastify/helmet) in a page allows scripts for one response only. */
function carriesNonce(
  reply: FastifyReply,
  body: Buffer,
  headers: StoredEntry['headers'],
): boolean {
  const { cspNonce } = reply as { cspNonce?: unknown }
  if (cspNonce === null || typeof cspNonce !== 'object') return false
  return Object.values(cspNonce).some(
    (nonce) =>
      typeof nonce === 'string' &&
      nonce !== '' &&
      (body.includes(nonce) || headers.some(([, value]) => String(value).includes(nonce))),
  )
}
