import type { FastifyReply } from 'fastify'

import { type Duration, seconds } from './durations.ts'
import { EXCHANGE, type Exchange, Fill, type Flow } from './exchange.ts'
import { currentFields } from './exchange-fields.ts'
import { seeToStream, whenGone } from './exchange-gone.ts'
import { mayStoreStatus } from './exchange-judge.ts'
import { watchIgnored } from './exchange-ignored.ts'
import { addEntityTag, captureBody, listenToOwnSerializer } from './exchange-serializer.ts'
import {
  type HeadFields,
  judgeOnWire,
  release,
  settleOnWire,
  withoutEntry,
} from './exchange-store.ts'
import { targetTags } from './exchange-target.ts'
import {
  type StreamPayload,
  agreesWithLength,
  isResponse,
  isStream,
  mayTap,
  tapStream,
  unfoldResponse,
} from './exchange-stream.ts'
import { type ReplayBody, asTyped } from './exchange-replay-body.ts'
import { answerOwnConditions, restoreRequest, substitute } from './exchange-validate.ts'
import { type Fields, NO_FIELDS, listMembers } from './http/fields.ts'
import type { NotStoredReason } from './http/storability.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import { syncResult } from './sync-result.ts'

type WriteHead = (status: number, ...rest: unknown[]) => unknown

/** The methods as they were before this cache looked over their shoulder. */
interface Watch {
  reply: FastifyReply
  send: FastifyReply['send']
  writeHead: WriteHead
}

type WatchedRaw = FastifyReply['raw'] & { [EXCHANGE]?: Watch }

/**
 * Watches one reply from the handler's answer to the wire. `send` is the moment the handler answers,
 * before any hook has seen it; `writeHead` is the moment after which nothing can change. Hooks in
 * between (compression, etag, cookies, however they are registered) do their work for this client
 * and leave what is stored alone. Only requests that may fill the cache are watched.
 */
export function watchAnswer(exchange: Exchange, reply: FastifyReply): void {
  const { log } = exchange.cache
  exchange.fill = new Fill(log.position, log.version, snapshot(currentFields(reply)))
  const { settleMs } = exchange.policy
  if (settleMs > 0) exchange.fill.settledSeq = log.reachedBefore(settleMs)
  exchange.fill.startedAt = exchange.cache.tiers.now()
  exchange.fill.requestFields = { ...reply.request.headers }
  const raw: WatchedRaw = reply.raw
  // The methods of this very reply, whoever else has put one in front; each is called with it.
  // oxlint-disable-next-line typescript/unbound-method
  raw[EXCHANGE] = { reply, send: reply.send, writeHead: raw.writeHead as WriteHead }
  reply.send = watchedSend
  raw.writeHead = watchedWriteHead as typeof raw.writeHead
  if (exchange.policy.counts !== undefined) watchIgnored(exchange, reply, exchange.policy.counts)
  const { vary } = exchange.fill.before
  if (vary !== undefined && listMembers(vary).includes('origin')) listenToVary(exchange.fill, reply)
}

/** Where a hook has named Origin already, it cannot be seen afterwards that the handler did as well. */
function listenToVary(fill: Fill, reply: FastifyReply): void {
  // oxlint-disable-next-line typescript/unbound-method
  const { header } = reply
  reply.header = function (this: FastifyReply, name: string, value: unknown) {
    if (!fill.answered && name.toLowerCase() === 'vary') {
      fill.namesOrigin ||= listMembers(Array.isArray(value) ? value : String(value)).includes(
        'origin',
      )
    }
    return header.call(this, name, value)
  } as FastifyReply['header']
}

function watchedSend(this: FastifyReply, payload?: unknown): FastifyReply {
  const raw: WatchedRaw = this.raw
  const { send } = raw[EXCHANGE]!
  const exchange = this.request[EXCHANGE]!
  const fill = exchange.fill!
  if (fill.rescued) return send.call(this, payload)
  if (isResponse(payload)) payload = unfoldResponse(this, payload)
  if (fill.ownRequestFields !== undefined) restoreRequest(fill, this.request)
  // A stream that fails before its first byte is answered for again.
  if (exchange.stale !== undefined && (!fill.answered || fill.flow !== undefined)) {
    const stored = substitute(exchange, this, payload)
    if (stored !== undefined) payload = stored.payload
    if (fill.rescued) return send.call(this, payload)
  }
  if (fill.answered || payload instanceof Error) fill.failure ??= 'error'
  else payload = captureAnswer(exchange, fill, this, payload)
  if (fill.complete && answerOwnConditions(fill, this, exchange.cache.tiers.now())) {
    payload = undefined
  } else if (fill.fwdStatus !== undefined) payload = asTyped(this, payload as ReplayBody)
  seeToStream(exchange, this, payload)
  return send.call(this, payload)
}

function watchedWriteHead(this: WatchedRaw, status: number, ...rest: unknown[]): unknown {
  const { reply, writeHead } = this[EXCHANGE]!
  const exchange = reply.request[EXCHANGE]!
  const fill = exchange.fill!
  if (fill.concluded || fill.rescued) return writeHead.call(this, status, ...rest)
  fill.concluded = true
  const headers = fill.answered ? headerArgument(rest) : undefined
  let judgement = judgeOnWire(exchange, reply, status, headers)
  try {
    return writeHead.call(this, status, ...rest)
  } catch (error) {
    // A field that a hook made invalid: Fastify answers with an error next, with these fields.
    if (headers !== undefined) delete headers['cache-status']
    judgement = withoutEntry(exchange, 'incomplete')
    throw error
  } finally {
    settleOnWire(exchange, reply, judgement)
  }
}

