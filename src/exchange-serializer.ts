import { randomBytes } from 'node:crypto'

import type { FastifyReply, FastifyRequest } from 'fastify'

import { EXCHANGE, type Fill } from './exchange.ts'
import { currentFields } from './exchange-fields.ts'
import { makeEntityTag } from './http/entity-tag.ts'
import { handlerFields } from './http/handler-fields.ts'

type Serializer = (payload: unknown) => string | Uint8Array
type SerializersByType = Record<string, ((payload: unknown) => string) | undefined>

/** The body is there, and with it the header section as handler and serialization have left it. */
export function captureBody(
  fill: Fill,
  reply: FastifyReply,
  body: string | Uint8Array | undefined,
): void {
  fill.body = body
  fill.complete = true
  const { replayed } = reply.request[EXCHANGE]!.policy.http
  fill.fields = handlerFields(fill.before, currentFields(reply), replayed)
}

/** RFC 9110 §8.8.3: a tag for what has none; the client that fills the cache gets it, too. */
export function addEntityTag(reply: FastifyReply, body: string | Uint8Array | undefined): void {
  if (reply.hasHeader('etag') || reply.statusCode !== 200 || body === undefined) return
  const parts = ['content-type', 'content-encoding', 'content-language'].map((name) => {
    const value = reply.getHeader(name)
    return value === undefined ? undefined : String(value)
  })
  // The type that Fastify completes depends on this.
  parts[0] ??= typeof body
  reply.header('etag', makeEntityTag(body, parts))
}

/** A hit is sent as a text or bytes, and such are never without a type. */
function captureSerialized(fill: Fill, reply: FastifyReply, body: string | Uint8Array): void {
  const { policy } = reply.request[EXCHANGE]!
  if (policy.http.etag) addEntityTag(reply, body)
  captureBody(fill, reply, body)
  fill.isSerialized = true
  if (reply.statusCode !== fill.status) {
    // Of a preSerialization hook, which does not run on hits.
    fill.status = reply.statusCode
    const ttl = policy.statuses.get(fill.status)
    if (typeof ttl === 'number') fill.ttl = ttl
  }
  if (!reply.hasHeader('content-type')) fill.failure ??= 'content-type'
}

/**
 * The preSerialization step: the bytes that Fastify is about to make of an object are the ones to
 * store, so its serializer is called once, through ours, with the payload as the last hook left it.
 */
export function listenToSerializer(request: FastifyRequest, reply: FastifyReply): void {
  const fill = request[EXCHANGE]?.fill
  if (!fill?.answered || fill.failure !== undefined) return
  const own = ownSerializer(reply)
  setSerializer(reply, (payload) => {
    // As before, so that whatever serializes again (an error answer) is left alone.
    setSerializer(reply, own)
    const body = own === null ? serializeAsFastify(reply, payload) : own(payload)
    captureSerialized(fill, reply, body)
    return body
  })
}

/** A serializer that handler or hook chose with `reply.serializer()` makes bytes even of a text. */
export function listenToOwnSerializer(fill: Fill, reply: FastifyReply): void {
  const own = ownSerializer(reply)
  if (own === null) return
  setSerializer(reply, (payload) => {
    setSerializer(reply, own)
    const body = own(payload)
    captureSerialized(fill, reply, body)
    return body
  })
}

/**
 * For a text that is serialized already. A serializer that a hook has set would be applied to it, and
 * without any Fastify would complete a type that it leaves alone where there is one.
 */
export function skipSerializer(reply: FastifyReply): void {
  if (ownSerializer(reply) !== null) setSerializer(reply, (text) => text as string)
}

function setSerializer(reply: FastifyReply, serializer: Serializer | null): void {
  // Null is what a reply has that nobody gave a serializer.
  reply.serializer(serializer as (payload: unknown) => string)
}

let serializerSymbol: symbol | undefined

/**
 * What `reply.serializer()` was given. Fastify offers no way to ask, so this looks for the field
 * under its description; without it no answer is captured, and so none is stored.
 */
function ownSerializer(reply: FastifyReply): Serializer | null {
  serializerSymbol ??= Object.getOwnPropertySymbols(reply).find(
    (symbol) => symbol.description === 'fastify.reply.serializer',
  )
  const own: unknown = serializerSymbol && (reply as never)[serializerSymbol]
  if (own === null || typeof own === 'function') return own as Serializer | null
  throw new Error('this version of Fastify keeps reply.serializer() where it cannot be seen')
}

/** Functions have no names that mean the same in another process; those of this one start with this. */
const PROCESS = randomBytes(12).toString('base64url')
const ordinals = new WeakMap<Serializer, number>()
let lastOrdinal = 0

/** Tells serializers apart that were chosen with `reply.serializer()`; undefined when none was. */
export function serializerName(reply: FastifyReply): string | undefined {
  const own = ownSerializer(reply)
  if (own === null) return undefined
  let ordinal = ordinals.get(own)
  if (ordinal === undefined) ordinals.set(own, (ordinal = ++lastOrdinal))
  return `${PROCESS} ${ordinal}`
}

/** As `reply` would have done it by itself. */
function serializeAsFastify(reply: FastifyReply, payload: unknown): string {
  const byType = serializersByType(reply)
  // A serializer of the application goes before all schemas; `reply.serialize` knows both, but no
  // schemas by media type.
  if (byType === undefined || hasAppSerializer(reply)) return reply.serialize(payload) as string
  const mediaType = String(reply.getHeader('content-type')).split(';', 1)[0]!.trim().toLowerCase()
  const serializer = byType[mediaType] ?? byType['*/*']
  return serializer ? serializer(payload) : JSON.stringify(payload)
}

/** Whether `setReplySerializer()` was called, for this scope or one around it. */
function hasAppSerializer(reply: FastifyReply): boolean {
  let scope: object | null = reply.server
  while (scope !== null) {
    for (const symbol of Object.getOwnPropertySymbols(scope)) {
      if (symbol.description === 'fastify.replySerializerDefault') {
        return typeof (scope as never)[symbol] === 'function'
      }
    }
    scope = Object.getPrototypeOf(scope) as object | null
  }
  return false
}

/** The response schemas of this status, when they are told apart by media type. */
function serializersByType(reply: FastifyReply): SerializersByType | undefined {
  const status = String(reply.statusCode)
  for (const name of [status, `${status[0]}xx`, 'default']) {
    const serializer = reply.getSerializationFunction(name) as unknown
    if (typeof serializer === 'function') return undefined
    if (serializer) return serializer as SerializersByType
  }
  return undefined
}
