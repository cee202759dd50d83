import { inspect } from 'node:util'

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Exchange, Fill } from './exchange.ts'
import { currentFields } from './exchange-fields.ts'
import { applyHead, replayOnError, validatorsOfCached } from './exchange-replay.ts'
import type { ReplayBody } from './exchange-replay-body.ts'
import { isStream } from './exchange-stream.ts'
import { UnusableValidationError } from './errors.ts'
import { release } from './exchange-store.ts'
import { weakMatch } from './http/entity-tag.ts'
import { fieldsOf, sameField } from './http/fields.ts'
import { type HandlerFields, handlerFields } from './http/handler-fields.ts'
import {
  type Validators,
  entityTagIn,
  isNotModified,
  isStrongDate,
  notModifiedFields,
  validatorsOf,
} from './http/conditional.ts'
import {
  type Conditions,
  conditionsFor,
  freshenedHead,
  validates,
  validationRequest,
} from './http/revalidation.ts'
import { mayServeOnError } from './http/freshness.ts'
import type { Cached } from './store/cached.ts'

/**
 * The handler is asked to confirm what is stored: it sees our conditions in place of the client's,
 * which count again as soon as it has answered (RFC 9111 §4.3.1).
 */
export function askForValidation(exchange: Exchange, request: FastifyRequest): void {
  const conditions = conditionsOf(exchange)
  if (conditions === undefined) return
  const { raw, headers } = request
  const fill = exchange.fill!
  exchange.conditions = conditions
  fill.ownRequestFields = raw.headers
  if (headers !== raw.headers) {
    // What a validator has made of the fields goes before those of the raw request.
    fill.ownMadeFields = headers
    request.headers = validationRequest(headers, conditions)
  }
  // HTTP/2 has no setter for it.
  const value = validationRequest(raw.headers, conditions)
  Object.defineProperty(raw, 'headers', { value, configurable: true, writable: true })
}

function conditionsOf({ stale, cache: { tiers } }: Exchange): Conditions | undefined {
  const validators = validatorsOfCached(stale!)
  const conditions = validators === null ? undefined : conditionsFor(validators)
  if (conditions?.etag !== undefined || conditions?.lastModified === undefined) return conditions
  // RFC 9110 §8.8.2.2: what changes within the same second has the same date. After an invalidation
  // something has changed.
  const isInvalidated =
    tiers.stateOf(stale!, tiers.now()) !== 'fresh' && !tiers.log.allows(stale!.entry)
  return isInvalidated && !isStrongDate(validators!) ? undefined : conditions
}

/** Hooks that look at the answer see the request as it came. */
export function restoreRequest(fill: Fill, request: FastifyRequest): void {
  if (fill.ownRequestFields === undefined) return
  if (fill.ownMadeFields !== undefined) request.headers = fill.ownMadeFields
  const value = fill.ownRequestFields
  Object.defineProperty(request.raw, 'headers', { value, configurable: true, writable: true })
}

/**
 * What takes the place of the handler's answer: the stored body when the handler has confirmed it
 * or has failed and the stored response may stand in for it. Undefined when its answer stands.
 */
export function substitute(
  exchange: Exchange,
  reply: FastifyReply,
  payload: unknown,
): { payload: unknown } | undefined {
  const { stale } = exchange
  const status = payload instanceof Error ? errorStatus(reply, payload) : reply.statusCode
  if (status === 304 && exchange.conditions !== undefined) {
    discard(payload)
    if (freshen(exchange, reply)) return { payload: stale!.entry.body }
    // It confirms something that is not stored here, and the client has asked no such question.
    if (mayStandIn(exchange, exchange.stale)) return { payload: rescue(exchange, reply, status) }
    forget(exchange)
    takeBack(exchange, reply, NO_NAMES)
    return { payload: new UnusableValidationError() }
  }
  if (status < 500 || !mayStandIn(exchange, exchange.stale)) return undefined
  discard(payload)
  if (payload instanceof Error) exchange.cache.trouble.report('handler', payload)
  return { payload: rescue(exchange, reply, status) }
}

/**
 * The handler says that the stored response is still right: from here on its head, with the fields
 * of the 304, is what the handler has set (RFC 9111 §4.3.4).
 */
function freshen(exchange: Exchange, reply: FastifyReply): boolean {
  const { entry } = exchange.stale!
  const { before, namesOrigin } = exchange.fill!
  const update = handlerFields(before, currentFields(reply), exchange.policy.http.replayed)
  if (update === undefined) return false
  const validators = validatorsOfCached(exchange.stale!)!
  const confirms = validates(update.set, validators)
  if (!confirms && !matchesWeakly(update.set, validators)) return false
  // RFC 9111 §4.3.4: a strong tag in a 304 must not update what has a weak one; it may be used.
  if (!confirms) exchange.fill!.failure = 'status'
  const { headers, removed } = confirms ? freshenedHead(entry, update) : entry
  const fields = fieldsOf(headers)
  takeBack(exchange, reply, OF_THIS_ANSWER)
  if (reply.hasHeader('set-cookie')) delete fields['set-cookie']
  // The stored one would make it as old as when it was stored.
  if (!update.set.some(([name]) => name === 'date')) delete fields['date']
  applyHead(reply, { ...entry, headers, removed }, fields)
  // This names again what hooks have named.
  exchange.fill!.namesOrigin = namesOrigin
  exchange.fill!.fwdStatus = 304
  return true
}

