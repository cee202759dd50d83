import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import { tellStatus } from './exchange.ts'
import type { CacheStatus } from './http/cache-status.ts'
import { listMembers } from './http/fields.ts'
import { currentAge, remainingLifetime } from './http/freshness.ts'
import type { Cached } from './store/cached.ts'
import type { StoredEntry } from './stored-response.ts'

/** The fields of a stored response as they are for a while: until age or ttl is another number. */
interface Rendered {
  until: number
  from: number
  fields: Record<string, string | string[]>
  status: CacheStatus
}

/** A Redis hit is a Cached of its own, so one slot serves both tiers. */
function rendered(exchange: Exchange, cached: Cached, now: number): Rendered {
  const known = cached.notes.rendered as Rendered | undefined
  if (known !== undefined && now < known.until && now >= known.from) return known
  const { entry, tier } = cached
  const age = currentAge(entry, now)
  const ttl = remainingLifetime(entry, now)
  const status: CacheStatus = { hit: true, tier: tier === 'redis' ? tier : 'memory', ttl }
  const fields = storedFields(entry, exchange.policy.clientCacheControl)
  fields['age'] = String(age)
  tellStatus(exchange.cache, status, (name, value) => (fields[name] = value))
  const until = Math.min(entry.storedAt + (age + 1) * 1000, entry.freshUntil - ttl * 1000 + 1)
  const result = { until, from: now, fields, status }
  cached.notes.rendered = result
  return result
}

function storedFields(
  entry: StoredEntry,
  clientCacheControl: string | undefined,
): Rendered['fields'] {
  const fields: Rendered['fields'] = {}
  for (const [name, value] of entry.headers) fields[name] = value as string | string[]
  if (clientCacheControl !== undefined) fields['cache-control'] ??= clientCacheControl
  return fields
}

/**
 * Makes a stored response the answer to this request: the handler's fields over those that hooks
 * and plugins have set for it, the status, the age. The body is left to the caller, because who
 * sends it depends on how the handler was called.
 */
export function replay(exchange: Exchange, reply: FastifyReply, cached: Cached, now: number): void {
  const { fields, status } = rendered(exchange, cached, now)
  applyHead(reply, cached.entry, fields)
  exchange.cache.memo.add(exchange.target!)
  exchange.conclude(status)
}

/** The same for a request that waited for another's handler run (RFC 9211 §2.6). */
export function replayCollapsed(
  exchange: Exchange,
  reply: FastifyReply,
  cached: Cached,
  now: number,
): void {
  const { entry } = cached
  const fields = storedFields(entry, exchange.policy.clientCacheControl)
  const status = exchange.conclude({ hit: false, fwd: exchange.fwd, collapsed: true })
  fields['age'] = String(currentAge(entry, now))
  tellStatus(exchange.cache, status, (name, value) => (fields[name] = value))
  applyHead(reply, entry, fields)
}

function applyHead(reply: FastifyReply, entry: StoredEntry, fields: Rendered['fields']): void {
  const vary = fields['vary']
  // Hooks vary on fields of their own (CORS on Origin), and the handler's come on top.
  const own = vary === undefined ? undefined : reply.getHeader('vary')
  reply.code(entry.status).headers(fields)
  if (own !== undefined) reply.header('vary', mergedVary(own, vary!))
  for (const name of entry.removed) reply.removeHeader(name)
  // A serializer that a hook has set would be applied to a text that is serialized already.
  if (typeof entry.body === 'string') reply.serializer(null as never)
}

function mergedVary(own: unknown, stored: string | readonly string[]): string {
  const members = new Set([...listMembers(own as string), ...listMembers(stored)])
  return [...members].join(', ')
}
