// Cache-Groups on responses (RFC 9875 §2): read as tags, and written for caches on the way.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance } from 'fastify'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { type Client, start } from '../support/app.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'

async function open(
  t: TestContext,
  cache: ResponseCacheOptions,
  declare: (app: FastifyInstance) => void,
): Promise<{ app: FastifyInstance; client: Client }> {
  let app: FastifyInstance
  const build = (built: FastifyInstance): void => declare((app = built))
  const client = await start(t, build, { cache })
  return { app: app!, client }
}

function declareGroup(app: FastifyInstance): void {
  app.get('/page', { config: { cache: { tags: ['own'] } } }, (_request, reply) =>
    reply.cacheTags('late').header('cache-groups', '"theirs"').header('etag', '"1"').send('page'),
  )
}

for (const name of ['theirs', 'own', 'late']) {
  test(`the group or tag '${name}' invalidates a response that carries it`, async (t) => {
    const { app, client } = await open(t, {}, declareGroup)
    assertStored(await client.get('/page'))
    await app.cache.invalidateTags(['another'])
    assertHit(await client.get('/page'))
    await app.cache.invalidateTags([name])
    assertStored(await client.get('/page'), 'stale')
  })
}

test('with cacheGroups a miss, a hit and a 304 tell the tags beside the groups of the handler', async (t) => {
  const { client } = await open(t, { cacheGroups: true }, declareGroup)
  const miss = await client.get('/page')
  assertStored(miss)
  const hit = await client.get('/page')
  assertHit(hit)
  const unchanged = await client.get('/page', { 'if-none-match': '"1"' })
  assert.equal(unchanged.status, 304)
  for (const { headers } of [miss, hit, unchanged]) {
    const groups = String(headers['cache-groups']).split(', ').sort()
    assert.deepEqual(groups, ['"late"', '"own"', '"theirs"'])
  }
})

test('without cacheGroups tags are told to nobody', async (t) => {
  const { client } = await open(t, {}, declareGroup)
  for (let n = 0; n < 2; n++) {
    assert.equal((await client.get('/page')).headers['cache-groups'], '"theirs"')
  }
})

test('heuristicFreshness keeps what states no lifetime and was modified long ago', async (t) => {
  const handler = (
    _request: unknown,
    reply: { header: (n: string, v: string) => unknown },
  ): string => {
    reply.header('last-modified', 'Sat, 01 Aug 2026 10:00:00 GMT')
    return 'page'
  }
  const { client } = await open(t, {}, (app) => {
    const guessing = { ttl: 'headers', heuristicFreshness: true } as const
    app.get('/guessed', { config: { cache: guessing } }, handler)
    app.get('/not', { config: { cache: { ttl: 'headers' } } }, handler)
  })
  assertStored(await client.get('/guessed'))
  assertHit(await client.get('/guessed'))
  // Without it such a response is kept for its validator alone, and each use asks the handler.
  assertStored(await client.get('/not'))
  assertStored(await client.get('/not'), 'stale')
})
