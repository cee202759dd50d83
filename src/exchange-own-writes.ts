import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import type { Action } from './exchange-decide.ts'
import type { LogPosition } from './stored-response.ts'
import type { ResponseCache } from './response-cache.ts'

/** Whether the client has written something that this process has not heard of yet. */
export function isBehind({ after, cache }: Exchange): boolean {
  return after !== undefined && !cache.log.hasReached(after)
}

/** Waits for it, in bounded time. */
export function catchUp({ after, cache }: Exchange): Promise<boolean> {
  return cache.readYourWrites!.reach(after!)
}

/** Nothing that is stored here, or under way, is known to be from after the client's write. */
export function goAlone(exchange: Exchange): Exclude<Action, 'hit' | 'stale'> {
  exchange.isAlone = true
  exchange.fwd = 'miss'
  return exchange.demands?.onlyIfCached ? 'only-if-cached' : 'forward'
}

/** Gives the client the position of its write; undefined when Redis has not confirmed it. */
export function tellPosition(
  { readYourWrites }: ResponseCache,
  request: FastifyRequest,
  reply: FastifyReply,
  receipt: LogPosition | undefined,
): void {
  if (readYourWrites === undefined) return
  const [name, value] = readYourWrites.fieldFor(receipt, request.protocol === 'https')
  reply.header(name, value)
}
