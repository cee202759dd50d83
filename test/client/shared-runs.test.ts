// One run of a factory for all who call meanwhile, also where its result cannot be kept.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify from 'fastify'

import responseCache from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { TTL, openClient } from './apps.ts'

describe('callers of getOrSet at the same time', () => {
  // Regression: all but the first ran the factory after they had waited.
  it('share one run while Redis was never there', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    await server.kill()
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { redis: server.url, namespace: 'shop', ...TTL })
    await app.ready()
    let runs = 0
    const make = async (): Promise<number> => {
      await pause(20)
      return ++runs
    }
    const values = await Promise.all(
      Array.from({ length: 20 }, () => app.cache.getOrSet('key', make)),
    )
    assert.deepEqual(new Set(values), new Set([1]))
    assert.equal(await app.cache.getOrSet('key', make), 2, 'nothing is kept')
  })

  // Regression: as above.
  it('share the next run when an invalidation has overtaken the one they waited for', async (t) => {
    const cache = await openClient(t)
    let runs = 0
    let source = 'old'
    const waiting: (() => void)[] = []
    const make = async (): Promise<string> => {
      runs++
      const seen = source
      await new Promise<void>((resolve) => waiting.push(resolve))
      return seen
    }
    const calls = Array.from({ length: 20 }, () => cache.getOrSet('key', make))
    await eventually('the first runs', () => waiting.length === 1)
    source = 'new'
    await cache.delete('key')
    const late = Array.from({ length: 20 }, () => cache.getOrSet('key', make))
    waiting[0]!()
    await eventually('the next runs', () => waiting.length > 1)
    await pause(20)
    for (const go of waiting) go()
    const values = await Promise.all(calls)
    assert.equal(values[0], 'old', 'it had called before, and ran itself')
    assert.deepEqual(new Set(await Promise.all(late)), new Set(['new']))
    assert.equal(runs, 2)
  })

  it('run one beside the other for what is too large to be kept', async (t) => {
    const cache = await openClient(t, { memory: { maxBytes: 100_000, maxEntryBytes: 1000 } })
    let runs = 0
    const make = async (): Promise<string> => {
      runs++
      await pause(20)
      return 'x'.repeat(2000)
    }
    const started = performance.now()
    await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('key', make)))
    assert.equal(runs, 50)
    assert.ok(performance.now() - started < 50 * 20, 'nobody waits in line')
  })
})
