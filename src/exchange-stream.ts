import { Readable, Stream } from 'node:stream'
import { ReadableStream } from 'node:stream/web'

import type { FastifyReply } from 'fastify'

import { Recording, type RecordingOptions } from './exchange-recording.ts'
import type { FieldValue } from './http/fields.ts'

/** A Node stream as Fastify knows it: by `pipe`. */
export type NodeStream = NodeJS.ReadableStream

/** A web `Response`, of whatever realm or package: what Fastify reads of it. */
export interface WebResponse {
  readonly status: number
  readonly headers: Iterable<readonly [name: string, value: string]>
  readonly body: unknown
  readonly bodyUsed: boolean
}

export type StreamPayload = NodeStream | ReadableStream | WebResponse

/** Whether Fastify streams this payload: the three tests of its `reply.send`. */
export function isStream(payload: unknown): payload is StreamPayload {
  return isNodeStream(payload) || isWebStream(payload) || isResponse(payload)
}

/** Whether Fastify takes status and fields from this payload. */
export function isResponse(payload: unknown): payload is WebResponse {
  return (
    payload !== null &&
    typeof payload === 'object' &&
    Object.prototype.toString.call(payload) === '[object Response]'
  )
}

function isNodeStream(payload: unknown): payload is NodeStream {
  return hasMethod(payload, 'pipe')
}

function isWebStream(payload: unknown): payload is ReadableStream {
  return hasMethod(payload, 'getReader')
}

function hasMethod(payload: unknown, name: string): boolean {
  return (
    payload !== null &&
    typeof payload === 'object' &&
    typeof (payload as Record<string, unknown>)[name] === 'function'
  )
}

/** Types whose bodies are a series of messages that goes on until somebody leaves. */
const ENDLESS = /^\s*(?:text\/event-stream|multipart\/x-mixed-replace)\s*(?:;|$)/i

/**
 * Whether a stream of this type may be watched for the cache. A reply that was hijacked or has been
 * sent (`reply.sent`) never reads its payload.
 */
export function mayTap(contentType: FieldValue | undefined, sent = false): boolean {
  return !sent && (contentType === undefined || !ENDLESS.test(String(contentType)))
}

/**
 * Whether so many bytes are what Content-Length says. RFC 9111 §3.3: a response whose content is
 * shorter than that is incomplete.
 */
export function agreesWithLength(contentLength: FieldValue | undefined, bytes: number): boolean {
  if (contentLength === undefined) return true
  const text = String(contentLength)
  return /^\d+$/.test(text) && Number(text) === bytes
}

/**
 * Takes status and fields from a `Response` as Fastify does at the end of `send`, and returns its
 * body; undefined when it has none. What Fastify would refuse is returned as it is.
 */
export function unfoldResponse(
  reply: FastifyReply,
  response: WebResponse,
): StreamPayload | undefined {
  const { status, headers } = response
  const body = response.body ?? undefined
  if (body !== undefined && (response.bodyUsed || !isStream(body))) return response
  if (!(status >= 100 && status <= 599)) return response
  reply.code(status)
  // Not by `headers()`: several Set-Cookie fields come one by one, and `header` keeps them all.
  for (const [name, value] of headers) reply.header(name, value)
  return body
}

/**
 * Listens to a payload on its way to the client. What is returned takes its place: a Node stream is
 * itself, a web stream is one that reads from it. Nothing is read that the client does not ask for.
 */
export function tapStream(payload: StreamPayload, options: RecordingOptions): StreamPayload {
  const recording = new Recording(options)
  if (isNodeStream(payload)) {
    if (!watchNodeStream(payload, recording)) recording.fail('incomplete')
    return payload
  }
  if (isWebStream(payload) && !payload.locked && !Readable.isDisturbed(payload as never)) {
    return readThrough(payload, recording)
  }
  recording.fail('incomplete')
  return payload
}

/** Every Readable has it; older releases of the package readable-stream have no `readableEnded`. */
const STATE = '_readableState'

/** What is read here of a stream beyond its interface. */
interface Inside {
  readonly [STATE]?: { readonly endEmitted?: boolean; readonly emitClose?: boolean }
  readonly destroyed?: boolean
  /** Of an HTTP/2 stream. */
  readonly rstCode?: number
}

/**
 * Every chunk that anybody reads from a Readable, in whatever way, is emitted as 'data'. A listener
 * would change when and how the stream flows, so `emit` itself is watched, on this object only.
 * False when the stream is over or would not tell.
 */
function watchNodeStream(source: NodeStream & Inside, recording: Recording): boolean {
  const state = source[STATE]
  if (state === undefined) {
    // Before Node 0.10 streams were this class; a `pipe` of one's own need not emit anything.
    if (source.pipe !== Stream.prototype.pipe || !source.readable) return false
  } else if (state.endEmitted || source.destroyed) return false
  const isWatched = watch(source, 'emit', (event, argument) => {
    if (event === 'data') recording.add(argument)
    else if (event === 'end' && endedCleanly(source)) recording.end()
    else if (event === 'error') recording.fail('error')
    else if (event === 'end' || event === 'close') recording.fail('incomplete')
  })
  // Bytes that are put back are emitted once more.
  watch(source, 'unshift', () => {
    if (!recording.isEmpty) recording.fail('incomplete')
  })
  if (state?.emitClose !== true) {
    for (const name of ['destroy', 'close', 'abort']) {
      watch(source, name, (error) =>
        recording.fail(error instanceof Error ? 'error' : 'incomplete'),
      )
    }
  }
  return isWatched
}

/** The 'end' of a Readable is its own. An HTTP/2 stream that was cut off emits one, too. */
function endedCleanly({ [STATE]: state, rstCode }: NodeStream & Inside): boolean {
  return (state === undefined || state.endEmitted === true) && !rstCode
}

/** Calls `see` before the method of this object, with the same arguments. */
function watch(target: object, name: string, see: (...seen: unknown[]) => void): boolean {
  const method: unknown = Reflect.get(target, name)
  if (typeof method !== 'function') return false
  const value = function (this: unknown, ...seen: unknown[]): unknown {
    see(...seen)
    return Reflect.apply(method, this, seen)
  }
  return Reflect.defineProperty(target, name, { value, configurable: true, writable: true })
}

/** Reads when it is read, one chunk for one chunk, and keeps none. */
function readThrough(source: ReadableStream, recording: Recording): ReadableStream {
  const reader = source.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await reader.read()
          if (done) {
            recording.end()
            controller.close()
          } else {
            recording.add(value)
            controller.enqueue(value)
          }
        } catch (error) {
          // The controller of a cancelled stream takes nothing more; then this changes nothing.
          recording.fail('error')
          throw error
        }
      },
      cancel(reason) {
        recording.fail('incomplete')
        return reader.cancel(reason)
      },
    },
    { highWaterMark: 0 },
  )
}
