import type { FastifyRequest } from 'fastify'

import type { Exchange } from './exchange.ts'
import { uncoveredCredential } from './http/credentials.ts'
import { type RefreshRequest, refreshRequestOf } from './refresh-request.ts'

const NO_NAMES: ReadonlySet<string> = new Set()
const NOTHING_KEYED = { headers: NO_NAMES, cookies: NO_NAMES }

/** Whether the request has nothing that the background, which knows nobody's identity, would lack. */
export function isForBackground({ cache }: Exchange, { headers }: FastifyRequest): boolean {
  return uncoveredCredential(headers, cache.credentialFields, NOTHING_KEYED) === undefined
}

/** The same question without anything that is not part of the key. */
export function backgroundRequest(exchange: Exchange, request: FastifyRequest): RefreshRequest {
  const { policy, variants } = exchange
  const headers = new Set([...policy.keyedFields, ...(variants?.names ?? [])])
  const { originalUrl, host, protocol, ips, raw } = request
  // As they came: a schema has made something else of them, and will again.
  const fields = exchange.sentFields ?? raw.headers
  return refreshRequestOf(
    { originalUrl, host, protocol, ips, raw: { headers: fields, socket: raw.socket } },
    { headers, cookies: NO_NAMES },
  )
}
