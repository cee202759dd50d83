import { type Received, ageCountsFrom } from './age.ts'
import type { CacheControl } from './directives.ts'
import { listMembers } from './fields.ts'
import {
  type StaleWindows,
  type StoredFreshness,
  freshnessOf,
  heuristicLifetime,
  isHeuristicallyCacheable,
  statedLifetime,
} from './lifetime.ts'
import type { FieldReader, NotStoredReason } from './storability.ts'
import { type StatedPolicy, statedPolicy } from './targeted-fields.ts'

/** How a route stores what its responses themselves declare storable: `ttl: 'headers'`. */
export interface StorableRules extends StaleWindows {
  /** RFC 9213: names of targeted fields in lower case, the most applicable first. */
  readonly targets: readonly string[]
  /** RFC 9111 §4.2.2: guess a lifetime where none is stated. */
  readonly heuristic: boolean
  /** Keep also what must be validated before each use, when it has a validator. */
  readonly validate: boolean
}

export interface ReceivedResponse extends Received {
  readonly status: number
  readonly field: FieldReader
}

/** What counts of the request that the response is for. */
export interface AskedFor {
  readonly hasAuthorization: boolean
  /** Its Cache-Control forbids to store the response (RFC 9111 §5.2.1.5). */
  readonly noStore: boolean
}

export interface StorableResponse {
  readonly freshness: StoredFreshness
  /** Fields that are left out of what is stored (RFC 9111 §5.2.2.4, §5.2.2.7), in lower case. */
  readonly withheld: readonly string[]
}

/**
 * Whether a shared cache may store this response to a GET, and until when it may use it: RFC 9111 §3,
 * and nothing stricter. What else looks private, `privateSign` sees.
 */
export function storableResponse(
  response: ReceivedResponse,
  request: AskedFor,
  rules: StorableRules,
): StorableResponse | NotStoredReason {
  const policy = statedPolicy(response.field, rules.targets)
  const { directives } = policy
  const reason = forbiddingReason(response, request, directives)
  if (reason !== undefined) return reason
  const lifetime = lifetimeOf(response, policy, rules)
  const countsFrom = ageCountsFrom(response.field, response)
  const freshness = freshnessOf(directives, lifetime, countsFrom, rules)
  if (!isOfUse(freshness, response.receivedAt)) {
    const isKept = rules.validate && isValidatable(response, directives, lifetime)
    if (!isKept) return directives.noCache ? 'no-cache' : 'ttl'
  }
  return { freshness, withheld: [...directives.privateFields, ...directives.noCacheFields] }
}

function forbiddingReason(
  { status, field }: ReceivedResponse,
  request: AskedFor,
  directives: CacheControl,
): NotStoredReason | undefined {
  if (status < 200 || status === 206 || status === 304) return 'status'
  if (directives.mustUnderstand && !UNDERSTOOD_STATUSES.has(status)) return 'status'
  // RFC 9111 §5.2.2.3: who understands the status ignores the no-store beside must-understand.
  if (request.noStore || (directives.noStore && !directives.mustUnderstand)) return 'no-store'
  if (directives.private || directives.privateFields.some(isEssential)) return 'private'
  // Without these fields the rest would be another response.
  if (directives.noCacheFields.some(isEssential)) return 'no-cache'
  // RFC 9111 §3.5
  if (request.hasAuthorization && !directives.allowsAuthorization) return 'authorization'
  // RFC 9111 §4.1: matches no request.
  return listMembers(field('vary')).includes('*') ? 'vary' : undefined
}

/** Final statuses of RFC 9110 §15, without parts (206) and what only freshens others (304). */
const UNDERSTOOD_STATUSES: ReadonlySet<number> = new Set([
  ...[200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 426, 500, 501, 502, 503, 504, 505],
])

function isEssential(name: string): boolean {
  return name === 'vary' || name === 'content-type' || name === 'content-encoding'
}

function lifetimeOf(
  { status, field, receivedAt }: ReceivedResponse,
  policy: StatedPolicy,
  rules: StorableRules,
): number | undefined {
  const stated = statedLifetime(policy, field, receivedAt)
  if (stated !== undefined || !rules.heuristic) return stated
  return heuristicLifetime(status, policy.directives, field, receivedAt)
}

function isOfUse(freshness: StoredFreshness, now: number): boolean {
  const { freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil } = freshness
  return Math.max(freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil) > now
}

/** RFC 9111 §3, its last condition, and §4.3.1. */
function isValidatable(
  { status, field }: ReceivedResponse,
  directives: CacheControl,
  lifetime: number | undefined,
): boolean {
  if (lifetime === undefined && !isHeuristicallyCacheable(status, directives)) return false
  return field('etag') !== undefined || field('last-modified') !== undefined
}
