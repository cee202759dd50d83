import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { MemoryStore } from '../../src/store/memory-store.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { type Lookup, TieredCache } from '../../src/store/tiered-cache.ts'
import type { StoredEntry } from '../../src/stored-response.ts'
import { TestClock } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { commandCalls } from './command-calls.ts'
import { type EntryChange, makeEntry } from './entries.ts'
import { FakeLog } from './fake-log.ts'

const MIB = 1024 * 1024
const newMemory = (): MemoryStore => new MemoryStore({ maxBytes: MIB, maxEntryBytes: MIB })
const body = (lookup: Lookup | undefined): string | undefined =>
  lookup?.found?.entry.body?.toString()

describe('TieredCache in memory alone', () => {
  let log: FakeLog
  let clock: TestClock
  let tiers: TieredCache
  beforeEach(() => {
    log = new FakeLog(1000)
    clock = new TestClock()
    tiers = new TieredCache({ memory: newMemory(), redis: undefined, log, now: clock.now })
  })
  const put = (change: EntryChange = {}): Promise<boolean> =>
    tiers.store('key', makeEntry({ ...log.position, storedAt: clock.now(), ...change }))

  it('answers at once, also in strict, because nobody else can know better', async () => {
    assert.deepEqual(tiers.peek('key', clock.now(), true), { found: undefined, state: 'none' })
    assert.equal(await put(), true)
    assert.equal(body(tiers.peek('key', clock.now(), true)), 'body')
    assert.equal(body(await tiers.lookup('key', true)), 'body')
  })

  it('uses an entry until its lifetime ends, and lets go of it then', async () => {
    await put({ ttlMs: 1000 })
    clock.advance(999)
    assert.equal(body(tiers.peek('key', clock.now(), false)), 'body')
    clock.advance(1)
    assert.deepEqual(tiers.peek('key', clock.now(), false), { found: undefined, state: 'gone' })
    assert.equal(tiers.memory?.size, 0)
  })

  it('does not use an entry from the future, where a clock that was set back would put it', async () => {
    await put({ ttlMs: 1000 })
    clock.advance(-3_600_000)
    assert.deepEqual(tiers.peek('key', clock.now(), false), { found: undefined, state: 'gone' })
  })

  it('does not use what was invalidated after it was computed', async () => {
    await put()
    await log.invalidate({ tags: ['t:=other'], mode: 'expire' })
    assert.equal(body(tiers.peek('key', clock.now(), false)), 'body')
    await log.invalidate({ tags: ['t:=a'], mode: 'purge' })
    assert.deepEqual(tiers.peek('key', clock.now(), false), { found: undefined, state: 'gone' })
  })

  it('does not use what was computed before an invalidation and stored after it', async () => {
    const before = log.position
    await log.invalidate({ tags: ['t:=a'], mode: 'expire' })
    await put(before)
    assert.equal(tiers.peek('key', clock.now(), false)?.state, 'expired')
    await put()
    assert.equal(body(tiers.peek('key', clock.now(), false)), 'body')
  })
})

