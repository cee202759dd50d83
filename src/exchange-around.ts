import type { FastifyReply } from 'fastify'

import { OnlyIfCachedError } from './errors.ts'
import { type Exchange, tellStatus } from './exchange.ts'
import { tellForwarded } from './exchange-store.ts'

/** The route's own handler, bound to its request and reply. */
export type Handler = () => unknown

export function refuse(exchange: Exchange, reply: FastifyReply): FastifyReply {
  const status = exchange.conclude({ hit: false, detail: 'only-if-cached' })
  tellStatus(exchange.cache, status, (name, value) => void reply.header(name, value))
  return reply.send(new OnlyIfCachedError())
}

export function goAround(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  // An unsafe method is not for this cache to answer; it says nothing about it.
  if (exchange.bypass === 'method') return handler()
  const status = exchange.conclude({ hit: false, fwd: 'bypass', detail: exchange.bypass! })
  tellForwarded(exchange, reply, status)
  return handler()
}

/** HEAD reads what GET stored and never fills: its handler may not have made a body. */
export function forwardHead(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  // Nobody watches how long it runs.
  exchange.clockAt = 0
  const status = exchange.conclude({ hit: false, fwd: exchange.fwd })
  tellForwarded(exchange, reply, status)
  return handler()
}
