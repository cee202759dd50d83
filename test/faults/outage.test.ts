import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, type RedisServerOptions, startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { Scene, assertUnharmed } from './scene.ts'

/** Longer than the lease, so that nothing of before can be trusted any more. */
const OUTAGE_MS = 2500

async function redis(t: TestContext, options?: RedisServerOptions): Promise<RedisServer> {
  const server = await startRedis(options)
  t.after(() => server.stop())
  return server
}

// Each test has a server of its own and waits most of the time.
describe('an application under load', { concurrency: 3 }, () => {
  const tiers: [name: string, cache: ResponseCacheOptions][] = [
    ['memory and Redis', {}],
    ['Redis alone', { memory: false }],
    ['strict', { consistency: 'strict' }],
  ]
  for (const [name, cache] of tiers) {
    const tier = cache.memory === false ? 'redis' : undefined

    it(`answers while Redis is killed and comes back empty, and caches again: ${name}`, async (t) => {
      const server = await redis(t)
      const scene = await Scene.start(t, { redis: server.url, ...cache })
      const seen = await scene.under(async () => {
        await scene.caches(tier)
        await server.kill()
        await pause(OUTAGE_MS)
        await server.restart()
        await scene.caches(tier)
      })
      assertUnharmed(t, seen)
      await scene.recovered()
    })

    it(`answers while Redis is frozen, and caches again when it goes on: ${name}`, async (t) => {
      const server = await redis(t)
      const scene = await Scene.start(t, { redis: server.url, ...cache })
      const seen = await scene.under(async () => {
        await scene.caches(tier)
        server.freeze()
        await pause(OUTAGE_MS)
        server.thaw()
        await scene.caches(tier)
      })
      assertUnharmed(t, seen)
      await scene.recovered()
    })
  }

  it('answers though all its connections are cut again and again', async (t) => {
    const server = await redis(t)
    const scene = await Scene.start(t, { redis: server.url })
    const raw = server.client()
    const seen = await scene.under(async () => {
      for (let round = 0; round < 10; round++) {
        await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await pause(100)
      }
      await scene.caches()
    })
    assertUnharmed(t, seen)
    await scene.recovered()
  })

  // Regression: nobody gave up a connection whose other end had gone without a word, as with a host
  // that dies: nothing was stored or told before the system did so, after a quarter of an hour.
  it('caches again when all its connections are dead and nobody has said so', async (t) => {
    const server = await redis(t)
    const relay = await Relay.start(t, server.port)
    const scene = await Scene.start(t, { redis: `redis://127.0.0.1:${relay.port}`, memory: false })
    const seen = await scene.under(async () => {
      await scene.caches('redis')
      relay.strand()
      await pause(OUTAGE_MS)
      await scene.caches('redis')
    })
    assertUnharmed(t, seen)
    await scene.recovered()
  })

  it('does not wait for a frozen Redis with every request: the breaker opens, and closes later', async (t) => {
    const server = await redis(t)
    const scene = await Scene.start(t, { redis: server.url, memory: false })
    await scene.caches('redis')
    server.freeze()
    await eventually('the breaker is open', async () => {
      await scene.client.get('/item/1')
      return scene.stats.redis!.breaker !== 'closed'
    })
    const start = performance.now()
    for (let n = 0; n < 100; n++)
      assert.equal((await scene.client.get(`/item/${n % 10}`)).status, 200)
    const took = performance.now() - start
    t.diagnostic(`100 requests with an open breaker took ${took.toFixed(0)} ms`)
    assert.ok(took < 10_000, 'one deadline each would be 25 s')
    server.thaw()
    await scene.caches('redis')
    await eventually('the breaker is closed', () => scene.stats.redis!.breaker === 'closed')
  })
})

describe('an application that starts', { concurrency: true }, () => {
  const beginnings: [
    what: string,
    options: RedisServerOptions,
    url: (server: RedisServer) => string,
    spoil: (server: RedisServer) => unknown,
    mend: (server: RedisServer) => unknown,
  ][] = [
    ['while Redis is down', {}, ({ url }) => url, (s) => s.kill(), (s) => s.restart()],
    ['while Redis is frozen', {}, ({ url }) => url, (s) => s.freeze(), (s) => s.thaw()],
    [
      'with a wrong password that is corrected later',
      { password: 'right' },
      ({ port }) => `redis://:wrong@127.0.0.1:${port}`,
      () => undefined,
      (s) => s.client().config('SET', 'requirepass', 'wrong'),
    ],
    [
      'without the password that is taken away later',
      { password: 'right' },
      ({ port }) => `redis://127.0.0.1:${port}`,
      () => undefined,
      (s) => s.client().config('SET', 'requirepass', ''),
    ],
    [
      'on a replica that only reads and is promoted later',
      {},
      ({ url }) => url,
      (s) => s.client().replicaof('127.0.0.1', 1),
      (s) => s.client().replicaof('NO', 'ONE'),
    ],
    [
      'while Redis is loading nothing but has no memory left',
      { args: ['--maxmemory-policy', 'noeviction'] },
      ({ url }) => url,
      (s) => s.client().config('SET', 'maxmemory', '1'),
      (s) => s.client().config('SET', 'maxmemory', '0'),
    ],
  ]
  // Regression: once there was a connection nothing bounded the wait for what the server says first.
  it('while nothing answers at the address, caches once another server does', async (t) => {
    const server = await redis(t)
    const relay = await Relay.start(t, server.port)
    relay.holdUp()
    const scene = await Scene.start(t, { redis: `redis://127.0.0.1:${relay.port}`, memory: false })
    relay.strand()
    await scene.caches('redis')
  })

  for (const [what, options, url, spoil, mend] of beginnings) {
    it(`${what} is ready soon, answers, and caches by itself when all is well`, async (t) => {
      const server = await redis(t, options)
      await spoil(server)
      const scene = await inTime('the start', Scene.start(t, { redis: url(server) }))
      const seen = await scene.under(() => pause(500))
      assertUnharmed(t, seen, 20)
      await mend(server)
      await scene.caches()
      await scene.recovered()
      assert.equal(await scene.app.cache.set('key', 'value'), true)
      assert.equal(await scene.app.cache.get('key'), 'value')
    })
  }
})
