import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { type ClientOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { eventually } from '../support/clock.ts'
import { commandCalls } from './command-calls.ts'
import { storeContract } from './contract.ts'
import { makeEntry } from './entries.ts'

describe('RedisStore', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())

  interface Opened {
    store: RedisStore
    damaged: () => number
    troubles: string[]
  }

  function open(namespace = 'shop', options: ClientOptions = {}): Opened {
    let damaged = 0
    const troubles: string[] = []
    const guard = new RedisGuard(server.client(options), {
      deadlineMs: 2000,
      breaker: false,
      onTrouble: (operation, error) => troubles.push(`${operation}: ${error.message}`),
    })
    const store = new RedisStore(guard, namespace, () => damaged++)
    return { store, damaged: () => damaged, troubles }
  }

  async function connected(namespace?: string, options?: ClientOptions): Promise<Opened> {
    const opened = open(namespace, options)
    await eventually('connected', async () => {
      await opened.store.get('anything')
      return opened.troubles.splice(0).length === 0
    })
    return opened
  }

  describe('does what every store does', () => {
    let opened: Opened
    before(async () => {
      opened = await connected('contract')
    })
    storeContract(() => ({
      get: async (key) => (await opened.store.get(key))?.entry,
      set: (key, entry) => opened.store.set(key, entry, 60_000),
      delete: (key) => opened.store.delete(key),
    }))
  })

  it('puts one key per entry, in its namespace, with a ttl that is never longer than asked', async () => {
    const { store } = await connected('ttl')
    for (const [key, ttlMs] of [
      ['a', 60_000],
      ['b', 0.4],
      ['c', -5],
      ['d', 1e9],
    ] as const) {
      assert.equal(await store.set(key, makeEntry(), ttlMs), true)
      const left = await raw.pttl(`ttl:${key}`)
      // -2: it has expired already.
      assert.ok(left === -2 || (left >= 0 && left <= Math.max(1, ttlMs)), `${key}: ${left}`)
    }
    // Replaced by a shorter life, and by the loser of a comparison: the ttl is still the entry's own.
    await store.set('a', makeEntry(), 1000)
    assert.ok((await raw.pttl('ttl#a')) <= 1000)
    await store.set('a', makeEntry({ seq: 0 }), 60_000)
    assert.ok((await raw.pttl('ttl#a')) <= 1000)
    await eventually('b and c have expired', async () => {
      return (await raw.keys('ttl#*')).sort().join() === 'ttl#a,ttl#d'
    })
  })

  it('forgets an entry when its time has passed', async () => {
    const { store } = await connected('expiry')
    await store.set('soon', makeEntry(), 20)
    await store.set('later', makeEntry(), 60_000)
    await eventually('expired', async () => (await store.get('soon')) === undefined)
    assert.notEqual(await store.get('later'), undefined)
  })

  it('sends one command for one get, hit or miss', async () => {
    const { store } = await connected('count')
    await store.set('hit', makeEntry(), 60_000)
    const calls = await commandCalls(raw, async () => {
      assert.ok(await store.get('hit'))
      assert.equal(await store.get('miss'), undefined)
    })
    assert.deepEqual(calls, { getrange: 2 })
  })

  it('sends one command for one set, once the server knows the script', async () => {
    const { store } = await connected('count')
    await store.set('a', makeEntry(), 60_000)
    const calls = await commandCalls(raw, () => store.set('b', makeEntry(), 60_000))
    // The second and third are what the script does, on the server.
    assert.deepEqual(calls, { evalsha: 1, getrange: 1, set: 1 })
  })

  it('sends one plain command where nothing is expected, and compares only with what is there', async () => {
    const { store } = await connected('new')
    const isNew = (key: string, seq: number, body: string): Promise<boolean> =>
      store.set(key, makeEntry({ seq, body }), 60_000, true)
    const calls = await commandCalls(raw, () => isNew('a', 1, 'first'))
    assert.deepEqual(calls, { set: 1 })
    assert.ok((await raw.pttl('new#a')) > 0)
    assert.equal(await isNew('a', 0, 'older'), true)
    assert.equal((await store.get('a'))?.entry.body, 'first')
    assert.equal(await isNew('a', 2, 'newer'), true)
    assert.equal((await store.get('a'))?.entry.body, 'newer')
    await raw.set('new#a', 'garbage')
    assert.equal(await isNew('a', 3, 'again'), true)
    assert.equal((await store.get('a'))?.entry.body, 'again')
  })

  it('reads what stands there now, however alike it is to what it read before', async () => {
    const { store } = await connected('again')
    for (const change of [
      { body: 'one' },
      { body: 'two' },
      { body: Buffer.from('two') },
      { body: Buffer.from('one') },
      { body: undefined },
      { body: 'one', tags: ['t:=b'] },
      { body: 'one', headers: [['content-type', 'text/plaim']] as [string, string][] },
    ]) {
      const entry = makeEntry(change)
      await store.set('a', entry, 60_000)
      for (let n = 0; n < 2; n++) assert.deepEqual((await store.get('a'))?.entry, entry)
    }
    const whole = await raw.getBuffer('again#a')
    for (let at = 0; at < whole!.length; at += 7) {
      const damaged = Buffer.from(whole!)
      damaged[at]! ^= 1
      await raw.set('again#a', damaged)
      assert.equal(await store.get('a'), undefined, `byte ${at}`)
    }
  })

  it('sets also when the server has forgotten the script', async () => {
    const { store } = await connected('flush')
    await store.set('a', makeEntry(), 60_000)
    await raw.script('FLUSH')
    assert.equal(await store.set('b', makeEntry({ body: 'after' }), 60_000), true)
    assert.equal((await store.get('b'))?.entry.body!.toString(), 'after')
  })

  const garbage: [what: string, put: (name: string) => Promise<unknown>][] = [
    ['text', (name) => raw.set(name, 'hello')],
    ['long text', (name) => raw.set(name, 'x'.repeat(100_000))],
    [
      'the start of a frame with no number for a position',
      (name) => raw.set(name, `FRC2000000000123456789abcdef${'x'.repeat(100)}`),
    ],
    ['a list', (name) => raw.rpush(name, 'a')],
    ['a hash', (name) => raw.hset(name, 'a', 'b')],
    ['a sorted set', (name) => raw.zadd(name, 1, 'a')],
    ['a stream', (name) => raw.xadd(name, '*', 'a', 'b')],
  ]
  for (const [what, put] of garbage) {
    it(`finds nothing where ${what} stands, and replaces it`, async () => {
      const { store, damaged, troubles } = await connected('garbage')
      await raw.del('garbage#key')
      await put('garbage#key')
      assert.equal(await store.get('key'), undefined)
      assert.equal(damaged() + troubles.length, 1, 'somebody was told')
      assert.equal(await store.set('key', makeEntry({ body: 'whole' }), 60_000), true)
      assert.equal((await store.get('key'))?.entry.body!.toString(), 'whole')
      assert.ok((await raw.pttl('garbage#key')) > 0)
    })
  }

  it('takes an empty string for nothing, and replaces it', async () => {
    const { store, damaged, troubles } = await connected('empty')
    await raw.set('empty#key', '')
    assert.equal(await store.get('key'), undefined)
    assert.equal(damaged() + troubles.length, 0)
    assert.equal(await store.set('key', makeEntry(), 60_000, true), true)
    assert.notEqual(await store.get('key'), undefined)
  })

  it('reads no more of a foreign value than the largest entry could have, and tells', async () => {
    const { store, damaged } = await connected('large')
    // Made on the server: this process never has it.
    await raw.setrange('large#key', 50 * 1024 * 1024, 'x')
    const before = process.memoryUsage().rss
    for (let n = 0; n < 5; n++) assert.equal(await store.get('key'), undefined)
    assert.equal(damaged(), 5)
    const grown = (process.memoryUsage().rss - before) / 1024 / 1024
    assert.ok(grown < 30, `grown by ${grown.toFixed(0)} MiB`)
    assert.equal(await store.set('key', makeEntry({ body: 'whole' }), 60_000), true)
    assert.equal((await store.get('key'))?.entry.body, 'whole')
  })

  it('neither writes nor reads what is larger than bodies may be', async () => {
    const { store } = await connected('limit')
    const body = Buffer.alloc(3 * 1024 * 1024, 'x')
    assert.equal(await store.set('key', makeEntry({ body }), 60_000), false)
    assert.equal(await raw.exists('limit#key'), 0)
    store.acceptBodies(body.length)
    assert.equal(await store.set('key', makeEntry({ body }), 60_000), true)
    assert.deepEqual((await store.get('key'))?.entry.body, body)
    const { store: smaller, damaged } = await connected('limit')
    assert.equal(await smaller.get('key'), undefined)
    assert.equal(damaged(), 1)
  })

  it('finds nothing in an entry that was damaged where it lies, or copied from another key', async () => {
    const { store, damaged } = await connected('damage')
    await store.set('a', makeEntry({ body: 'hello' }), 60_000)
    await raw.copy('damage#a', 'damage#b')
    assert.equal(await store.get('b'), undefined)
    const length = await raw.strlen('damage#a')
    await raw.setrange('damage#a', length - 1, 'O')
    assert.equal(await store.get('a'), undefined)
    assert.equal(damaged(), 2)
  })

  it('says that it did not set, when Redis has no memory left, and does not reject', async () => {
    const { store, troubles } = await connected('full')
    await raw.config('SET', 'maxmemory', '1')
    try {
      assert.equal(await store.set('a', makeEntry(), 60_000), false)
      assert.match(troubles.join(), /^set: OOM /)
    } finally {
      await raw.config('SET', 'maxmemory', '0')
    }
    assert.equal(await store.set('a', makeEntry(), 60_000), true)
  })

  it("puts the client's own prefix in front of everything", async () => {
    const { store } = await connected('inner', { keyPrefix: 'app:' })
    await store.set('a', makeEntry({ body: 'prefixed' }), 60_000)
    assert.deepEqual(await raw.keys('*inner*'), ['app:inner#a'])
    assert.equal((await store.get('a'))?.entry.body!.toString(), 'prefixed')
    await store.delete('a')
    assert.equal(await raw.exists('app:inner:a'), 0)
  })

  it('keeps two namespaces apart', async () => {
    const [one, two] = [await connected('one'), await connected('two')]
    await one.store.set('a', makeEntry({ body: '1' }), 60_000)
    await two.store.set('a', makeEntry({ body: '2' }), 60_000)
    await one.store.delete('a')
    assert.equal((await two.store.get('a'))?.entry.body!.toString(), '2')
  })
})
