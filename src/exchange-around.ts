import type { FastifyReply, FastifyRequest } from 'fastify'

import { OnlyIfCachedError } from './errors.ts'
import { EXCHANGE, type Exchange, tellStatus } from './exchange.ts'
import { tellForwarded } from './exchange-store.ts'
import { type HandlerTrace, handlerChannel, traced } from './tracing.ts'

/** The route's own handler, bound to its request and reply. */
export type Handler = () => unknown

export function refuse(exchange: Exchange, reply: FastifyReply): FastifyReply {
  const status = exchange.conclude({ hit: false, detail: 'only-if-cached' })
  tellStatus(exchange.cache, status, (name, value) => void reply.header(name, value))
  return reply.send(new OnlyIfCachedError())
}

export function goAround(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  // An unsafe method is not for this cache to answer; it says nothing about it.
  // Nor is a request that the cache itself makes to be counted.
  if (exchange.bypass === 'method' || exchange.refresh?.audit !== undefined) return handler()
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

/** Runs it for those who trace handlers. One that answers through `reply` is over when that is. */
export function traceHandler(
  request: FastifyRequest,
  reply: FastifyReply,
  handler: Handler,
): unknown {
  const exchange = request[EXCHANGE]
  if (exchange === undefined) return handler()
  const { cache, policy, bypass, fwd, refresh } = exchange
  const trace: HandlerTrace = {
    namespace: cache.namespace,
    route: policy.route,
    reason: bypass === undefined ? fwd : bypass === 'method' ? 'method' : 'bypass',
    refresh: refresh !== undefined,
  }
  return traced(handlerChannel, trace, handler, (over) => {
    if (reply.sent) queueMicrotask(over)
    else reply.raw.once('close', over)
  })
}
