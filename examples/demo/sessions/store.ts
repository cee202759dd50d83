import { hkdfSync } from 'node:crypto'
import { callbackify } from 'node:util'
import type { SessionStore } from '@fastify/session'
import type { Session } from 'fastify'
import type { CacheClient } from 'fastify-response-cache'

import { RedisAway } from '../problems.ts'

declare module 'fastify' {
  interface Session {
    user?: string
    since?: string
  }
}

export const LIFETIME_S = 1800

/** All sessions of one user, in all processes. */
export const sessionsOf = (user: string): string => `sessions:${user}`

/**
 * The store of @fastify/session on the cache client: shared, bounded, invalidated by tag. What is in
 * Redis is encrypted: whoever reads a dump of it reads no sessions.
 */
export function cachedSessions(cache: CacheClient, secret: string): SessionStore {
  // Not the secret that signs cookies, but one that follows from it.
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'demo sessions', 32))
  const sessions = cache.namespace('sessions', {
    ttl: LIFETIME_S,
    encryption: { keys: [{ id: '1', secret: key.toString('base64') }] },
  })

  async function put(id: string, session: Session): Promise<void> {
    // The cookie's Date as text, which is how the session reads it back.
    const plain = JSON.parse(JSON.stringify(session)) as Session
    const tags = session.user === undefined ? [] : [sessionsOf(session.user)]
    const isStored = await sessions.set(id, plain, { tags })
    if (!isStored) throw new RedisAway('A session', 'the session was not stored')
  }

  return {
    get: callbackify(async (id: string) => (await sessions.get<Session>(id)) ?? null),
    set: callbackify(put),
    destroy: callbackify((id: string) => sessions.delete(id)),
  }
}
