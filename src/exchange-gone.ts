import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import { release } from './exchange-store.ts'
import { isStream } from './exchange-stream.ts'

type Raw = FastifyReply['raw']

/** Whether its connection has others to answer first (HTTP/1.1 pipelining). */
function isQueued({ raw }: FastifyReply): boolean {
  return raw.socket === null
}

function isGone(reply: FastifyReply): boolean {
  if (isQueued(reply) && reply.request.raw.aborted) return true
  // Over HTTP/2 only the stream beneath tells.
  const { destroyed, stream } = reply.raw as Raw & { readonly stream?: { destroyed?: boolean } }
  return destroyed || stream?.destroyed === true
}

/** Calls `end` when nothing more can be written, which may be so by now. */
export function whenGone(reply: FastifyReply, end: () => void): void {
  if (isGone(reply)) return end()
  reply.raw.once('close', end)
  // Before Node 24 a response that has not had its turn is told nothing of the end.
  if (isQueued(reply)) reply.request.raw.once('aborted', end)
}

/** Nobody waits for a run whose client is gone and whose handler had nothing to say. */
export function seeToWaiters(exchange: Exchange, reply: FastifyReply, result: unknown): void {
  const { flight, lease } = exchange
  if (flight === undefined && lease === undefined) return
  // A step later, so that whatever Fastify does with the result comes first.
  const look = (): void => giveUp(exchange, reply)
  if (!(result instanceof Promise)) {
    // Taken over by its handler: nothing is to come but what that writes.
    if (reply.sent) look()
    return
  }
  const watch = (): void => void result.then(look, look)
  if (flight !== undefined) flight.onFirstWaiter = watch
  if (lease !== undefined || flight?.waiters !== undefined) watch()
}

/** Then Fastify sends nothing at all. */
function giveUp(exchange: Exchange, reply: FastifyReply): void {
  const { request, sent } = reply
  const end = (): void => release(exchange, 'overtaken')
  if (request.raw.aborted || request.raw.socket?.destroyed) end()
  else if (sent || isGone(reply)) whenGone(reply, end)
}

/**
 * A hook may make a stream of what the handler has answered, and of a stream a client that has gone
 * sees no header section.
 */
export function seeToStream(exchange: Exchange, reply: FastifyReply, payload: unknown): void {
  const { flight, lease, fill } = exchange
  // One that is stored while it flows sees to that itself.
  if (fill!.flow !== undefined || (flight === undefined && lease === undefined)) return
  const end = (): void => release(exchange, 'overtaken')
  if (isStream(payload)) whenGone(reply, end)
  else reply.raw.once('pipe', () => whenGone(reply, end))
}
