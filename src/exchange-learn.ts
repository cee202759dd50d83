import type { Flight } from './collapser.ts'
import type { Exchange } from './exchange.ts'
import type { NotStoredReason } from './http/storability.ts'

/** Begins a run that others may join, where that is worth it on this route. */
export function offer(exchange: Exchange, now: number, maxWaitMs: number): Flight | undefined {
  const { cache, policy, key, stale } = exchange
  // What has been stored before can be again, whatever the others are like.
  if (stale === undefined && !policy.coalescing.offers(now)) return undefined
  const flight = cache.collapser.lead(key, now, maxWaitMs)
  if (flight !== undefined) policy.coalescing.offered(now)
  return flight
}

/** Others may have what this run has made. */
export function noteCacheable({ policy }: Exchange): void {
  if (policy.coalesce !== false) policy.coalescing.ended(true)
}

/** Reasons that lie in one request, or in this moment: whoever sends many of them proves nothing. */
const OF_THE_REQUEST: ReadonlySet<NotStoredReason> = new Set<NotStoredReason>([
  'authorization',
  'query',
  'origin',
  'too-many-variants',
  'error',
  'not-found-handler',
  'incomplete',
  'invalidated',
  'unavailable',
])

/**
 * Nobody else may have it. Of those who waited in vain and run now, only the first counts, as long as
 * anybody waits on this route.
 */
export function noteUncacheable(exchange: Exchange, reason: NotStoredReason): void {
  const { policy, fill, flight, demands } = exchange
  const { coalesce, coalescing } = policy
  if (coalesce === false || (flight === undefined && !coalescing.suspended)) return
  if (OF_THE_REQUEST.has(reason) || fill!.rescued || demands?.noStore) return
  // Errors, and what is not there, say nothing of what is.
  if (fill!.status < 400) coalescing.ended(false)
}
