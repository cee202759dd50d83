import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Flight } from './collapser.ts'
import { EXCHANGE, type Exchange, identify, tellStatus } from './exchange.ts'
import { watchAnswer } from './exchange-answer.ts'
import { replay, replayCollapsed } from './exchange-replay.ts'
import { serializerName } from './exchange-serializer.ts'
import { release } from './exchange-store.ts'
import { RESPONSE_KEY } from './exchange-target.ts'
import { variantKey } from './http/cache-key.ts'
import type { Cached } from './store/cached.ts'
import type { Lookup } from './store/tiered-cache.ts'

/** The route's own handler, bound to its request and reply. */
type Handler = () => unknown

/**
 * Stands in the handler's place: everything that guards the route has run. A hit answers, a miss
 * runs the handler. What it returns is what Fastify gets from a handler: a value to send, a
 * promise, or undefined when the reply takes care of itself.
 */
export function serve(request: FastifyRequest, reply: FastifyReply, handler: Handler): unknown {
  const exchange = request[EXCHANGE]
  // Somebody took our onRequest hook away: without an exchange there is no cache.
  if (exchange === undefined) return handler()
  identify(exchange, request)
  if (exchange.bypass !== undefined) return goAround(exchange, reply, handler)
  coverHooks(exchange, reply)
  const now = exchange.cache.tiers.now()
  const lookup = exchange.cache.tiers.peek(exchange.key, now, exchange.policy.strict)
  if (lookup?.found !== undefined) {
    replay(exchange, reply, lookup.found, now)
    return sendNow(reply, lookup.found)
  }
  if (lookup?.stale) exchange.fwd = 'stale'
  if (request.method === 'HEAD') return serveHead(exchange, reply, handler, lookup)
  return collapse(exchange, reply, handler, lookup)
}

/** What hooks have said of the reply by now, the handler builds on: it is part of the key. */
function coverHooks(exchange: Exchange, reply: FastifyReply): void {
  const { statusCode } = reply
  const type = reply.getHeader('content-type')
  const serializer = serializerName(reply)
  if (statusCode === 200 && type === undefined && serializer === undefined) return
  const values = [String(statusCode), type?.toString(), serializer]
  exchange.key = RESPONSE_KEY + variantKey(exchange.key, values)
}

function sendNow(reply: FastifyReply, cached: Cached): undefined {
  reply.send(cached.entry.body)
}

function goAround(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  // An unsafe method is not for this cache to answer; it says nothing about it.
  if (exchange.bypass === 'method') return handler()
  const status = exchange.conclude({ hit: false, fwd: 'bypass', detail: exchange.bypass! })
  tellStatus(exchange.cache, status, (name, value) => void reply.header(name, value))
  return handler()
}

/** HEAD reads what GET stored and never fills: its handler may not have made a body. */
async function headFromTiers(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
): Promise<unknown> {
  const { found } = noteStale(exchange, await lookUp(exchange))
  if (found !== undefined && !reply.sent) {
    replay(exchange, reply, found, exchange.cache.tiers.now())
    return found.entry.body
  }
  return settled(reply, forwardHead(exchange, reply, handler))
}

function serveHead(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  lookup: Lookup | undefined,
): unknown {
  if (lookup === undefined) return headFromTiers(exchange, reply, handler)
  return forwardHead(exchange, reply, handler)
}

function forwardHead(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  const status = exchange.conclude({ hit: false, fwd: exchange.fwd })
  tellStatus(exchange.cache, status, (name, value) => void reply.header(name, value))
  return handler()
}

/** Joins the computation that is under way, or begins one, or goes alone. */
function collapse(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  lookup: Lookup | undefined,
): unknown {
  const { cache, policy, key } = exchange
  if (policy.coalesce !== false) {
    const now = cache.tiers.now()
    const flight = cache.collapser.join(key, now, policy.coalesce)
    if (flight !== undefined) return follow(exchange, reply, handler, flight)
    exchange.flight = cache.collapser.lead(key, now, policy.coalesce)
  }
  if (lookup !== undefined) return forward(exchange, reply, handler)
  return lookThenForward(exchange, reply, handler)
}

/** Runs the handler and watches its answer. */
function forward(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  watchAnswer(exchange, reply)
  const result = handler()
  if (exchange.flight !== undefined && result instanceof Promise) {
    const giveUp = (): void => {
      // The client is gone and the handler had nothing to say: then Fastify sends nothing at all.
      const { raw, request } = reply
      if (raw.destroyed || request.raw.aborted || request.raw.socket?.destroyed) {
        release(exchange, 'overtaken')
      }
    }
    // A step later, so that whatever Fastify does with the result comes first.
    result.then(giveUp, giveUp)
  }
  return result
}

async function lookThenForward(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
): Promise<unknown> {
  const { found } = noteStale(exchange, await lookUp(exchange))
  if (found !== undefined) release(exchange, found)
  if (reply.sent) return release(exchange, 'overtaken')
  if (found !== undefined) {
    replay(exchange, reply, found, exchange.cache.tiers.now())
    return found.entry.body
  }
  return settled(reply, forward(exchange, reply, handler))
}

function lookUp({ cache, key, policy }: Exchange): Promise<Lookup> {
  return cache.tiers.lookup(key, policy.strict)
}

function noteStale(exchange: Exchange, lookup: Lookup): Lookup {
  if (lookup.found === undefined && lookup.stale) exchange.fwd = 'stale'
  return lookup
}

/** Waits for another request's run, and takes its result only under the test of a hit. */
async function follow(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  flight: Flight,
): Promise<unknown> {
  const { cache, policy } = exchange
  const cached = await cache.collapser.wait(flight, policy.coalesce as number)
  if (reply.sent) return undefined
  if (cached !== undefined && (await mayShare(exchange, cached, flight)) && !reply.sent) {
    // What the other request found in a store is a hit for this one too.
    if (cached.tier !== 'handler') replay(exchange, reply, cached, cache.tiers.now())
    else replayCollapsed(exchange, reply, cached, cache.tiers.now())
    return cached.entry.body
  }
  if (mayWaitAgain(exchange, cached, flight)) {
    return settled(reply, collapse(exchange, reply, handler, undefined))
  }
  return settled(reply, forward(exchange, reply, handler))
}

/**
 * An invalidation made the other's result useless, for one or for all: the next run may be shared
 * again, as long as the wait is within its bound. An uncacheable one is no reason to wait twice.
 */
function mayWaitAgain(
  { cache, policy, arrivedAt }: Exchange,
  cached: unknown,
  flight: Flight,
): boolean {
  if (cached === undefined && !flight.overtaken) return false
  return cache.tiers.now() - arrivedAt < (policy.coalesce as number)
}

/**
 * Nothing that this result depends on was invalidated between the start of the other run and the
 * arrival of this request. Without a verified log only runs that began within the lease are shared.
 */
async function mayShare(exchange: Exchange, cached: Cached, flight: Flight): Promise<boolean> {
  const { tiers, log } = exchange.cache
  if (exchange.policy.strict && !(await log.confirm())) return false
  if (!tiers.usable(cached, tiers.now())) return false
  if (log.verified()) return true
  return exchange.arrivedAt - flight.startedAt <= log.state().stalenessBoundMs
}

/**
 * A handler that answers through `reply` by itself returns nothing; an async function that resolves
 * with nothing would make Fastify send an empty 200. The reply is a thenable that waits for the end.
 */
function settled(reply: FastifyReply, result: unknown): unknown {
  return result === undefined ? reply : result
}
