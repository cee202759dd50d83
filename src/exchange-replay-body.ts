import { Readable } from 'node:stream'

import type { FastifyReply } from 'fastify'

import type { StoredEntry } from './stored-response.ts'

/** What is to be sent. */
export type ReplayBody = StoredEntry['body'] | Readable

/** A part of a text is sent as bytes, of which Fastify would complete another type. */
export function completeTextType(reply: FastifyReply): void {
  const type = reply.getHeader('content-type')
  if (type === undefined) reply.header('content-type', 'text/plain; charset=utf-8')
  else if (/^[^;]*json/i.test(String(type)) && !/;\s*charset=/i.test(String(type))) {
    reply.header('content-type', `${String(type)}; charset=utf-8`)
  }
}

/**
 * Fastify gives bytes a type where they have none. Those of a stream that had none go as a stream,
 * to which it gives nothing: RFC 9110 §8.3 leaves it to the client to look at them.
 */
export function asTyped(reply: FastifyReply, body: ReplayBody): ReplayBody {
  if (!Buffer.isBuffer(body) || reply.hasHeader('content-type')) return body
  const { raw } = reply
  const stream = Readable.from(body.length === 0 ? [] : [body])
  // Its length is that of the answer as long as no hook makes another stream of it.
  raw.once('pipe', (source) => {
    const isFramed = raw.hasHeader('content-length') || raw.hasHeader('transfer-encoding')
    if (source === stream && !isFramed) raw.setHeader('content-length', body.length)
  })
  return stream
}
