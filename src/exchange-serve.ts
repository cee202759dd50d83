import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Flight } from './collapser.ts'
import { EXCHANGE, type Exchange } from './exchange.ts'
import { identify } from './exchange-identity.ts'
import { watchAnswer } from './exchange-answer.ts'
import { type Handler, forwardHead, goAround, refuse } from './exchange-around.ts'
import {
  type Action,
  decide,
  isToBeReplaced,
  mayServeOthers,
  mayShare,
  mayWaitAgain,
  readDemands,
  staleOf,
} from './exchange-decide.ts'
import { contest, contestRefresh, isOfFleet } from './exchange-fleet.ts'
import { seeToWaiters } from './exchange-gone.ts'
import { offer } from './exchange-learn.ts'
import { asVariant, lookUp, lookUpOnce, peek } from './exchange-lookup.ts'
import { catchUp, goAlone, isBehind } from './exchange-own-writes.ts'
import { isBeingRefreshed, refreshInBackground, replayHit } from './exchange-refresh.ts'
import { replay, replayCollapsed, replayOnError } from './exchange-replay.ts'
import type { ReplayBody } from './exchange-replay-body.ts'
import { askForValidation, mayStandIn, rescueFromThrow } from './exchange-validate.ts'
import { noteRefreshed, release } from './exchange-store.ts'
import {
  coverHooks,
  followsOtherVariant,
  normalizeRequest,
  selectVariant,
} from './exchange-variants.ts'
import type { Lookup } from './store/tiered-cache.ts'
import { isSampled } from './telemetry.ts'
import { lookupChannel } from './tracing.ts'

/**
 * Stands in the handler's place: everything that guards the route has run. A hit answers, a miss
 * runs the handler. What it returns is what Fastify gets from a handler: a value to send, a
 * promise, or undefined when the reply takes care of itself.
 */
export function serve(request: FastifyRequest, reply: FastifyReply, handler: Handler): unknown {
  const exchange = request[EXCHANGE]
  // Somebody took our onRequest hook away: without an exchange there is no cache.
  if (exchange === undefined) return handler()
  if (isSampled(exchange.policy.stats)) exchange.clockAt ||= performance.now()
  identify(exchange, request)
  if (exchange.bypass !== undefined) return goAround(exchange, reply, handler)
  coverHooks(exchange, reply)
  if (exchange.policy.http.requestDirectives) readDemands(exchange, request)
  if (exchange.policy.vary.normalizers !== undefined) normalizeRequest(exchange, request)
  if (isBehind(exchange)) {
    exchange.clockAt ||= performance.now()
    return catchUp(exchange).then((isThere) => {
      if (reply.sent) return undefined
      if (isThere) return settled(reply, find(exchange, reply, handler))
      return settled(reply, act(exchange, reply, handler, goAlone(exchange)))
    })
  }
  return find(exchange, reply, handler)
}

/** What is there that may be used without asking anyone, or else whatever there is to do. */
function find(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  const { request } = reply
  const { tiers } = exchange.cache
  const now = tiers.now()
  // Who traces lookups sees this one as well: it is what `peek` does, without its detours.
  const hot = lookupChannel.hasSubscribers
    ? undefined
    : tiers.hot(exchange.key, now, exchange.policy.strict)
  if (hot !== undefined && exchange.demands === undefined && exchange.refresh === undefined) {
    reply.send(replayHit(exchange, reply, hot, now))
    return undefined
  }
  // What an audit compares is made anew, whatever is there.
  if (exchange.refresh?.audit !== undefined) return forward(exchange, reply, handler)
  const lookup = peek(exchange, request, now)
  if (lookup === undefined) {
    exchange.clockAt ||= performance.now()
    // HEAD never fills, and what a client demands is decided by what is stored.
    if (request.method === 'HEAD' || exchange.demands !== undefined) {
      return lookThenAct(exchange, reply, handler)
    }
    return collapse(exchange, reply, handler, undefined)
  }
  const action = decide(exchange, lookup, now)
  if (action === 'hit') {
    reply.send(replayHit(exchange, reply, lookup.found!, now))
    return undefined
  }
  return act(exchange, reply, handler, action)
}