/** What the next writer may change in place: lists, and the section itself. */
function snapshot(fields: Fields): Fields {
  let copy: Fields | undefined
  for (const name in fields) {
    const value = fields[name]
    copy ??= {}
    copy[name] = Array.isArray(value) ? value.slice() : value
  }
  return copy ?? NO_FIELDS
}

/**
 * Fastify passes the fields as one object of its own. What a handler that writes by itself passes
 * is the handler's, and not to be touched: there is no answer then.
 */
function headerArgument(rest: unknown[]): HeadFields | undefined {
  const last = rest[rest.length - 1]
  return last !== null && typeof last === 'object' && !Array.isArray(last)
    ? (last as HeadFields)
    : undefined
}

/** Returns what is to be sent: the payload, or what watches it on its way. */
function captureAnswer(
  exchange: Exchange,
  fill: Fill,
  reply: FastifyReply,
  payload: unknown,
): unknown {
  fill.answered = true
  fill.status = reply.statusCode
  fill.tags = exchange.policy.encodedTags
  if (fill.failure !== undefined) return payload
  if (!mayStoreStatus(exchange.policy, fill.status)) {
    fill.failure = 'status'
    return payload
  }
  fill.failure = askOptions(exchange, reply, payload, fill)
  if (isStream(payload)) return captureStream(exchange, fill, reply, payload)
  // The type that Fastify completes after this it completes on a hit as well, from the same body.
  if (payload === undefined || typeof payload === 'string' || ArrayBuffer.isView(payload)) {
    // To Fastify bytes have a type, and streams have none; what is stored has been one of the two.
    const isOwn = fill.fwdStatus === undefined
    if (isOwn && typeof payload === 'object' && !reply.hasHeader('content-type')) {
      reply.header('content-type', 'application/octet-stream')
    }
    if (exchange.policy.http.etag) addEntityTag(reply, bytesOf(payload))
    captureBody(fill, reply, bytesOf(payload))
  }
  if (typeof payload === 'string') listenToOwnSerializer(fill, reply)
  return payload
}

const CROWDED = new Error(
  'bodies that are on their way to slow clients take all the memory that they may have together',
)

/** The bytes are collected while they flow to the client, and stored when they have come to a good end. */
function captureStream(
  exchange: Exchange,
  fill: Fill,
  reply: FastifyReply,
  payload: StreamPayload,
): unknown {
  const { maxBytes } = exchange.policy
  const length = reply.getHeader('content-length')
  if (!mayTap(reply.getHeader('content-type'), reply.sent)) fill.failure ??= 'stream'
  else if (Number(length) > maxBytes) fill.failure ??= 'too-big'
  if (fill.failure !== undefined) return payload
  captureBody(fill, reply, undefined)
  const flow: Flow = { outcome: undefined, settle: undefined }
  fill.flow = flow
  const share = exchange.cache.recorded.open()
  const end = (): void => {
    share.close()
    flow.outcome ??= { failure: 'incomplete' }
    flow.settle?.()
    // Of a client that has gone before the first byte there is no header section.
    release(exchange, 'overtaken')
  }
  // A hook may put another payload in its place; then nobody ever reads this one.
  whenGone(reply, end)
  return tapStream(payload, {
    maxBytes,
    share,
    onEnd: (outcome) => {
      if (outcome.failure === 'crowded') exchange.cache.trouble.report('stream', CROWDED)
      const isWhole = outcome.body !== undefined && agreesWithLength(length, outcome.body.length)
      flow.outcome ??= isWhole || outcome.body === undefined ? outcome : { failure: 'incomplete' }
      flow.settle?.()
    },
  })
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
  fill: Fill,
): NotStoredReason | undefined {
  const { policy, cache } = exchange
  // They were asked about the stored response that this is.
  if (fill.fwdStatus !== undefined) return askAgain(exchange, fill)
  try {
    const storable: unknown = syncResult(
      'storable',
      policy.storable?.(reply.request, reply, payload),
    )
    if (policy.storable && storable !== true) return 'skipped'
    fill.ttl = lifetime(exchange, reply, payload)
    fill.tags = optionTags(exchange, reply, payload)
    return undefined
  } catch (error) {
    cache.trouble.report('route option', error)
    return 'option-failed'
  }
}

/** The payload that the functions would see is not the handler's; what they said before holds. */
function askAgain({ policy, stale }: Exchange, fill: Fill): undefined {
  const { freshUntil, storedAt } = stale!.entry
  fill.ttl = policy.ttl === 'headers' ? policy.ttl : (freshUntil - storedAt) / 1000
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
  { policy, fill, stale, target }: Exchange,
  reply: FastifyReply,
  payload: unknown,
): readonly string[] {
  if (fill!.fwdStatus === 304) {
    // The handler has not made what the tags were taken from, and what is confirmed keeps its own.
    const ofTarget = targetTags(target!)
    const own = stale!.entry.tags.filter((tag) => !ofTarget.includes(tag))
    return [...new Set([...policy.encodedTags, ...own])]
  }
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