describe('TieredCache over Redis', () => {
  let server: RedisServer
  let client: Redis
  let raw: Redis
  let namespaces = 0
  before(async () => {
    server = await startRedis()
    client = server.client()
    raw = server.client()
    await Promise.all([client.ping(), raw.ping()])
  })
  after(() => server.stop())

  let log: FakeLog
  let clock: TestClock
  let redis: RedisStore
  beforeEach(() => {
    log = new FakeLog(1000)
    clock = new TestClock(Date.now())
    const guard = new RedisGuard(client, {
      deadlineMs: 2000,
      breaker: false,
      onTrouble: () => {},
    })
    redis = new RedisStore(guard, `tiers${namespaces++}`, () => {})
  })

  /** Processes that share the Redis tier; each call is another process. */
  const process = (memory = true): TieredCache =>
    new TieredCache({ memory: memory ? newMemory() : undefined, redis, log, now: clock.now })
  const entry = (change: EntryChange = {}): StoredEntry =>
    makeEntry({ ...log.position, storedAt: clock.now(), ...change })

  it('finds in Redis what another process stored, and then in memory', async () => {
    const [one, two] = [process(), process()]
    assert.equal(await one.store('key', entry()), true)
    assert.equal(two.peek('key', clock.now(), false), undefined)
    const first = await two.lookup('key', false)
    assert.equal(first.found?.tier, 'redis')
    const calls = await commandCalls(raw, () => {
      assert.equal(body(two.peek('key', clock.now(), false)), 'body')
      assert.equal(body(one.peek('key', clock.now(), false)), 'body')
      return Promise.resolve()
    })
    assert.deepEqual(calls, {})
  })

  it('asks Redis each time when it has no memory', async () => {
    const tiers = process(false)
    await tiers.store('key', entry())
    assert.equal(tiers.peek('key', clock.now(), false), undefined)
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 3; n++) assert.equal(body(await tiers.lookup('key', false)), 'body')
    })
    assert.deepEqual(calls, { getrange: 3 })
  })

  it('keeps an entry in Redis for as long as it is fresh', async () => {
    await process().store('key', entry({ ttlMs: 5000 }))
    const [name] = (await raw.keys(`tiers${namespaces - 1}#*`)) as [string]
    const left = await raw.pttl(name)
    assert.ok(left > 0 && left <= 5000, `${left} ms`)
  })

  it('keeps the later of two stale entries, where it could not be written to Redis', async () => {
    const tiers = process()
    const keepUntil = clock.now() + 60_000
    await tiers.store('key', entry({ ttlMs: 1000, keepUntil, body: 'earlier' }))
    clock.advance(500)
    tiers.memory!.set('key', entry({ ttlMs: 1000, keepUntil, body: 'later' }))
    clock.advance(5000)
    const lookup = await tiers.lookup('key', false)
    assert.equal(lookup.state, 'stale')
    assert.equal(body(lookup), 'later')
    assert.equal(body(tiers.peek('key', clock.now(), false)), 'later')
  })

  it('does not use what Redis still has when its lifetime has ended here', async () => {
    const [one, two] = [process(), process()]
    await one.store('key', entry({ ttlMs: 5000 }))
    clock.advance(5000)
    assert.equal((await two.lookup('key', false)).found, undefined)
    assert.equal(two.memory?.size, 0)
  })

  it('looks in Redis for a newer entry when the one in memory is no longer usable', async () => {
    const [one, two] = [process(), process()]
    await one.store('key', entry({ body: 'old' }))
    assert.equal(body(await two.lookup('key', false)), 'old')
    await log.invalidate({ tags: ['t:=a'], mode: 'expire' })
    assert.equal((await two.lookup('key', false)).state, 'expired')
    await one.store('key', entry({ body: 'new' }))
    assert.equal(two.peek('key', clock.now(), false), undefined)
    assert.equal(body(await two.lookup('key', false)), 'new')
    assert.equal(body(two.peek('key', clock.now(), false)), 'new')
  })

  it('asks the log before it uses anything, in strict', async () => {
    const tiers = process()
    await tiers.store('key', entry())
    assert.equal(tiers.peek('key', clock.now(), true), undefined)
    assert.equal(body(await tiers.lookup('key', true)), 'body')
    assert.equal(log.questions, 1)
    log.confirms = false
    assert.deepEqual(await tiers.lookup('key', true), { found: undefined, state: 'gone' })
  })

  it('uses nothing that turns out to be invalid while the log is asked', async () => {
    for (const memory of [true, false]) {
      const tiers = process(memory)
      await tiers.store('key', entry())
      log.whileConfirming = () => void log.invalidate({ tags: ['t:=a'], mode: 'expire' })
      assert.equal((await tiers.lookup('key', true)).state, 'expired')
    }
  })

  it('asks the log when the lease has run out, and uses nothing that cannot be confirmed', async () => {
    for (const memory of [true, false]) {
      const tiers = process(memory)
      await tiers.store('key', entry())
      log.leased = false
      log.confirms = false
      assert.equal(tiers.peek('key', clock.now(), false), undefined)
      assert.equal((await tiers.lookup('key', false)).found, undefined)
      log.confirms = true
      assert.equal(body(await tiers.lookup('key', false)), 'body')
    }
  })

  it('uses nothing when the lease ran out while Redis was answering', async () => {
    const tiers = process(false)
    await tiers.store('key', entry())
    const lookup = tiers.lookup('key', false)
    log.leased = false
    assert.equal((await lookup).found, undefined)
  })

  it('does not serve from memory an entry of a log that began anew', async () => {
    const tiers = process()
    await tiers.store('key', entry())
    log.position = { epoch: 'another epoch 00', seq: 0 }
    await log.invalidate({ tags: ['t:=whatever'], mode: 'expire' })
    assert.equal((await tiers.lookup('key', false)).found, undefined)
  })
})
