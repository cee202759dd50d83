// Several processes on one key at once, over a real Redis.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import type { CacheClient, ResponseCacheOptions } from '../../src/index.ts'
import { commandCalls } from '../store/command-calls.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'

const some = (n: number): number => Math.floor(Math.random() * n)

describe('several processes on one key', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())
  beforeEach(() => raw.flushall())

  const open = (t: TestContext, options: ResponseCacheOptions = {}): Promise<CacheClient> =>
    openClient(t, { redis: server.url, namespace: 'shop', deadlineMs: 5000, ...options })
  const openThree = (t: TestContext): Promise<CacheClient[]> =>
    Promise.all([open(t), open(t), open(t, { memory: false })])

  // Regression: what was set carried the position of the moment of storing, which may be after the
  // invalidation of another that set the key at once; then each kept its own.
  it('agree on one value after they have set different ones at once', async (t) => {
    const processes = await openThree(t)
    for (let round = 0; round < 60; round++) {
      await Promise.all(processes.map((cache, at) => cache.set('key', `${round}.${at}`)))
      await eventually(`all agree after round ${round}`, async () => {
        const seen = await Promise.all(processes.map((cache) => cache.get('key')))
        return new Set(seen).size === 1
      })
    }
  })

  it('never keep an old value beside writes through, whoever reads and writes when', async (t) => {
    const processes = await openThree(t)
    let source = 0
    const read = async (): Promise<number> => {
      const seen = source
      await pause(some(3))
      return seen
    }
    const write = async (): Promise<number> => {
      await pause(some(3))
      const written = ++source
      await pause(some(3))
      return written
    }
    for (let round = 0; round < 25; round++) {
      const calls = Array.from({ length: 12 }, async (_, n) => {
        await pause(some(8))
        const cache = processes[some(3)]!
        return n % 3 === 0 ? cache.writeThrough('key', write) : cache.getOrSet('key', read)
      })
      await Promise.all(calls)
      // All writes have resolved: whatever is kept now is the last of them.
      await eventually(`all have read the log of round ${round}`, () => {
        const seqs = processes.map((cache) => cache.stats().log.seq)
        return new Set(seqs).size === 1
      })
      for (const cache of processes) {
        const kept = await cache.get('key')
        assert.ok(kept === undefined || kept === source, `${String(kept)} beside ${source}`)
      }
    }
  })

  it('have what was written through by one, where nobody else wrote', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    await two.getOrSet('key', () => 'old')
    await one.writeThrough('other', () => 1)
    await one.writeThrough('key', () => 'new')
    await eventually('the other has it', async () => (await two.get('key')) === 'new')
    assert.equal(await two.getOrSet('key', () => 'not run'), 'new')
  })

  it('never bring back by a touch what was replaced or invalidated meanwhile', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    for (let round = 0; round < 60; round++) {
      const isSet = round % 2 === 0
      await one.set('key', `old ${round}`, { tags: ['x'], ttl: 60 })
      await Promise.all([
        one.touch('key', 600 + round),
        pause(some(2)).then(async () => {
          if (isSet) await two.set('key', `new ${round}`, { ttl: 60 })
          else await two.invalidateTags(['x'])
        }),
        one.touch('key', 900 + round),
      ])
      await eventually(`the first process knows, in round ${round}`, async () => {
        return (await one.get('key')) === (isSet ? `new ${round}` : undefined)
      })
      const third = await two.get('key')
      assert.equal(third, isSet ? `new ${round}` : undefined)
    }
  })

  it('all see the longest of lifetimes that were given by touches at once', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    await one.set('key', 1, { ttl: 5 })
    const touched = [one.touch('key', 500), two.touch('key', 1000), two.touch('key', 700)]
    assert.deepEqual(await Promise.all(touched), [true, true, true])
    const three = await open(t)
    assert.ok((await three.ttl('key'))! > 700)
    assert.ok((await raw.pttl('shop#d:key')) > 700_000)
  })

  it('touch what Redis has lost and one of them still has', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    await one.set('key', 1, { ttl: 60 })
    await raw.del('shop#d:key')
    assert.equal(await two.touch('key', 100), false)
    assert.equal(await one.touch('key', 100), true)
    assert.ok((await two.ttl('key'))! > 60)
  })

  it('have a namespace cleared for all of them', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    const spaces = [one, two].map((cache) => cache.namespace('users', { version: 3 }))
    await spaces[0]!.setMany(Object.entries({ a: 1, b: 2 }))
    assert.deepEqual(await spaces[1]!.getMany(['a', 'b']), new Map(Object.entries({ a: 1, b: 2 })))
    await spaces[1]!.clear()
    await eventually('it is empty', async () => (await spaces[0]!.getMany(['a', 'b'])).size === 0)
    assert.equal(one.stats().log.seq, 2)
  })

  it('share the results of functions that are wrapped under one name', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    const first = one.wrap('sum', (a: number, b: number) => ({ sum: a + b, by: 1 }))
    const second = two.wrap('sum', (a: number, b: number) => ({ sum: a + b, by: 2 }))
    await first(1, 2)
    await eventually(
      'it is stored',
      async () => (await raw.exists(`shop#d:${first.keyOf(1, 2)}`)) === 1,
    )
    assert.deepEqual(await second(1, 2), { sum: 3, by: 1 })
    await second.invalidate(1, 2)
    await eventually('it is made anew', async () => (await first(1, 2)).by === 1)
  })

  it('ask once for each of many keys, and keep what they get', async (t) => {
    const [one, two] = (await openThree(t)) as [CacheClient, CacheClient]
    const entries = Array.from({ length: 100 }, (_, n) => [`key${n}`, n] as const)
    await one.setMany(entries)
    const keys = entries.map(([key]) => key)
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 3; n++) assert.equal((await two.getMany(keys)).size, 100)
    })
    assert.equal(calls['getrange'], 100)
    assert.equal(two.stats().log.seq, 1)
  })
})
