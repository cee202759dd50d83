import type { FastifyReply, FastifyRequest } from 'fastify'

import { type Duration, seconds } from './durations.ts'
import { type CapturedAnswer, EXCHANGE, type Exchange, type Fill } from './exchange.ts'
import { handlerFields } from './http/handler-fields.ts'
import type { NotStoredReason } from './http/storability.ts'
import { MAX_TAGS, encodeTag, tagProblem } from './invalidation/tags.ts'
import { type HeadFields, judgeOnWire, settleOnWire } from './exchange-store.ts'

type Serializer = (payload: unknown) => string | Uint8Array
type WriteHead = (status: number, ...rest: unknown[]) => unknown
type Watched = FastifyReply & { [EXCHANGE]?: Watch }
type WatchedRaw = FastifyReply['raw'] & { [EXCHANGE]?: Watch }

/** A reply as @fastify/csrf-protection decorates it. */
interface CsrfReply {
  generateCsrf?: (...args: unknown[]) => unknown
}

/** The methods as they were before this cache looked over their shoulder. */
interface Watch {
  exchange: Exchange
  reply: FastifyReply
  send: FastifyReply['send']
  serializer: (fn: Serializer | null) => FastifyReply
  /** The handler chose its own serializer, and it is being listened to. */
  ownSerializer: boolean
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
    before: reply.getHeaders(),
    answer: undefined,
    failure: undefined,
    skipReason: undefined,
    addedTags: undefined,
    ttl: undefined,
  }
  const raw: WatchedRaw = reply.raw
  // The methods of this very reply, whoever else has put one in front; each is called with it.
  // oxlint-disable typescript/unbound-method
  const watch: Watch = {
    exchange,
    reply,
    send: reply.send,
    serializer: reply.serializer as Watch['serializer'],
    ownSerializer: false,
    writeHead: raw.writeHead as WriteHead,
    concluded: false,
  }
  // oxlint-enable typescript/unbound-method
  ;(reply as Watched)[EXCHANGE] = watch
  reply.send = watchedSend
  reply.serializer = watchedSerializer as FastifyReply['serializer']
  raw[EXCHANGE] = watch
  raw.writeHead = watchedWriteHead as typeof raw.writeHead
  watchCsrf(exchange, reply as CsrfReply)
}

