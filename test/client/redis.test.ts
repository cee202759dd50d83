import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, beforeEach, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { Redis } from 'ioredis'

import type { CacheClient, ResponseCacheOptions } from '../../src/index.ts'
import { commandCalls } from '../store/command-calls.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'
import { functionsContract } from './contract-functions.ts'
import { valuesContract } from './contract-values.ts'
import { clientContract } from './contract.ts'

const SEALED = {
  encryption: { keys: [{ id: 'k1', secret: randomBytes(32) }] },
  compression: { minBytes: 1 },
}

describe('the cache client over Redis', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())
  beforeEach(() => raw.flushall())

  /** Each call is another process. */
  const open = (t: TestContext, options: ResponseCacheOptions = {}): Promise<CacheClient> =>
    openClient(t, { redis: server.url, namespace: 'shop', ...options })

  for (const [what, options] of [
    ['with memory', {}],
    ['without memory', { memory: false }],
    ['without memory, encrypted and compressed', { memory: false, ...SEALED }],
  ] as const) {
    describe(what, () => {
      // Patient: these are not about time.
      const patient = { ...options, deadlineMs: 5000 }
      clientContract((t) => open(t, patient))
      valuesContract((t) => open(t, patient))
      functionsContract((t) => open(t, patient))
    })
  }

  it('gives a value to other processes, and to those that start later', async (t) => {
    const [one, two] = [await open(t), await open(t)]
    await one.set('key', { a: 1 })
    assert.deepEqual(await two.get('key'), { a: 1 })
    const three = await open(t)
    assert.deepEqual(await three.get('key'), { a: 1 })
    assert.deepEqual(await three.getOrSet('key', () => ({ a: 2 })), { a: 1 })
  })

  it('makes the memory of other processes forget a value that is set anew', async (t) => {
    const [one, two] = [await open(t), await open(t)]
    await one.set('key', 'old')
    assert.equal(await two.get('key'), 'old')
    assert.equal(two.stats().memory?.entries, 1)
    await one.set('key', 'new')
    await eventually(
      'the other process has the new one',
      async () => (await two.get('key')) === 'new',
    )
    await one.delete('key')
    await eventually('the other process has none', async () => (await two.get('key')) === undefined)
  })

  it('makes other processes forget what carries a tag', async (t) => {
    const [one, two] = [await open(t), await open(t)]
    await one.set('a', 1, { tags: ['x'] })
    await one.set('b', 2, { tags: ['y'] })
    await Promise.all([two.get('a'), two.get('b')])
    await two.invalidateTags(['x'])
    assert.equal(await two.get('a'), undefined)
    await eventually(
      'the first process has forgotten',
      async () => (await one.get('a')) === undefined,
    )
    assert.equal(await one.get('b'), 2)
  })

  it('answers from memory without asking Redis', async (t) => {
    const one = await open(t)
    await one.set('key', 1)
    await one.get('key')
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 100; n++) assert.equal(await one.get('key'), 1)
    })
    assert.equal(calls['getrange'], undefined)
  })

  it('asks Redis once for a value that only Redis has', async (t) => {
    const [one, two] = [await open(t), await open(t)]
    await one.set('key', 1)
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 10; n++) assert.equal(await two.get('key'), 1)
    })
    assert.equal(calls['getrange'], 1)
  })

  it('gives every key in Redis a ttl', async (t) => {
    const one = await open(t)
    await one.set('a', 1, { ttl: 10 })
    await one.getOrSet('b', () => 1, { ttl: '1h', tags: ['x'] })
    await one.invalidateTags(['x', 'y'])
    await eventually('b is written', async () => (await raw.exists('shop#d:b')) === 1)
    const keys = await raw.keys('*')
    assert.ok(keys.includes('shop#d:a'))
    for (const key of keys) assert.ok((await raw.pttl(key)) > 0, key)
    assert.ok((await raw.pttl('shop#d:a')) <= 10_000)
  })

  it('keeps two namespaces on one server apart, and clears only its own', async (t) => {
    const [shop, blog] = [await open(t), await open(t, { namespace: 'blog' })]
    await shop.set('key', 'of the shop', { tags: ['x'] })
    await blog.set('key', 'of the blog', { tags: ['x'] })
    await raw.set('unrelated', 'kept')
    assert.equal(await shop.get('key'), 'of the shop')
    await shop.invalidateTags(['x'])
    await shop.delete('key')
    assert.equal(await blog.get('key'), 'of the blog')
    await shop.clear()
    await pause(20)
    assert.equal(await blog.get('key'), 'of the blog')
    assert.equal(await raw.get('unrelated'), 'kept')
  })

  it('keeps two namespaces apart of which one begins with the other', async (t) => {
    const [outer, inner] = [await open(t), await open(t, { namespace: 'shop:d' })]
    await outer.set('d:key', 'outer')
    await inner.set('key', 'inner')
    const another = await open(t)
    assert.equal(await another.get('d:key'), 'outer')
  })

  it('does not take the control keys for values, nor values for control keys', async (t) => {
    const one = await open(t)
    for (const key of ['epoch', 'seq', '{shop}:epoch', '{shop}:seq']) await one.set(key, 'x')
    for (const key of ['epoch', 'seq', '{shop}:epoch', '{shop}:seq']) {
      assert.equal(await one.get(key), 'x')
    }
    const two = await open(t)
    assert.equal(two.stats().log.epoch, one.stats().log.epoch)
  })

  it('finds nothing in a value that was damaged in Redis, and makes it anew', async (t) => {
    const [one, two] = [await open(t), await open(t, { memory: false })]
    await one.set('key', 'whole')
    await raw.setrange('shop#d:key', 70, '\0\0\0')
    assert.equal(await two.get('key'), undefined)
    assert.equal(await two.getOrSet('key', () => 'anew'), 'anew')
    assert.equal(two.stats().failures['decode'], 2)
    await eventually('it is whole again', async () => (await two.get('key')) === 'anew')
  })

  it('runs a factory for each process at most, and all agree in the end', async (t) => {
    const processes = await Promise.all(Array.from({ length: 3 }, () => open(t)))
    let runs = 0
    const calls = processes.flatMap((cache) =>
      Array.from({ length: 10 }, () => cache.getOrSet('cold', async () => `made ${++runs}`)),
    )
    await Promise.all(calls)
    assert.ok(runs <= 3, `${runs} runs`)
    await processes[0]!.set('cold', 'final')
    for (const cache of processes) {
      await eventually('all agree', async () => (await cache.get('cold')) === 'final')
    }
  })

  it('gives the ioredis client for all else', async (t) => {
    const one = await open(t)
    await one.redis!.set('mine', 'x', 'EX', 60)
    assert.equal(await raw.get('mine'), 'x')
  })
})
