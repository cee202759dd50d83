// What a route pays that has nothing to do with the cache: nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'

/** The routes with their hooks, and the handlers that Fastify calls. */
async function read(
  declare: (app: FastifyInstance) => void,
  withCache: boolean,
): Promise<{ routes: string; handlers: unknown[] }> {
  const app = Fastify()
  const handlers: unknown[] = []
  if (withCache) await app.register(responseCache, { defaults: { ttl: '1h' } })
  app.addHook('onRoute', (route) => void handlers.push(route.handler))
  declare(app)
  await app.ready()
  const routes = app.printRoutes({ includeHooks: true, commonPrefix: false })
  await app.close()
  return { routes, handlers }
}

test('a route without config.cache has no hook of the cache, and its own handler', async () => {
  const handler = (): string => 'plain'
  const declare = (app: FastifyInstance): void => {
    app.get('/plain', handler)
    app.get('/with-hook', { onRequest: async () => {} }, handler)
    app.get('/off', { config: { cache: false } }, handler)
  }
  const without = await read(declare, false)
  const given = await read(declare, true)
  assert.equal(given.routes, without.routes)
  for (const [at, each] of given.handlers.entries()) assert.equal(each, without.handlers[at])
})

test('a cached route has some, so that would be seen', async () => {
  const { routes } = await read((app) => {
    app.get('/cached', { config: { cache: true } }, () => 'cached')
  }, true)
  assert.match(routes, /\(onRequest\)/)
})
