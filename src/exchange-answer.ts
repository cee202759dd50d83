import type { FastifyReply } from 'fastify'

import { type Duration, seconds } from './durations.ts'
import { type CapturedAnswer, EXCHANGE, type Exchange, type Fill } from './exchange.ts'
import { watchIgnored } from './exchange-ignored.ts'
import { captureBody, listenToOwnSerializer } from './exchange-serializer.ts'
import { type HeadFields, judgeOnWire, settleOnWire } from './exchange-store.ts'
import type { Fields } from './http/fields.ts'
import type { NotStoredReason } from './http/storability.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import { syncResult } from './sync-result.ts'

type WriteHead = (status: number, ...rest: unknown[]) => unknown
type Watched = FastifyReply & { [EXCHANGE]?: Watch }
type WatchedRaw = FastifyReply['raw'] & { [EXCHANGE]?: Watch }

/** The methods as they were before this cache looked over their shoulder. */
interface Watch {
  exchange: Exchange
  reply: FastifyReply
  send: FastifyReply['send']
  writeHead: WriteHead
  concluded: boolean
}

/**
 * Watches one reply from the handler's answer to the wire. `send` is the moment the handler answers,
 * before any hook has seen it; `writeHead` is the moment after which nothing can change. Hooks in
 * between (compression, etag, cookies, however they are registered) do their work for this client
 * and leave what is stored alone. Only requests that may fill the cache are watched.
 */
export function watchAnswer(exchange: Exchange, reply: FastifyReply): void {
  const { log } = exchange.cache
  exchange.fill = {
    fence: log.position,
    knownVersion: log.version,
    before: snapshot(reply.getHeaders()),
    answer: undefined,
    failure: undefined,
  }
  const raw: WatchedRaw = reply.raw
  // The methods of this very reply, whoever else has put one in front; each is called with it.
  // oxlint-disable typescript/unbound-method
  const watch: Watch = {
    exchange,
    reply,
    send: reply.send,
    writeHead: raw.writeHead as WriteHead,
    concluded: false,
  }
  // oxlint-enable typescript/unbound-method
  ;(reply as Watched)[EXCHANGE] = watch
  reply.send = watchedSend
  raw[EXCHANGE] = watch
  raw.writeHead = watchedWriteHead as typeof raw.writeHead
  if (exchange.policy.counts !== undefined) watchIgnored(exchange, reply, exchange.policy.counts)
}

function watchedSend(this: Watched, payload?: unknown): FastifyReply {
  const { exchange, send } = this[EXCHANGE]!
  const fill = exchange.fill!
  if (fill.answer !== undefined || payload instanceof Error) fill.failure ??= 'error'
  else captureAnswer(exchange, fill, this, payload)
  return send.call(this, payload)
}

function watchedWriteHead(this: WatchedRaw, status: number, ...rest: unknown[]): unknown {
  const watch = this[EXCHANGE]!
  const { exchange, reply, writeHead } = watch
  if (watch.concluded) return writeHead.call(this, status, ...rest)
  watch.concluded = true
  const headers = headerArgument(exchange, rest)
  let entry = judgeOnWire(exchange, reply, status, headers)
  try {
    return writeHead.call(this, status, ...rest)
  } catch (error) {
    // A field that a hook made invalid: Fastify answers with an error next, with these fields.
    if (headers !== undefined) delete headers['cache-status']
    entry = 'incomplete'
    throw error
  } finally {
    settleOnWire(exchange, reply, entry)
  }
}

/** Lists may be added to in place, as `raw.appendHeader` does. */
function snapshot(fields: Fields): Fields {
  for (const name in fields) {
    const value = fields[name]
    if (Array.isArray(value)) fields[name] = value.slice()
  }
  return fields
}

/**
 * Fastify passes the fields as one object of its own. What a handler that writes by itself passes
 * is the handler's, and not to be touched.
 */
function headerArgument({ fill }: Exchange, rest: unknown[]): HeadFields | undefined {
  if (fill!.answer === undefined) return undefined
  const last = rest[rest.length - 1]
  return last !== null && typeof last === 'object' && !Array.isArray(last)
    ? (last as HeadFields)
    : undefined
}

function captureAnswer(
  exchange: Exchange,
  fill: Fill,
  reply: FastifyReply,
  payload: unknown,
): void {
  const answer: CapturedAnswer = {
    status: reply.statusCode,
    fields: undefined,
    tags: exchange.policy.encodedTags,
    ttl: undefined,
    body: undefined,
    complete: false,
  }
  fill.answer = answer
  if (fill.failure !== undefined) return
  if (!exchange.policy.statuses.has(answer.status)) fill.failure = 'status'
  else if (isStream(payload)) fill.failure = 'stream'
  else {
    fill.failure = askOptions(exchange, reply, payload, answer)
    // The type that Fastify completes after this it completes on a hit as well, from the same body.
    if (payload === undefined || typeof payload === 'string' || ArrayBuffer.isView(payload)) {
      captureBody(fill, reply, bytesOf(payload))
    }
    if (typeof payload === 'string') listenToOwnSerializer(fill, reply)
  }
}

function isStream(payload: unknown): boolean {
  if (payload === null || typeof payload !== 'object') return false
  const { pipe, getReader } = payload as { pipe?: unknown; getReader?: unknown }
  if (typeof pipe === 'function' || typeof getReader === 'function') return true
  return Object.prototype.toString.call(payload) === '[object Response]'
}

function bytesOf(payload: string | ArrayBufferView | undefined): string | Uint8Array | undefined {
  if (payload === undefined || typeof payload === 'string') return payload
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}

/** The route's own functions; one that fails keeps the answer out of the cache and nothing else. */
function askOptions(
  exchange: Exchange,
  reply: FastifyReply,
  payload: unknown,
  answer: CapturedAnswer,
): NotStoredReason | undefined {
  const { policy, cache } = exchange
  try {
    const storable: unknown = syncResult(
      'storable',
      policy.storable?.(reply.request, reply, payload),
    )
    if (policy.storable && storable !== true) return 'skipped'
    answer.ttl = lifetime(exchange, reply, payload)
    answer.tags = optionTags(exchange, reply, payload)
    return undefined
  } catch (error) {
    cache.trouble.report('route option', error as Error)
    return 'option-failed'
  }
}

function lifetime(
  { policy }: Exchange,
  reply: FastifyReply,
  payload: unknown,
): number | 'headers' | undefined {
  const ofStatus = policy.statuses.get(reply.statusCode)
  if (typeof ofStatus === 'number') return ofStatus
  if (typeof policy.ttl !== 'function') return policy.ttl
  const duration: Duration | undefined = syncResult(
    'ttl',
    policy.ttl(reply.request, reply, payload),
  )
  if (duration === undefined) return undefined
  return seconds(duration) ?? failOption('ttl', `returned ${String(duration)}`)
}

function optionTags(
  { policy }: Exchange,
  reply: FastifyReply,
  payload: unknown,
): readonly string[] {
  if (typeof policy.tags !== 'function') return policy.encodedTags
  const computed: unknown = syncResult('tags', policy.tags(reply.request, reply, payload))
  if (!Array.isArray(computed)) failOption('tags', 'did not return a list')
  return (computed as unknown[]).map(checkedTag)
}

function checkedTag(tag: unknown): string {
  const problem = tagProblem(tag)
  if (problem !== undefined) failOption('tags', `gave a wrong tag: ${problem}`)
  return encodeTag('tag', tag as string)
}

function failOption(name: string, what: string): never {
  throw new TypeError(`the route option ${name} ${what}; the response is not stored`)
}