/** If-None-Match compares weakly: servers that weaken the tag of what they compress rely on it. */
function matchesWeakly(update: HandlerFields['set'], { etag: stored }: Validators): boolean {
  const etag = entityTagIn(update)
  return etag !== undefined && stored !== undefined && weakMatch(etag, stored)
}

/** The next request is not asked about it again. */
function forget({ cache: { tiers }, key }: Exchange): void {
  tiers.memory?.delete(key)
  void tiers.redis?.delete(key)
}

/** The client gets the cookies, and from the age its own is reckoned (RFC 9111 §4.2.3). */
const OF_THIS_ANSWER: ReadonlySet<string> = new Set(['age', 'set-cookie'])
const NO_NAMES: ReadonlySet<string> = new Set()

/** The header section as it was when the handler started, but for fields that are kept. */
function takeBack({ fill }: Exchange, reply: FastifyReply, kept: ReadonlySet<string>): void {
  const { before } = fill!
  const current = { ...currentFields(reply) }
  const lost: Record<string, string> = {}
  for (const name of Object.keys({ ...before, ...current })) {
    if (kept.has(name) || sameField(before[name], current[name])) continue
    reply.removeHeader(name)
    if (reply.raw.hasHeader(name)) reply.raw.removeHeader(name)
    if (before[name] !== undefined) lost[name] = before[name] as string
  }
  reply.headers(lost)
}

/** A stream that nobody reads holds its source open. */
function discard(payload: unknown): void {
  // Other payloads may have such methods, too, and those are not for us to call.
  if (!isStream(payload)) return
  const stream = payload as {
    on?: (event: string, listener: () => void) => void
    destroy?: () => void
    cancel?: () => Promise<void>
  }
  if (typeof stream.destroy === 'function') {
    stream.on?.('error', () => {})
    stream.destroy()
  } else if (typeof stream.cancel === 'function') stream.cancel().catch(() => {})
}

/** RFC 5861 §4. A response without a window stands in for nothing, be it fresh but for an invalidation. */
export function mayStandIn({ cache: { tiers } }: Exchange, stale: Cached | undefined): boolean {
  if (stale === undefined) return false
  if (stale.entry.mustRevalidate) return false
  const now = tiers.now()
  if (!tiers.log.verified() || !mayServeOnError(stale.entry, now)) return false
  // After an invalidation it stands in for nothing, unless that was a soft one.
  const state = tiers.stateOf(stale, now)
  return state === 'stale' || state === 'fresh'
}

/** The status that Fastify gives to an error: what the handler has set goes before. */
function errorStatus({ statusCode }: FastifyReply, error: unknown): number {
  if (statusCode >= 400) return statusCode
  const stated = (error ?? {}) as { statusCode?: unknown; status?: unknown }
  for (const status of [stated.statusCode, stated.status]) {
    if (typeof status === 'number' && status >= 400 && status <= 599) return status
  }
  return 500
}

function rescue(exchange: Exchange, reply: FastifyReply, fwdStatus: number): ReplayBody {
  takeBack(exchange, reply, NO_NAMES)
  exchange.fill!.rescued = true
  const { flight } = exchange
  if (flight !== undefined) flight.rescue = exchange.stale
  release(exchange, 'overtaken')
  const now = exchange.cache.tiers.now()
  return replayOnError(exchange, reply, exchange.stale!, { now, fwdStatus })
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(`the handler threw ${inspect(error)}`)
}

/** Runs the handler; where it throws, the stored response may answer in its place. */
export function rescueFromThrow(
  exchange: Exchange,
  reply: FastifyReply,
  handler: () => unknown,
): unknown {
  const onThrow = (error: unknown): unknown => {
    const status = errorStatus(reply, error)
    restoreRequest(exchange.fill!, reply.request)
    if (reply.sent || status < 500 || !mayStandIn(exchange, exchange.stale)) throw error
    exchange.cache.trouble.report('handler', asError(error))
    return reply.send(rescue(exchange, reply, status))
  }
  try {
    const result = handler()
    return result instanceof Promise ? result.catch(onThrow) : result
  } catch (error) {
    return onThrow(error)
  }
}

/**
 * The client's own conditions, which the handler has not seen, against what is about to be sent.
 * True when 304 is the answer; the reply is made one.
 */
export function answerOwnConditions(fill: Fill, reply: FastifyReply, now: number): boolean {
  if (fill.ownRequestFields === undefined || fill.fields === undefined) return false
  // It has to flow to be stored.
  if (fill.flow !== undefined) return false
  const { set } = fill.fields
  const validators = validatorsOf(fill.status, set, now)
  if (validators === undefined || !isNotModified(fill.ownRequestFields, validators)) return false
  const kept = new Set(notModifiedFields(set).map(([name]) => name))
  for (const [name] of set) if (!kept.has(name)) reply.removeHeader(name)
  reply.removeHeader('content-length')
  reply.code(304)
  return true
}
