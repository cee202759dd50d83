// Applications with the cache, for tests of its client; each one stands for a process.
import type { TestContext } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type CacheClient, type ResponseCacheOptions } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'

export const TTL = { defaults: { ttl: '1h' } } as const

/** Ready, connected, and closed with the test. */
export async function openApp(
  t: TestContext,
  options: ResponseCacheOptions = {},
): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, { ...TTL, ...options })
  await app.ready()
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  return app
}

export async function openClient(
  t: TestContext,
  options?: ResponseCacheOptions,
): Promise<CacheClient> {
  return (await openApp(t, options)).cache
}