/** Everything but a hit. */
function act(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  action: Exclude<Action, 'hit'>,
): unknown {
  const { request } = reply
  if (action === 'only-if-cached') return refuse(exchange, reply)
  if (request.method === 'HEAD') return forwardHead(exchange, reply, handler)
  const isRefreshed = (): boolean =>
    refreshInBackground(exchange, request) || isBeingRefreshed(exchange)
  if (action === 'stale' && isRefreshed()) {
    return answer(reply, replay(exchange, reply, exchange.stale!, exchange.cache.tiers.now()))
  }
  exchange.clockAt ||= performance.now()
  return collapse(exchange, reply, handler, action)
}

/** What a handler returns that has this body to send; without one it has to send by itself. */
function answer(reply: FastifyReply, body: ReplayBody): unknown {
  return body === undefined ? reply.send() : body
}

/** Looks for itself, behind nobody and with nobody behind it. */
async function lookThenAct(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
): Promise<unknown> {
  const lookup = await lookUp(exchange, reply.request)
  if (reply.sent) return undefined
  return settled(reply, finish(exchange, reply, handler, lookup))
}

/** What follows a lookup that had to ask: a hit, or whatever else there is to do. */
function finish(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  lookup: Lookup,
): unknown {
  const now = exchange.cache.tiers.now()
  const action = decide(exchange, lookup, now)
  if (action === 'hit') {
    return answer(reply, replayHit(exchange, reply, lookup.found!, now))
  }
  // One that leads a flight goes on with it: those who wait are waiting for its answer.
  if (exchange.flight === undefined) return act(exchange, reply, handler, action)
  if (action === 'forward') return lead(exchange, reply, handler)
  if (action === 'only-if-cached') {
    release(exchange, 'overtaken')
    return refuse(exchange, reply)
  }
  if (refreshInBackground(exchange, reply.request)) return serveStale(exchange, reply)
  return leadRefresh(exchange, reply, handler)
}

/** What is stored, for this request and for all who wait with it. */
function serveStale(exchange: Exchange, reply: FastifyReply): unknown {
  exchange.flight?.serveStale(exchange.stale!)
  release(exchange, 'overtaken')
  return answer(reply, replay(exchange, reply, exchange.stale!, exchange.cache.tiers.now()))
}

/** Joins the computation that is under way, or begins one, or goes alone. */
function collapse(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  action: Action | undefined,
): unknown {
  const { cache, policy, key } = exchange
  if (policy.coalesce !== false && !exchange.isAlone && exchange.demands?.noStore !== true) {
    const now = cache.tiers.now()
    const flight = cache.collapser.join(key, now, policy.coalesce)
    if (flight?.refreshes && action === undefined) return lookThenAct(exchange, reply, handler)
    if (flight !== undefined) {
      // It may be waiting for the very lease that this one has brought along.
      release(exchange, 'overtaken')
      return follow(exchange, reply, handler, flight)
    }
    exchange.flight = offer(exchange, now, policy.coalesce)
    exchange.flightKey = key
  }
  if (action === undefined) return lookThenForward(exchange, reply, handler)
  return (action === 'stale' ? leadRefresh : lead)(exchange, reply, handler)
}

/** Runs the handler, unless another process does that for all. */
function lead(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  if (!isOfFleet(exchange)) return forward(exchange, reply, handler)
  return contest(exchange).then((lookup) => goOn(exchange, reply, handler, lookup))
}

