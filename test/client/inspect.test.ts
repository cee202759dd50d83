import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Fastify from 'fastify'

import responseCache, { type Inspection } from '../../src/index.ts'
import { startRedis } from '../support/redis.ts'

const INVALID = 'FST_RESPONSE_CACHE_INVALID_ARGUMENT'

describe('inspect()', () => {
  it('shows of a URL what memory has for all its queries and variants, and of a request its own', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { defaults: { ttl: '1m' } })
    const own: Inspection[][] = []
    app.addHook('onResponse', async (request) => void own.push(await app.cache.inspect(request)))
    const cache = { tags: ['list'], statuses: { 404: 5 } }
    app.get('/list', { config: { cache } }, async (request, reply) => {
      if ('none' in (request.query as object)) return reply.code(404).send('none')
      return reply.header('vary', 'accept-language').send('text')
    })
    app.get('/plain', async () => 'plain')
    for (const url of ['/list?a=1', '/list?a=2', '/list?none']) await app.inject(url)
    await app.inject({ url: '/list?a=1', headers: { 'accept-language': 'de' } })
    const shown = await app.cache.inspect({ url: 'http://anywhere/list' })
    shown.sort((a, b) => a.status! - b.status!)
    assert.deepEqual(
      shown.map(({ tier, state, status, tags, bytes }) => [tier, state, status, tags, bytes]),
      [200, 200, 200, 404].map((status) => ['memory', 'fresh', status, ['list'], 4]),
    )
    assert.equal((await app.cache.inspect({ url: '/list?a=1' })).length, 2)
    assert.deepEqual(
      (await app.cache.inspect({ url: '/list?none' }, { body: true })).map(({ body }) => body),
      ['none'],
    )
    assert.deepEqual(
      own.map((each) => each.length),
      [1, 1, 1, 1],
    )
    assert.equal(own[2]![0]!.status, 404)
    await app.inject('/plain')
    assert.deepEqual(own.at(-1), [])
    await app.cache.invalidateUrl('/list?a=2', { mode: 'soft' })
    const states = (await app.cache.inspect({ url: '/list' })).map(({ state }) => state)
    assert.deepEqual(states.sort(), ['fresh', 'fresh', 'fresh', 'stale'])
    for (const wrong of [{}, { url: '' }, 5, null, undefined]) {
      await assert.rejects(app.cache.inspect(wrong as never), { code: INVALID })
    }
  })

  it('shows what would answer a request that only might come, and stored fields when asked', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { defaults: { ttl: '1m' } })
    app.get('/list', { config: { cache: true } }, async (request, reply) => {
      reply.header('vary', 'accept-language').header('x-list', ['a', 'b'])
      return reply.send(String(request.headers['accept-language']))
    })
    for (const language of ['de', 'fr']) {
      await app.inject({ url: '/list', headers: { 'accept-language': language } })
    }
    const host = 'localhost:80'
    const show = (headers: Record<string, string>, url = '/list'): Promise<Inspection[]> =>
      app.cache.inspect({ url, headers: { host, ...headers } }, { body: true, headers: true })
    const [german, ...others] = await show({ 'accept-language': 'de' })
    assert.deepEqual([german!.body, others], ['de', []])
    assert.deepEqual(german!.headers, [
      ['vary', 'accept-language'],
      ['x-list', 'a'],
      ['x-list', 'b'],
    ])
    assert.deepEqual(await show({ 'accept-language': 'it' }), [])
    assert.deepEqual(await show({ authorization: 'x' }), [])
    assert.deepEqual(await show({}, '/none'), [])
    const [plain] = await app.cache.inspect({ url: '/list' })
    assert.equal('headers' in plain!, false)
    await app.cache.set('key', 1)
    const [value] = await app.cache.inspect('key', { headers: true })
    assert.equal('headers' in value!, false)
  })

  it('shows of a request and of a key what each tier has', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, {
      redis: server.url,
      namespace: 'shop',
      defaults: { ttl: 60 },
    })
    let own: Inspection[] = []
    app.addHook('onSend', async (request) => void (own = await app.cache.inspect(request)))
    app.get('/a', { config: { cache: true } }, async () => 'text')
    await app.inject('/a')
    assert.deepEqual(own, [])
    await app.inject('/a')
    assert.deepEqual(
      own.map(({ tier, status }) => [tier, status]),
      [
        ['memory', 200],
        ['redis', 200],
      ],
    )
    await app.cache.set('key', 1)
    const tiers = (await app.cache.inspect('key')).map(({ tier }) => tier)
    assert.deepEqual(tiers, ['memory', 'redis'])
    await server.client().flushall()
    assert.deepEqual(
      (await app.cache.inspect('key')).map(({ tier }) => tier),
      ['memory'],
    )
  })
})
