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

/** The store of @fastify/session on the cache client: shared, bounded, and invalidated by tag. */
export function cachedSessions(cache: CacheClient): SessionStore {
  const sessions = cache.namespace('sessions', { ttl: LIFETIME_S })

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