function watchedWriteHead(this: WatchedRaw, status: number, ...rest: unknown[]): unknown {
  const watch = this[EXCHANGE]!
  const { exchange, reply, writeHead } = watch
  if (watch.concluded) return writeHead.call(this, status, ...rest)
  watch.concluded = true
  const entry = judgeOnWire(exchange, reply, status, headerArgument(exchange, rest))
  let written: NotStoredReason | undefined = 'incomplete'
  try {
    const result = writeHead.call(this, status, ...rest)
    written = undefined
    return result
  } finally {
    settleOnWire(exchange, written ?? entry)
  }
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

function watchedSend(this: Watched, payload?: unknown): FastifyReply {
  const { exchange, send } = this[EXCHANGE]!
  const fill = exchange.fill!
  if (fill.answer !== undefined || payload instanceof Error) fill.failure ??= 'error'
  else captureAnswer(exchange, fill, this, payload)
  return send.call(this, payload)
}

/** A serializer of the handler's own makes the bytes, also from a string. */
function watchedSerializer(this: Watched, serializer: Serializer): FastifyReply {
  const watch = this[EXCHANGE]!
  watch.ownSerializer = true
  return watch.serializer.call(this, (payload) => {
    const body = serializer(payload)
    const answer = watch.exchange.fill!.answer
    if (answer !== undefined) answer.body = body
    return body
  })
}

/**
 * The preSerialization step: the bytes that Fastify is about to make of an object are the ones to
 * store, so its serializer is called once, through ours, with the payload as the last hook left it.
 */
export function listenToSerializer(request: FastifyRequest, reply: FastifyReply): void {
  const watch = (reply as Watched)[EXCHANGE]
  const answer = request[EXCHANGE]?.fill?.answer
  if (watch === undefined || answer === undefined || watch.ownSerializer) return
  watch.serializer.call(reply, (payload) => {
    watch.serializer.call(reply, null)
    const body = serializeAsFastify(reply, payload)
    answer.body = body
    return body
  })
}

function serializeAsFastify(reply: FastifyReply, payload: unknown): string {
  const { statusCode } = reply
  for (const status of [String(statusCode), `${String(statusCode)[0]}xx`, 'default']) {
    const serializer = reply.getSerializationFunction(status) as unknown
    if (typeof serializer === 'function') break
    // `reply.serialize` does not know of response schemas by media type.
    if (serializer) return serializeByMediaType(reply, serializer as SerializersByType, payload)
  }
  return reply.serialize(payload) as string
}

type SerializersByType = Record<string, ((payload: unknown) => string) | undefined>

function serializeByMediaType(
  reply: FastifyReply,
  serializers: SerializersByType,
  payload: unknown,
): string {
  const mediaType = String(reply.getHeader('content-type')).split(';', 1)[0]!.trim().toLowerCase()
  const serializer = serializers[mediaType] ?? serializers['*/*']
  return serializer ? serializer(payload) : JSON.stringify(payload)
}

/** A token in a page belongs to the session it was made for, whether or not a cookie goes with it. */
function watchCsrf(exchange: Exchange, reply: CsrfReply): void {
  const { generateCsrf } = reply
  if (generateCsrf === undefined) return
  reply.generateCsrf = function (this: unknown, ...args: unknown[]) {
    exchange.fill!.failure ??= 'csrf-token'
    return generateCsrf.apply(reply, args)
  }
}

function captureAnswer(
  exchange: Exchange,
  fill: Fill,
  reply: FastifyReply,
  payload: unknown,
): void {
  const answer: CapturedAnswer = {
    status: reply.statusCode,
    fields: handlerFields(fill.before, reply.getHeaders()),
    tags: exchange.policy.encodedTags,
    ttl: undefined,
    body: undefined,
  }
  fill.answer = answer
  if (fill.failure !== undefined) return
  if (!exchange.policy.statuses.has(answer.status)) fill.failure = 'status'
  else if (isStream(payload)) fill.failure = 'stream'
  else {
    answer.body = bodyOf(payload)
    fill.failure = askOptions(exchange, reply, payload, answer)
  }
}

function isStream(payload: unknown): boolean {
  if (payload === null || typeof payload !== 'object') return false
  const { pipe, getReader } = payload as { pipe?: unknown; getReader?: unknown }
  if (typeof pipe === 'function' || typeof getReader === 'function') return true
  return Object.prototype.toString.call(payload) === '[object Response]'
}

/** The bytes, where the handler gave them; undefined where a serializer has yet to make them. */
function bodyOf(payload: unknown): string | Uint8Array | undefined {
  if (payload === undefined) return ''
  if (typeof payload === 'string') return payload
  if (payload === null || typeof payload !== 'object') return undefined
  if (ArrayBuffer.isView(payload)) {
    return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  }
  return undefined
}

/** The route's own functions; one that fails keeps the answer out of the cache and nothing else. */
function askOptions(
  exchange: Exchange,
  reply: FastifyReply,
  payload: unknown,
  answer: CapturedAnswer,
): NotStoredReason | undefined {
  const { policy, cache, fill } = exchange
  try {
    const storable: unknown = policy.storable?.(reply.request, reply, payload)
    if (policy.storable && storable !== true) return 'skipped'
    answer.ttl = fill!.ttl ?? lifetime(exchange, reply, payload)
    if (answer.ttl === undefined) return 'ttl'
    answer.tags = allTags(exchange, reply, payload)
    return answer.tags.length > MAX_TAGS ? 'too-many-tags' : undefined
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
  const duration: Duration | undefined = policy.ttl(reply.request, reply, payload)
  if (duration === undefined) return undefined
  return seconds(duration) ?? failOption('ttl', `returned ${String(duration)}`)
}

function allTags(exchange: Exchange, reply: FastifyReply, payload: unknown): readonly string[] {
  const { policy } = exchange
  const addedTags = exchange.fill!.addedTags
  if (typeof policy.tags !== 'function' && addedTags === undefined) return policy.encodedTags
  const tags = new Set(policy.encodedTags)
  if (typeof policy.tags === 'function') {
    const computed: unknown = policy.tags(reply.request, reply, payload)
    if (!Array.isArray(computed)) failOption('tags', 'did not return a list')
    for (const tag of computed as unknown[]) tags.add(checkedTag(tag))
  }
  for (const tag of addedTags ?? []) tags.add(tag)
  return [...tags]
}

function checkedTag(tag: unknown): string {
  const problem = tagProblem(tag)
  if (problem !== undefined) failOption('tags', `gave a wrong tag: ${problem}`)
  return encodeTag('tag', tag as string)
}

function failOption(name: string, what: string): never {
  throw new TypeError(`the route option ${name} ${what}; the response is not stored`)
}
