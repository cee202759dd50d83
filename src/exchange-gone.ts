import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import { release } from './exchange-store.ts'

type Raw = FastifyReply['raw']

/** Over HTTP/2 only the stream beneath tells. */
function isGone(raw: Raw): boolean {
  const { destroyed, stream } = raw as Raw & { readonly stream?: { readonly destroyed?: boolean } }
  return destroyed || stream?.destroyed === true
}

/** Calls `end` when nothing more can be written, which may be so by now. */
export function whenGone(raw: Raw, end: () => void): void {
  if (isGone(raw)) end()
  else raw.once('close', end)
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
function giveUp(exchange: Exchange, { raw, request, sent }: FastifyReply): void {
  const end = (): void => release(exchange, 'overtaken')
  if (request.raw.aborted || request.raw.socket?.destroyed) end()
  else if (sent || isGone(raw)) whenGone(raw, end)
}

/**
 * A hook may make a stream of what the handler has answered, and of a stream a client that has gone
 * sees no header section.
 */
export function seeToStream(exchange: Exchange, { raw }: FastifyReply): void {
  const { flight, lease, fill } = exchange
  // One that is stored while it flows sees to that itself.
  if (fill!.flow !== undefined || (flight === undefined && lease === undefined)) return
  raw.once('pipe', () => whenGone(raw, () => release(exchange, 'overtaken')))
}
