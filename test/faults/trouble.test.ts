import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Scene, assertUnharmed } from './scene.ts'

async function redis(t: TestContext, ...args: string[]): Promise<RedisServer> {
  const server = await startRedis({ args })
  t.after(() => server.stop())
  return server
}

const CONTROL = ['epoch', 'seq', 'log', 'tags', 'floor'].map((name) => `{shop}:${name}`)

describe('an application under load answers', { concurrency: 3 }, () => {
  it('while Redis has no memory left, and tells its trouble', async (t) => {
    const server = await redis(t, '--maxmemory-policy', 'noeviction')
    const scene = await Scene.start(t, { redis: server.url })
    const raw = server.client()
    const seen = await scene.under(async () => {
      await scene.caches()
      await raw.config('SET', 'maxmemory', '1')
      await eventually('a write was refused', () => (scene.stats.failures['set'] ?? 0) > 0)
      await scene.caches()
      await pause(200)
    })
    assertUnharmed(t, seen)
    assert.equal(scene.stats.pendingInvalidations, 0)
    await raw.config('SET', 'maxmemory', '0')
    await raw.del('shop#d:key')
    assert.equal(await scene.app.cache.set('key', 1), true)
  })

  it('while Redis evicts everything it can, control keys too', async (t) => {
    const server = await redis(t, '--maxmemory-policy', 'allkeys-random')
    const scene = await Scene.start(t, { redis: server.url })
    const raw = server.client()
    const seen = await scene.under(async () => {
      await scene.caches()
      for (let round = 0; round < 5; round++) {
        await raw.config('SET', 'maxmemory', '1')
        await raw.set('evict', 'x').catch(() => {})
        await raw.config('SET', 'maxmemory', '0')
        await pause(150)
      }
      await scene.caches()
    })
    assertUnharmed(t, seen)
    await scene.recovered()
  })

  it('when Redis turns into a replica that only reads, and caches again after the promotion', async (t) => {
    const server = await redis(t)
    const scene = await Scene.start(t, { redis: server.url })
    const raw = server.client()
    const seen = await scene.under(async () => {
      await scene.caches()
      await raw.replicaof('127.0.0.1', 1)
      await eventually('a write was refused', () => (scene.stats.failures['set'] ?? 0) > 0)
      await pause(500)
      await raw.replicaof('NO', 'ONE')
      await scene.caches()
    })
    assertUnharmed(t, seen)
    await scene.recovered()
  })

  const damage: [what: string, damage: (raw: Redis) => Promise<unknown>][] = [
    ['everything is flushed', (raw) => raw.flushall()],
    ['the scripts are flushed', (raw) => raw.script('FLUSH')],
    ['the control keys are deleted', (raw) => raw.del(...CONTROL)],
    ['the clock is set back', (raw) => raw.set('{shop}:seq', 1)],
    ['the log is trimmed', (raw) => raw.xtrim('{shop}:log', 'MAXLEN', 0)],
    [
      'garbage is written over every entry',
      async (raw) => {
        for (const key of await raw.keys('shop:*')) {
          await raw.del(key)
          if (Math.random() < 0.5) await raw.set(key, 'x'.repeat(Math.random() * 300))
          else await raw.rpush(key, 'garbage')
        }
      },
    ],
    [
      'entries are swapped and cut',
      async (raw) => {
        const keys = await raw.keys('shop:*')
        const frames = await Promise.all(keys.map((key) => raw.getBuffer(key).catch(() => null)))
        for (const [at, key] of keys.entries()) {
          const other = frames[(at + 1) % keys.length]
          if (other)
            await raw.set(key, at % 2 ? other : other.subarray(0, other.length - 3), 'EX', 60)
        }
      },
    ],
  ]
  for (const [what, act] of damage) {
    it(`while, again and again, ${what}`, async (t) => {
      const server = await redis(t)
      const scene = await Scene.start(t, { redis: server.url, memory: false })
      const raw = server.client()
      const seen = await scene.under(async () => {
        await scene.caches('redis')
        for (let round = 0; round < 8; round++) {
          await act(raw)
          await pause(100)
        }
        await scene.caches('redis')
      })
      assertUnharmed(t, seen)
      await scene.recovered()
    })
  }
})
