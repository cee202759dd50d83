// A process that hears late: the connection on which it follows the log is held up, and nothing else.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import Fastify from 'fastify'
import type { Redis } from 'ioredis'

import responseCache, { type CacheClient, type ResponseCacheOptions } from '../../src/index.ts'
import { type Client, Door, listen } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { openClient } from '../client/apps.ts'

/** The lease, and what a busy machine may add. */
const [LEASE_MS, BUSY_MS] = [2000, 2000]

interface Scene {
  /** The process that will hear late. */
  client: Client
  cache: CacheClient
  relay: Relay
  door: Door
  /** Writes, and invalidates in another process. */
  write: () => Promise<void>
  version: () => Promise<number>
  runs: () => number
  /** Requests that have come as far as the cache. */
  arrived: () => number
}

async function scene(t: TestContext, options: ResponseCacheOptions): Promise<Scene> {
  const server = await startRedis()
  t.after(() => server.stop())
  const relay = await Relay.start(t, server.port)
  const door = new Door()
  let [version, runs, arrived] = [1, 0, 0]
  const app = Fastify()
  const redis = followingThrough(relay, server)
  await app.register(responseCache, {
    redis,
    namespace: 'shop',
    defaults: { ttl: '1h' },
    ...options,
  })
  app.addHook('preHandler', async () => {
    arrived++
  })
  app.get('/', { config: { cache: { tags: ['x'] } } }, async () => {
    runs++
    const read = version
    await door.pass()
    return { version: read }
  })
  const client = await listen(t, app)
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  const other = await openClient(t, { redis: server.url, namespace: 'shop' })
  return {
    ...{ client, cache: app.cache, relay, door, runs: () => runs, arrived: () => arrived },
    write: async () => {
      version++
      await other.invalidateTags(['x'])
    },
    version: async () => (JSON.parse((await client.get('/')).text) as { version: number }).version,
  }
}

/** A client of the user whose duplicates take another way. */
function followingThrough(relay: Relay, server: RedisServer): Redis {
  const redis = server.client()
  const duplicate = redis.duplicate.bind(redis)
  redis.duplicate = (override) => duplicate({ ...override, port: relay.port })
  return redis
}

describe('a process that hears late of an invalidation', { concurrency: true }, () => {
  for (const memory of [undefined, false] as const) {
    const tiers = memory === false ? 'Redis alone' : 'memory'
    it(`answers with nothing from before, in strict: ${tiers}`, async (t) => {
      const { relay, door, write, version, runs } = await scene(t, {
        consistency: 'strict',
        ...(memory === false ? { memory } : {}),
      })
      door.open()
      await eventually('it is cached', async () => {
        const before = runs()
        assert.equal(await version(), 1)
        return runs() === before
      })
      relay.holdUp()
      await write()
      assert.equal(await version(), 2)
      await write()
      assert.equal(await version(), 3)
    })
  }

  it('gives those who come after it no run that began before it, in strict', async (t) => {
    const { relay, door, write, version, arrived } = await scene(t, { consistency: 'strict' })
    const early = version()
    await door.reached()
    relay.holdUp()
    await write()
    const late = [version(), version(), version()]
    await eventually('they have come', () => arrived() === 4)
    await nextTurn()
    door.open()
    assert.equal(await early, 1)
    assert.deepEqual(await Promise.all(late), [2, 2, 2])
  })

  it('answers with nothing from before once its lease is over', async (t) => {
    const { relay, door, write, version, runs } = await scene(t, { consistency: 'eventual' })
    door.open()
    assert.equal(await version(), 1)
    assert.equal(await version(), 1)
    assert.equal(runs(), 1)
    relay.holdUp()
    await write()
    const wroteAt = performance.now()
    await eventually('the new version', async () => (await version()) === 2, LEASE_MS + BUSY_MS)
    t.diagnostic(`old for ${(performance.now() - wroteAt).toFixed(0)} ms at most`)
    for (let n = 0; n < 4; n++) assert.equal(await version(), 2)
  })

  it('forgets at once what it invalidates itself, and says of a value only then that it is set when it can be got', async (t) => {
    const { relay, cache } = await scene(t, {})
    assert.equal(await cache.set('key', 'old', { tags: ['x'] }), true)
    relay.holdUp()
    await cache.invalidateTags(['x'])
    assert.equal(await cache.get('key'), undefined)
    const isSet = await cache.set('key', 'new')
    assert.equal(await cache.get('key'), isSet ? 'new' : undefined)
  })
})
