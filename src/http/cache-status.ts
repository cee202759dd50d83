/** Why a request went forward to the handler (RFC 9211 §2.2). */
export type ForwardReason =
  | 'bypass'
  | 'method'
  | 'uri-miss'
  | 'vary-miss'
  | 'miss'
  | 'request'
  | 'stale'

/** Why a request goes around the cache; or the name of a credential field. */
export type BypassReason =
  | 'method'
  | 'upgrade'
  | 'request-body'
  | 'precondition'
  | 'client-certificate'
  | 'vary-by-failed'
  | 'user'
  | 'session'
  | 'validation-error'
  | 'option'
  | 'option-failed'

/**
 * What the cache did with one request (RFC 9211). One object per request drives the branch, the
 * header field, the log, the metric and the assertion of a test.
 */
export interface CacheStatus {
  /** Answered from the cache, the handler did not run. */
  readonly hit: boolean
  /** Where the stored response came from. */
  readonly tier?: 'memory' | 'redis'
  /** Seconds of freshness that remain; negative when it is stale. */
  readonly ttl?: number
  /** Why the handler had to run. */
  readonly fwd?: ForwardReason
  /** What the handler answered, where the client gets something else. */
  readonly fwdStatus?: number
  /** The handler's answer was stored. */
  readonly stored?: boolean
  /** Answered by the handler run of a concurrent request. */
  readonly collapsed?: boolean
  /** The reason for a bypass, or for not storing. */
  readonly detail?: string
  /** What `reply.cacheSkip(reason)` said; shown in place of the detail. */
  readonly message?: string
}

/** The most frequent statuses of a miss, written once. */
export const STORED_MISS: CacheStatus = { hit: false, fwd: 'uri-miss', stored: true }
export const STORED_STALE: CacheStatus = { hit: false, fwd: 'stale', stored: true }

/** The Cache-Status field value, a structured field of one member (RFC 9211 §2). */
export function formatCacheStatus(status: CacheStatus): string {
  if (status === STORED_MISS) return 'fastify; fwd=uri-miss; stored'
  let text = 'fastify'
  if (status.hit) text += '; hit'
  if (status.fwd !== undefined) text += `; fwd=${status.fwd}`
  if (status.fwdStatus !== undefined) text += `; fwd-status=${status.fwdStatus}`
  if (status.ttl !== undefined) text += `; ttl=${status.ttl}`
  if (status.stored) text += '; stored'
  if (status.collapsed) text += '; collapsed'
  const detail = status.message ?? status.detail
  if (detail !== undefined) text += `; detail=${tokenOrString(detail)}`
  return text
}

/** RFC 8941 §3.3.3 and §3.3.4; what neither can carry is left out. */
function tokenOrString(text: string): string {
  if (/^[a-z*][\w.:/!#$%&'*+\-^`|~]*$/i.test(text)) return text
  return `"${text.replace(/[^\x20-\x7e]/g, '').replace(/["\\]/g, '\\$&')}"`
}

/** The value of X-Cache, for those who look for that field. */
export function formatXCache(status: CacheStatus): 'HIT' | 'STALE' | 'MISS' | 'BYPASS' {
  if (status.ttl !== undefined && status.ttl < 0) return 'STALE'
  if (status.hit || status.collapsed) return 'HIT'
  return status.fwd === 'bypass' ? 'BYPASS' : 'MISS'
}