/** The same for what may be served meanwhile: nobody waits. */
function leadRefresh(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  if (!isOfFleet(exchange)) return forward(exchange, reply, handler)
  return contestRefresh(exchange).then((lookup) => {
    if (lookup !== 'elsewhere') return goOn(exchange, reply, handler, lookup)
    return reply.sent ? release(exchange, 'overtaken') : serveStale(exchange, reply)
  })
}

/** Runs the handler and watches its answer. */
function forward(exchange: Exchange, reply: FastifyReply, handler: Handler): unknown {
  watchAnswer(exchange, reply)
  const { flight, stale } = exchange
  if (stale === undefined) {
    const result = handler()
    seeToWaiters(exchange, reply, result)
    return result
  }
  if (flight !== undefined && mayServeOthers(exchange)) flight.serveStale(stale)
  askForValidation(exchange, reply.request)
  const result = rescueFromThrow(exchange, reply, handler)
  seeToWaiters(exchange, reply, result)
  return result
}

async function lookThenForward(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
): Promise<unknown> {
  return goOn(exchange, reply, handler, await lookUpOnce(exchange))
}

/** After something was asked: with what was found, or, where nobody has anything, with the handler. */
function goOn(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  lookup: Lookup | undefined,
): unknown {
  if (lookup !== undefined && selectVariant(exchange, reply.request, lookup)) {
    // All who wait learn of the variants, and each goes on with its own.
    if (exchange.flight !== undefined) exchange.flight.variants = exchange.variants
    release(exchange, 'overtaken')
    if (reply.sent) return undefined
    return settled(reply, collapse(exchange, reply, handler, undefined))
  }
  if (lookup?.state === 'fresh') {
    // Who waits has what is to be replaced early.
    if (isToBeReplaced(exchange, lookup.found)) exchange.flight?.serveStale(lookup.found)
    else release(exchange, lookup.found)
  }
  if (reply.sent) return release(exchange, 'overtaken')
  if (lookup === undefined) return settled(reply, forward(exchange, reply, handler))
  return settled(reply, finish(exchange, reply, handler, asVariant(lookup)!))
}

/** Waits for another request's run, and takes its result only under the test of a hit. */
async function follow(
  exchange: Exchange,
  reply: FastifyReply,
  handler: Handler,
  flight: Flight,
): Promise<unknown> {
  const { cache, policy } = exchange
  if (policy.settleMs > 0) exchange.settledSeq = cache.log.reachedBefore(policy.settleMs)
  const cached = await cache.collapser.wait(flight, policy.coalesce as number)
  if (reply.sent) return undefined
  if (followsOtherVariant(exchange, reply.request, flight, cached)) {
    return settled(reply, collapse(exchange, reply, handler, undefined))
  }
  const now = cache.tiers.now()
  if (flight.rescue !== undefined && cached === undefined && mayStandIn(exchange, flight.rescue)) {
    const body = replayOnError(exchange, reply, flight.rescue, { now, fwdStatus: undefined })
    return answer(reply, body)
  }
  const stale = cached === undefined ? await staleOf(exchange, flight) : undefined
  if (stale !== undefined && !reply.sent) {
    return settled(reply, finish(exchange, reply, handler, stale))
  }
  if (cached !== undefined && (await mayShare(exchange, cached, flight)) && !reply.sent) {
    // What the other request found in a store is a hit for this one too.
    noteRefreshed(exchange, exchange.key)
    const show = cached.tier === 'handler' ? replayCollapsed : replay
    return answer(reply, show(exchange, reply, cached, cache.tiers.now()))
  }
  if (mayWaitAgain(exchange, cached, flight)) {
    return settled(reply, collapse(exchange, reply, handler, undefined))
  }
  return settled(reply, forward(exchange, reply, handler))
}

/**
 * A handler that answers through `reply` by itself returns nothing; an async function that resolves
 * with nothing would make Fastify send an empty 200. The reply is a thenable that waits for the end.
 */
function settled(reply: FastifyReply, result: unknown): unknown {
  return result === undefined ? reply : result
}
