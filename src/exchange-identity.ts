import type { FastifyRequest } from 'fastify'

import { type Exchange, credentialReason } from './exchange.ts'
import { RESPONSE_KEY, varyValues } from './exchange-target.ts'
import { variantKey } from './http/cache-key.ts'
import type { BypassReason } from './http/cache-status.ts'
import { sessionHasData } from './http/session.ts'
import { syncResult } from './sync-result.ts'

/**
 * The step in the handler's place, after every gate: identity as authentication left it, the
 * route's own bypass, the key with its vary values. Sets `bypass` or `key`.
 */
export function identify(exchange: Exchange, request: FastifyRequest): void {
  const { policy } = exchange
  if (exchange.bypass !== undefined) return
  const identity = policy.vary.by === undefined ? undefined : identityOf(exchange, request)
  if (exchange.bypass === undefined) {
    exchange.bypass =
      (policy.public || identity !== undefined ? undefined : anonymityProblem(exchange, request)) ??
      optionBypass(exchange, request)
  }
  if (exchange.bypass !== undefined) return
  const { key } = exchange.target!
  exchange.key = policy.hasVariants
    ? RESPONSE_KEY + variantKey(key, varyValues(exchange, request.headers, identity))
    : key
  exchange.primaryKey = exchange.key
}

/** What `vary.by` says; a wrong answer is no answer, and then nothing may be shared. */
function identityOf(exchange: Exchange, request: FastifyRequest): string | undefined {
  try {
    const identity: unknown = exchange.policy.vary.by!(request)
    if (identity === undefined || typeof identity === 'string') return identity
    syncResult('vary.by', identity)
    throw new TypeError(`vary.by returned ${typeof identity}; it must return a string or undefined`)
  } catch (error) {
    exchange.bypass = 'vary-by-failed' satisfies BypassReason
    exchange.cache.trouble.report('vary.by', error)
    return undefined
  }
}

/** Why a request without a keyed identity is not anonymous. */
function anonymityProblem(exchange: Exchange, request: FastifyRequest): string | undefined {
  const { policy } = exchange
  if (policy.vary.by !== undefined) {
    const reason = credentialReason(exchange, request)
    if (reason !== undefined) return reason
  }
  const { user, session } = request as { user?: unknown; session?: unknown }
  // With a credential field in the key, the user is what was made of it. A keyed cookie says less:
  // it may be the language, and the user may come from elsewhere.
  if (user !== undefined && user !== null && !hasKeyedCredential(exchange, request)) {
    return 'user' satisfies BypassReason
  }
  // A session is made of cookies, and all cookies of the request are in the key by now.
  const fromCookies = policy.keyed.cookies.size > 0 && request.headers.cookie !== undefined
  return !fromCookies && sessionHasData(session) ? ('session' satisfies BypassReason) : undefined
}

function hasKeyedCredential({ cache, policy }: Exchange, request: FastifyRequest): boolean {
  return cache.credentialFields.some(
    (name) => policy.keyed.headers.has(name) && request.headers[name] !== undefined,
  )
}

function optionBypass(exchange: Exchange, request: FastifyRequest): BypassReason | undefined {
  // The handler may look at why validation failed, and the key does not cover that.
  if (request.validationError !== undefined) return 'validation-error'
  const { bypass } = exchange.policy
  if (bypass === undefined) return undefined
  try {
    return syncResult('bypass', bypass(request)) ? 'option' : undefined
  } catch (error) {
    exchange.cache.trouble.report('bypass', error)
    return 'option-failed'
  }
}
