// Batches, lifetimes, lists of keys, namespaces and inspection, whatever is behind the client.
import assert from 'node:assert/strict'
import { type TestContext, it } from 'node:test'
import fc from 'fast-check'

import type { CacheClient } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'

interface Listed {
  keys(options?: { prefix?: string }): AsyncIterable<string>
}

export async function keysOf(cache: Listed, prefix?: string): Promise<string[]> {
  const keys = new Set<string>()
  for await (const key of cache.keys(prefix === undefined ? {} : { prefix })) keys.add(key)
  return [...keys].sort()
}

export function valuesContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('gives many values at once: those that there are, undefined among them', async (t) => {
    const cache = await open(t)
    assert.deepEqual(await cache.getMany(['a', 'b']), new Map())
    assert.equal(await cache.setMany(Object.entries({ a: 1, b: null, c: undefined })), true)
    const found = await cache.getMany(['a', 'x', 'c', 'b', 'a'])
    assert.deepEqual([...found], [...Object.entries({ a: 1, c: undefined, b: null })])
    assert.equal(await cache.get('a'), 1)
  })

  it('sets many under the same tags and ttl, the last of one key, and forgets what was there', async (t) => {
    const cache = await open(t)
    await cache.set('a', 'old')
    const pairs = [
      ['a', 1],
      ['b', 1],
      ['a', 2],
    ] as const
    assert.equal(await cache.setMany(pairs, { tags: ['x'], ttl: 100 }), true)
    assert.deepEqual(
      [await cache.get('a'), await cache.get('b'), await cache.ttl('b')],
      [2, 1, 100],
    )
    await cache.invalidateTags(['x'])
    assert.equal((await cache.getMany(['a', 'b'])).size, 0)
  })

  it('sets more values than fit into one record of the log', async (t) => {
    const cache = await open(t)
    const entries = Array.from({ length: 1200 }, (_, n) => [`key${n}`, n] as const)
    assert.equal(await cache.setMany(entries), true)
    const found = await cache.getMany(entries.map(([key]) => key))
    assert.deepEqual([...found], entries)
    assert.equal(cache.stats().values.sets, 1200)
  })

  it('sets nothing of many when one of them is refused', async (t) => {
    const cache = await open(t)
    await cache.set('a', 'before')
    for (const wrong of [
      [['a', 1] as const, ['', 1] as const],
      [['a', 1] as const, ['b', 5n] as const],
    ]) {
      await assert.rejects(cache.setMany(wrong), { code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT' })
    }
    assert.equal(await cache.get('a'), 'before')
  })

  it('tells the seconds that remain, of what there is', async (t) => {
    const cache = await open(t)
    await cache.set('a', 1, { ttl: '1m' })
    const remaining = await cache.ttl('a')
    assert.ok(remaining !== undefined && remaining <= 60 && remaining > 30, String(remaining))
    assert.equal(await cache.ttl('b'), undefined)
    await cache.delete('a')
    assert.equal(await cache.ttl('a'), undefined)
    const { hits, misses } = cache.stats().values
    assert.deepEqual([hits, misses], [0, 0])
  })

  it('lets a value live longer when it is touched, and never shorter', async (t) => {
    const cache = await open(t)
    await cache.set('a', { kept: 1 }, { ttl: 60, tags: ['x'] })
    assert.equal(await cache.touch('a', '1h'), true)
    assert.ok((await cache.ttl('a'))! > 3000)
    assert.equal(await cache.touch('a', 1), true)
    assert.ok((await cache.ttl('a'))! > 3000)
    assert.deepEqual(await cache.get('a'), { kept: 1 })
    await cache.invalidateTags(['x'])
    assert.equal(await cache.get('a'), undefined)
  })

  it('touches nothing that is not there, or was invalidated', async (t) => {
    const cache = await open(t)
    assert.equal(await cache.touch('a', 60), false)
    await cache.set('a', 1, { tags: ['x'] })
    await cache.invalidateTags(['x'])
    assert.equal(await cache.touch('a', 60), false)
    assert.equal(await cache.get('a'), undefined)
    await assert.rejects(cache.touch('a', 0), /the ttl of 'a'/)
  })

  it('lists the keys of what is usable, by what they begin with', async (t) => {
    const cache = await open(t)
    const long = 'user:'.padEnd(300, 'x')
    for (const key of ['user:1', 'user:2', 'User:3', 'cart:1', long]) {
      await cache.set(key, 1, { tags: [key.slice(-1)] })
    }
    await cache.getOrSet('user:made', () => 1)
    await cache.delete('user:2')
    await cache.invalidateTags(['3'])
    await eventually('all is listed', async () => (await keysOf(cache)).length === 4)
    assert.deepEqual(await keysOf(cache), ['cart:1', 'user:1', 'user:made', long])
    assert.deepEqual(await keysOf(cache, 'user:'), ['user:1', 'user:made', long])
    assert.deepEqual(await keysOf(cache, long.slice(0, 250)), [long])
    assert.deepEqual(await keysOf(cache, 'nothing'), [])
  })

  it('takes the signs of a pattern for themselves, in keys and in what they begin with', async (t) => {
    const cache = await open(t)
    const sign = fc.constantFrom('*', '?', '[', ']', '\\', '^', '-', 'a', 'b', ':', '#', '{', 'ä')
    const text = fc.array(sign, { minLength: 1, maxLength: 4 }).map((signs) => signs.join(''))
    await fc.assert(
      fc.asyncProperty(
        fc.array(text, { minLength: 1, maxLength: 6 }),
        text,
        async (keys, prefix) => {
          await cache.clear()
          await cache.setMany(keys.map((key) => [key, 1] as const))
          const expected = [...new Set(keys)].filter((key) => key.startsWith(prefix)).sort()
          assert.deepEqual(await keysOf(cache, prefix), expected)
        },
      ),
      { numRuns: 20 },
    )
  })

  it('can be left in the middle of a list', async (t) => {
    const cache = await open(t)
    await cache.setMany(Array.from({ length: 50 }, (_, n) => [`key${n}`, n] as const))
    const page: string[] = []
    for await (const key of cache.keys({ prefix: 'key' })) {
      page.push(key)
      if (page.length === 10) break
    }
    assert.equal(new Set(page).size, 10)
    await assert.rejects(async () => cache.keys({ prefix: '\ud800' }), /prefix must be/)
    await assert.rejects(async () => cache.keys({ pattern: '*' } as object), /'pattern' is not/)
  })

  it('keeps namespaces apart from each other and from the rest, whatever their keys', async (t) => {
    const cache = await open(t)
    const places = [
      cache,
      cache.namespace('users'),
      cache.namespace('users', { version: 2 }),
      cache.namespace('users').namespace('drafts'),
      cache.namespace('drafts'),
    ]
    const keys = ['a', 'users:a', ':a', 'drafts:a', '@2:a', 'x'.repeat(300)]
    for (const [at, place] of places.entries()) {
      for (const key of keys) await place.set(key, `${at} ${key}`)
    }
    for (const [at, place] of places.entries()) {
      for (const key of keys) assert.equal(await place.get(key), `${at} ${key}`)
      assert.deepEqual(await keysOf(place), [...keys].sort())
    }
    await places[1]!.delete('a')
    const left = await Promise.all(places.map((place) => place.has('a')))
    assert.deepEqual(left, [true, false, true, true, true])
  })

  it('clears a namespace with those in it, and nothing else', async (t) => {
    const cache = await open(t)
    const users = cache.namespace('users')
    const places = [
      cache,
      users,
      users.namespace('drafts'),
      cache.namespace('users', { version: 2 }),
    ]
    const other = cache.namespace('other')
    for (const place of [...places, other]) await place.set('a', 1, { tags: ['x'] })
    const floor = cache.stats().log.floor
    await users.clear()
    const there = (): Promise<boolean[]> =>
      Promise.all([...places, other].map((place) => place.has('a')))
    assert.deepEqual(await there(), [true, false, false, true, true])
    assert.equal(cache.stats().log.floor, floor)
    await users.set('a', 2)
    assert.equal(await users.get('a'), 2)
    await cache.invalidateTags(['x'])
    assert.deepEqual(await there(), [false, true, false, false, false])
  })

  it('does not let a factory that began before overwrite what was cleared', async (t) => {
    const users = (await open(t)).namespace('users')
    let finish!: (value: string) => void
    const made = users.getOrSet('a', () => new Promise<string>((resolve) => (finish = resolve)))
    await eventually('the factory runs', () => finish !== undefined)
    await users.clear()
    finish('from before')
    assert.equal(await made, 'from before')
    assert.equal(await users.get('a'), undefined)
  })

  it('hands ttl and leniency of a namespace to those in it, unless they have their own', async (t) => {
    const cache = await open(t)
    const outer = cache.namespace('outer', { ttl: 60, lossy: true })
    const inner = outer.namespace('inner')
    const own = outer.namespace('own', { ttl: '1h', lossy: false })
    await inner.set('a', new Date(0))
    assert.equal(await inner.get('a'), '1970-01-01T00:00:00.000Z')
    assert.ok((await inner.ttl('a'))! <= 60)
    await assert.rejects(own.set('a', new Date(0)), /it is a Date/)
    await own.set('a', 1)
    assert.ok((await own.ttl('a'))! > 3000)
  })

  it('counts each namespace by itself, and all together', async (t) => {
    const cache = await open(t)
    const users = cache.namespace('users')
    await users.set('a', 1)
    await users.get('a')
    await cache.namespace('users').get('b')
    await cache.get('a')
    assert.deepEqual(users.stats(), { hits: 1, misses: 1, sets: 1 })
    const { values, namespaces } = cache.stats()
    assert.deepEqual(values, { hits: 1, misses: 2, sets: 1 })
    assert.deepEqual(namespaces, { users: { hits: 1, misses: 1, sets: 1 } })
  })

  it('shows what is stored under a key, without its body unless that is asked for', async (t) => {
    const cache = await open(t)
    const users = cache.namespace('users')
    const long = 'y'.repeat(100)
    await users.set('a', 'text', { ttl: 100, tags: ['x', long] })
    const shown = await users.inspect('a')
    assert.ok(shown.length > 0)
    for (const { position, age, ttl, tags, ...rest } of shown) {
      assert.deepEqual(rest, { tier: rest.tier, state: 'fresh', bytes: 6 })
      assert.equal(position.epoch, cache.stats().log.epoch)
      assert.ok(position.seq > 0 && age < 50 && ttl > 50 && ttl <= 100)
      assert.deepEqual([tags[0], tags[1]?.slice(0, 1), tags.length], ['x', '#', 2])
    }
    assert.equal((await users.inspect('a', { body: true }))[0]!.body?.toString(), '"text"')
    await cache.invalidateTags(['x'])
    const states = (await users.inspect('a')).map(({ state }) => state)
    assert.ok(
      states.every((state) => state === 'expired'),
      String(states),
    )
    await users.clear()
    assert.ok((await users.inspect('a')).every(({ state }) => state === 'unusable'))
    assert.deepEqual(await cache.inspect('a'), [])
  })
}
