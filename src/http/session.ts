/** What session plugins keep beside the data of the application. */
const BOOKKEEPING = new Set(['cookie', 'sessionId', 'encryptedSessionId', 'id'])

/**
 * Whether a session (of @fastify/session, @fastify/secure-session or alike) holds data: then the
 * request has an identity. What cannot be told counts as data.
 */
export function sessionHasData(session: unknown): boolean {
  if (session === null || session === undefined) return false
  if (typeof session !== 'object') return true
  const { data } = session as { data?: unknown }
  if (typeof data === 'function') {
    const values: unknown = data.call(session)
    return values === null || typeof values !== 'object' || Object.keys(values).length > 0
  }
  return Object.keys(session).some((name) => !BOOKKEEPING.has(name))
}
