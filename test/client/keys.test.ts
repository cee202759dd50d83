import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, type Redis } from 'ioredis'

import { eventually, inTime } from '../support/clock.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'
import { keysOf } from './contract-values.ts'

describe('keys() in Redis', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())

  it('finds each of many keys, and none of other namespaces, applications or kinds', async (t) => {
    const shop = await openClient(t, { redis: server.url, namespace: 'shop' })
    const other = await openClient(t, { redis: server.url, namespace: 'sh_p' })
    await other.set('foreign', 1)
    await raw.mset('shop#d:garbage', 'not a frame', 'd:unrelated', 'x')
    await raw.lpush('shop#d:list', 'a')
    await shop.set('big', 'x'.repeat(100))
    await raw.set('shop#d:cut', (await raw.getBuffer('shop#d:big'))!.subarray(0, 70))
    await shop.delete('big')
    const keys = Array.from({ length: 1000 }, (_, n) => `key:${n}`)
    await shop.setMany(keys.map((key) => [key, key] as const))
    assert.deepEqual(await keysOf(shop), [...keys].sort())
    assert.deepEqual(
      await keysOf(shop, 'key:99'),
      keys.filter((key) => key.startsWith('key:99')).sort(),
    )
    assert.deepEqual(await keysOf(other), ['foreign'])
    assert.deepEqual(shop.stats().failures, {})
  })

  it('reads names and tags of any length', async (t) => {
    const shop = await openClient(t, { redis: server.url, namespace: 'long' })
    const keys = [`${'k'.repeat(5000)}1`, `${'k'.repeat(5000)}2`, 'short']
    const tags = Array.from({ length: 200 }, (_, n) => `tag ${n} ${'t'.repeat(50)}`)
    for (const key of keys) await shop.set(key, key, { tags })
    assert.deepEqual(await keysOf(shop), [...keys].sort())
  })

  it('respects the prefix of the client, whatever its signs', async (t) => {
    const clients = ['app*:', 'app[1]:', 'appX:'].map((keyPrefix) => server.client({ keyPrefix }))
    for (const [at, redis] of clients.entries()) {
      const cache = await openClient(t, { redis, namespace: 'same' })
      await cache.set(`of ${at}`, at)
      await cache.namespace('inner').set(`in ${at}`, at)
      assert.deepEqual(await keysOf(cache), [`of ${at}`])
      assert.deepEqual(await keysOf(cache.namespace('inner'), 'in'), [`in ${at}`])
    }
  })

  it('lists nothing of another epoch, of which it is not known what was invalidated', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const cache = await openClient(t, { redis: own.url, namespace: 'shop' })
    await cache.set('a', 1)
    const epoch = '0123456789abcdef'
    await own.client().set('{shop}:epoch', epoch, 'EX', 60)
    await eventually('the new epoch is known', () => cache.stats().log.epoch === epoch)
    assert.deepEqual(await keysOf(cache), [])
    await cache.set('b', 1)
    assert.deepEqual(await keysOf(cache), ['b'])
  })

  it('says that there is no answer, rather than give a part of it as the whole', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const cache = await openClient(t, { redis: own.url, namespace: 'shop', deadlineMs: 100 })
    await cache.setMany(Array.from({ length: 600 }, (_, n) => [`key${n}`, n] as const))
    const unavailable = { code: 'FST_RESPONSE_CACHE_REDIS_UNAVAILABLE', statusCode: 503 }
    const frozen = async (): Promise<void> => {
      for await (const _ of cache.keys()) own.freeze()
    }
    await assert.rejects(inTime('the list ends', frozen()), unavailable)
    own.thaw()
    await own.kill()
    await assert.rejects(inTime('the list ends', keysOf(cache)), unavailable)
  })

  it('finds the keys of all masters of a cluster, and values in all slots', async (t) => {
    const cluster = await startCluster()
    t.after(() => cluster.stop())
    for (const keyPrefix of ['', 'app:']) {
      const redis = new Cluster(cluster.startupNodes, { keyPrefix, scaleReads: 'master' })
      t.after(() => redis.disconnect())
      const cache = await openClient(t, { redis, namespace: 'shop' })
      const entries = Array.from({ length: 60 }, (_, n) => [`key${n}`, n] as const)
      const users = cache.namespace('users')
      assert.equal(await users.setMany(entries), true)
      const fresh = await openClient(t, { redis, namespace: 'shop' })
      const keys = entries.map(([key]) => key)
      assert.deepEqual([...(await fresh.namespace('users').getMany(keys))], entries)
      assert.deepEqual(await keysOf(users, 'key'), [...keys].sort())
      assert.equal(await users.touch('key1', '2h'), true)
      await users.clear()
      assert.deepEqual(await keysOf(users), [])
      assert.deepEqual(cache.stats().failures, {})
    }
  })
})
