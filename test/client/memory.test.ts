import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'

import { openClient } from './apps.ts'
import { functionsContract } from './contract-functions.ts'
import { valuesContract } from './contract-values.ts'
import { clientContract } from './contract.ts'

describe('the cache client in memory', () => {
  clientContract((t) => openClient(t))
  valuesContract((t) => openClient(t))
  functionsContract((t) => openClient(t))

  it('has no Redis client', async (t) => {
    assert.equal((await openClient(t)).redis, null)
  })

  it('keeps a value for its ttl: its own, else that of the defaults', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1) })
    t.after(() => mock.timers.reset())
    const cache = await openClient(t, { defaults: { ttl: 60 } })
    await cache.set('default', 1)
    await cache.set('short', 1, { ttl: '10s' })
    await cache.set('long', 1, { ttl: '1h' })
    await cache.getOrSet('made', () => 1, { ttl: 0.5 })
    const there = async (): Promise<string[]> => {
      const found: string[] = []
      for (const key of ['default', 'short', 'long', 'made'])
        if (await cache.has(key)) found.push(key)
      return found
    }
    assert.deepEqual(await there(), ['default', 'short', 'long', 'made'])
    mock.timers.tick(499)
    assert.deepEqual(await there(), ['default', 'short', 'long', 'made'])
    mock.timers.tick(1)
    assert.deepEqual(await there(), ['default', 'short', 'long'])
    mock.timers.tick(9_500)
    assert.deepEqual(await there(), ['default', 'long'])
    mock.timers.tick(50_000)
    assert.deepEqual(await there(), ['long'])
    mock.timers.tick(3_600_000)
    assert.deepEqual(await there(), [])
  })

  it('slides with touches, and forgets an error and a touched value when they are over', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1) })
    t.after(() => mock.timers.reset())
    const cache = await openClient(t, { defaults: { ttl: 60 } })
    await cache.set('a', 1)
    for (let n = 0; n < 5; n++) {
      mock.timers.tick(59_000)
      assert.equal(await cache.touch('a', 60), true)
    }
    mock.timers.tick(59_999)
    assert.deepEqual([await cache.ttl('a'), await cache.get('a')], [1, 1])
    mock.timers.tick(1)
    assert.deepEqual([await cache.ttl('a'), await cache.touch('a', 60)], [undefined, false])
    let runs = 0
    const failing = (): Promise<unknown> =>
      cache
        .getOrSet('b', () => Promise.reject(new Error(`${++runs}`)), { errorTtl: 10 })
        .catch((error: Error) => error.message)
    assert.equal(await failing(), '1')
    mock.timers.tick(9_999)
    assert.equal(await failing(), '1')
    mock.timers.tick(1)
    assert.equal(await failing(), '2')
  })

  it('keeps the errors of a thousand keys, and those of the last', async (t) => {
    const cache = await openClient(t)
    let runs = 0
    const failing = async (key: number): Promise<void> => {
      const factory = (): never => {
        throw new Error(`${++runs}`)
      }
      await assert.rejects(cache.getOrSet(`key${key}`, factory, { errorTtl: 60 }))
    }
    for (let key = 0; key <= 1000; key++) await failing(key)
    await failing(1)
    assert.equal(runs, 1001)
    await failing(0)
    assert.equal(runs, 1002)
  })

  it('counts namespaces without end together', async (t) => {
    const cache = await openClient(t)
    for (let n = 0; n < 1100; n++) await cache.namespace(`n${n}`).get('a')
    const { values, namespaces } = cache.stats()
    assert.equal(values.misses, 1100)
    assert.ok(Object.keys(namespaces).length <= 1001 && namespaces['*']!.misses >= 100)
  })

  it('holds no more than its bytes', async (t) => {
    const cache = await openClient(t, { memory: { maxBytes: 200_000 } })
    for (let n = 0; n < 100; n++) await cache.set(`key${n}`, 'x'.repeat(10_000))
    const { memory } = cache.stats()
    assert.ok(memory!.bytes <= 200_000 && memory!.entries > 10, JSON.stringify(memory))
    assert.ok(memory!.entries < 20)
    assert.equal(await cache.has('key99'), true)
  })

  it('holds nothing of a value that was overtaken by an invalidation', async (t) => {
    const cache = await openClient(t)
    const factory = async (): Promise<string> => {
      await cache.invalidateTags(['x'])
      return 'from before'
    }
    assert.equal(await cache.getOrSet('key', factory, { tags: ['x'] }), 'from before')
    assert.equal(cache.stats().memory?.entries, 0)
  })

  it('knows nothing of another application in the same process', async (t) => {
    const [one, two] = [await openClient(t), await openClient(t)]
    await one.set('key', 1)
    assert.equal(await two.get('key'), undefined)
    await two.clear()
    assert.equal(await one.get('key'), 1)
  })
})
