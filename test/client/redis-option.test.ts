import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { after, before, describe, it } from 'node:test'
import fastifyRedis from '@fastify/redis'
import Fastify from 'fastify'
import { Cluster, type Redis } from 'ioredis'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { eventually, inTime } from '../support/clock.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { TTL, openApp, openClient } from './apps.ts'

type Given = NonNullable<ResponseCacheOptions['redis']>

function listenersOf(emitter: EventEmitter): Record<string, number> {
  const names = emitter.eventNames().map(String).sort()
  return Object.fromEntries(names.map((name) => [name, emitter.listenerCount(name)]))
}

describe('the option redis', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis({ unixSocket: true, password: 'se:cr/et' })
    raw = server.client()
    await raw.ping()
  })
  after(() => server.stop())

  const connections = async (): Promise<number> =>
    ((await raw.client('LIST')) as string).trim().split('\n').length

  const forms: [what: string, redis: () => Given][] = [
    ['a URL', () => server.url],
    ['options', () => ({ host: '127.0.0.1', port: server.port, password: 'se:cr/et' })],
    [
      'options with a database and a prefix',
      () => ({
        ...{ host: '127.0.0.1', port: server.port, password: 'se:cr/et' },
        ...{ db: 5, keyPrefix: 'app:' },
      }),
    ],
    ['options with a unix socket', () => ({ path: server.socket!, password: 'se:cr/et' })],
    [
      'options without a queue',
      () => ({
        ...{ host: '127.0.0.1', port: server.port, password: 'se:cr/et' },
        enableOfflineQueue: false,
      }),
    ],
    [
      'options of a queue worker',
      () => ({
        ...{ host: '127.0.0.1', port: server.port, password: 'se:cr/et' },
        maxRetriesPerRequest: null,
      }),
    ],
  ]
  for (const [what, redis] of forms) {
    it(`takes ${what}: two processes share, and close what was opened`, async (t) => {
      await eventually('nobody is left of before', async () => (await connections()) === 1)
      const options = { redis: redis(), namespace: 'forms' }
      const [one, two] = [await openApp(t, options), await openApp(t, options)]
      await one.cache.set(what, 'shared', { tags: ['x'] })
      assert.equal(await two.cache.get(what), 'shared')
      await one.cache.invalidateTags(['x'])
      await eventually('it is forgotten', async () => (await two.cache.get(what)) === undefined)
      assert.deepEqual(one.cache.stats().failures, {})
      await Promise.all([one.close(), two.close()])
      await eventually('all is closed', async () => (await connections()) === 1)
    })
  }

  it("takes a client of the user's, and leaves it open and as it was", async (t) => {
    const user = server.client()
    await user.ping()
    const [listeners, before] = [listenersOf(user), await connections()]
    for (let n = 0; n < 20; n++) {
      const app = await openApp(t, { redis: user, namespace: 'user' })
      assert.equal(app.cache.redis, user)
      await app.cache.set('key', n)
      assert.equal(await app.cache.get('key'), n)
      await app.close()
    }
    assert.deepEqual(listenersOf(user), listeners)
    assert.equal(await user.ping(), 'PONG')
    await eventually('all else is closed', async () => (await connections()) === before)
    assert.equal('invalidate' in user || 'setIfNewer' in user, false)
  })

  it('takes a client that connects only when it is needed', async (t) => {
    const user = server.client({ lazyConnect: true })
    const cache = await openClient(t, { redis: user, namespace: 'lazy' })
    await cache.set('key', 1)
    assert.equal(await cache.get('key'), 1)
  })

  it("takes 'shared' for the client of @fastify/redis", async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(fastifyRedis, { url: server.url })
    const { redis } = app
    const listeners = listenersOf(redis)
    await app.register(responseCache, { ...TTL, redis: 'shared', namespace: 'shared' })
    await app.ready()
    assert.equal(app.cache.redis, redis)
    await app.cache.set('key', 1)
    assert.equal(await app.cache.get('key'), 1)
    await app.cache.close()
    assert.deepEqual(listenersOf(redis), listeners)
    assert.equal(await redis.ping(), 'PONG')
  })

  it('leaves app.redis to the application', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { ...TTL, redis: server.url, namespace: 'own' })
    await app.register(fastifyRedis, { url: server.url })
    await app.ready()
    assert.notEqual(app.redis, app.cache.redis)
    assert.equal(await app.redis.ping(), 'PONG')
  })

  it('takes two registrations in one application, each with what it was given', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { ...TTL, redis: server.url, namespace: 'a' })
    await app.register(responseCache, {
      ...TTL,
      redis: server.url,
      namespace: 'b',
      decorateAs: 'other',
    })
    await app.ready()
    const { other } = app as unknown as { other: typeof app.cache }
    await app.cache.set('key', 'a')
    await other.set('key', 'b')
    assert.deepEqual([await app.cache.get('key'), await other.get('key')], ['a', 'b'])
  })

  it('takes a Cluster, spreads values over its nodes, and leaves it open', async (t) => {
    const cluster = await startCluster()
    const user = new Cluster(cluster.startupNodes)
    t.after(async () => {
      user.disconnect()
      await cluster.stop()
    })
    await user.get('anything')
    const listeners = listenersOf(user)
    const [one, two] = await Promise.all([
      openApp(t, { redis: user, namespace: 'cluster' }),
      openApp(t, { redis: user, namespace: 'cluster' }),
    ])
    for (let n = 0; n < 60; n++) await one!.cache.set(`key${n}`, n, { tags: ['x'] })
    for (let n = 0; n < 60; n++) assert.equal(await two!.cache.get(`key${n}`), n)
    for (const node of cluster.nodes) assert.ok((await node.client().dbsize()) > 5)
    await one!.cache.invalidateTags(['x'])
    await eventually('all are forgotten', async () => (await two!.cache.get('key7')) === undefined)
    await Promise.all([one!.close(), two!.close()])
    assert.deepEqual(listenersOf(user), listeners)
    assert.equal(await user.set('still', 'usable'), 'OK')
  })

  it('lets an application start and close though nobody listens at the address', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    const gone = await startRedis()
    await gone.stop()
    await app.register(responseCache, { ...TTL, redis: gone.url, namespace: 'gone' })
    app.get('/', { config: { cache: true } }, async () => 'answered')
    await inTime('the start', Promise.resolve(app.ready()))
    assert.equal((await app.inject('/')).body, 'answered')
    assert.equal(await app.cache.getOrSet('key', () => 'made'), 'made')
    await inTime('the end', app.close())
  })
})
