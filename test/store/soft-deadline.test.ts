// Who has something stale to go on with waits for Redis only a moment.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { MemoryStore } from '../../src/store/memory-store.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { type Lookup, TieredCache } from '../../src/store/tiered-cache.ts'
import type { StoredEntry } from '../../src/stored-response.ts'
import { TestClock, eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type EntryChange, makeEntry } from './entries.ts'
import { FakeLog } from './fake-log.ts'

const MIB = 1024 * 1024
const body = (lookup: Lookup | undefined): string | undefined =>
  lookup?.found?.entry.body?.toString()

describe('the soft deadline of TieredCache', () => {
  let server: RedisServer
  let client: Redis
  let namespaces = 0
  before(async () => {
    server = await startRedis()
    client = server.client()
    await client.ping()
  })
  after(() => server.stop())

  let log: FakeLog
  let clock: TestClock
  let redis: RedisStore
  let troubles: string[]
  beforeEach(() => {
    log = new FakeLog(1000)
    clock = new TestClock(Date.now())
    troubles = []
    // Whoever waited for this one would not come back in the time that a test has.
    const guard = new RedisGuard(client, {
      deadlineMs: 60_000,
      breaker: { failures: 1, resetMs: 60_000 },
      onTrouble: (operation, error) => troubles.push(`${operation}: ${error.message}`),
    })
    redis = new RedisStore(guard, `soft${namespaces++}`, () => {})
  })

  const process = (): TieredCache =>
    new TieredCache({
      memory: new MemoryStore({ maxBytes: MIB, maxEntryBytes: MIB }),
      redis,
      log,
      now: clock.now,
      softDeadlineMs: 20,
    })
  /** Fresh for a second, kept for a minute, and servable until then if not told otherwise. */
  const entry = (change: EntryChange = {}): StoredEntry => {
    const until = clock.now() + 60_000
    const windows = { staleWhileRevalidateUntil: until, keepUntil: until }
    return makeEntry({
      ...log.position,
      storedAt: clock.now(),
      ttlMs: 1000,
      ...windows,
      ...change,
    })
  }

  /** Two processes; what one has in memory is stale, and Redis has what the other stored since. */
  async function overtaken(change: EntryChange = {}): Promise<TieredCache> {
    const [one, two] = [process(), process()]
    await one.store('key', entry({ body: 'old', ...change }))
    clock.advance(2000)
    await two.store('key', entry({ body: 'new', ttlMs: 30_000 }))
    return one
  }

  /** What happens while the server is frozen; it goes on afterwards, come what may. */
  async function frozen(act: () => Promise<void>): Promise<void> {
    server.freeze()
    try {
      await inTime('something that needs no Redis', act())
    } finally {
      server.thaw()
    }
  }

  it('lets a lookup go on with what is stale and may be served', async () => {
    const tiers = await overtaken()
    await frozen(async () => {
      const lookup = await tiers.lookup('key', false)
      assert.equal(lookup.state, 'stale')
      assert.equal(body(lookup), 'old')
      assert.equal(body(tiers.peek('key', clock.now(), false)), 'old', 'nobody asks again soon')
    })
    assert.deepEqual(troubles, [])
  })

  it('does so after a soft invalidation', async () => {
    const tiers = process()
    await tiers.store('key', entry({ body: 'softened', ttlMs: 30_000 }))
    await log.invalidate({ tags: ['t:=a'], mode: 'soft' })
    await frozen(async () => {
      const lookup = await tiers.lookup('key', false)
      assert.equal(lookup.state, 'stale')
      assert.equal(body(lookup), 'softened')
    })
  })

  it('puts what answers late into memory for the next one', async () => {
    const tiers = await overtaken()
    await frozen(async () => {
      assert.equal(body(await tiers.lookup('key', false)), 'old')
    })
    await eventually('memory has it', () => {
      const lookup = tiers.peek('key', clock.now(), false)
      return lookup?.state === 'fresh' && body(lookup) === 'new'
    })
    assert.deepEqual(troubles, [])
  })

  it('keeps what has come into memory meanwhile, if that is better than what answers late', async () => {
    const tiers = await overtaken()
    await frozen(async () => {
      assert.equal(body(await tiers.lookup('key', false)), 'old')
      tiers.memory!.set('key', entry({ body: 'newest', ttlMs: 40_000 }))
    })
    await client.ping()
    assert.equal(body(tiers.peek('key', clock.now(), false)), 'newest')
  })

  it('does not bring back what was invalidated before the late answer', async () => {
    const tiers = await overtaken()
    await frozen(async () => {
      assert.equal(body(await tiers.lookup('key', false)), 'old')
      await log.invalidate({ tags: ['t:=a'], mode: 'purge' })
      assert.equal(tiers.peek('key', clock.now(), false), undefined)
      assert.equal(tiers.memory!.size, 0)
    })
    await client.ping()
    assert.equal(tiers.memory!.size, 0)
  })

  for (const [what, change, strict] of [
    ['in strict', {}, true],
    ['for what has no window', { staleWhileRevalidateUntil: 1 }, false],
    ['for what must be revalidated', { mustRevalidate: true }, false],
  ] as const) {
    it(`does not hold ${what}: the answer is waited for`, async () => {
      const tiers = await overtaken(change)
      let lookup!: Promise<Lookup>
      await frozen(async () => {
        let isOver = false
        lookup = tiers.lookup('key', strict).finally(() => (isOver = true))
        // Another one whose soft deadline began later, and has passed.
        const other = process()
        other.memory!.set('other', { ...entry({ body: 'other' }), freshUntil: clock.now() })
        assert.equal(body(await other.lookup('other', false)), 'other')
        assert.equal(isOver, false)
      })
      assert.equal(body(await lookup), 'new')
    })
  }

  it('does not pass when Redis answers at once', async () => {
    const tiers = await overtaken()
    assert.equal(body(await tiers.lookup('key', false)), 'new')
  })

  it('is not waited for where Redis is not asked', async () => {
    const tiers = await overtaken()
    const other = server.client()
    const guard = new RedisGuard(other, { deadlineMs: 60_000, breaker: false, onTrouble: () => {} })
    other.disconnect()
    const cut = new TieredCache({
      memory: tiers.memory,
      redis: new RedisStore(guard, 'cut', () => {}),
      log,
      now: clock.now,
      softDeadlineMs: 60_000,
    })
    assert.equal(body(await inTime('a lookup', cut.lookup('key', false))), 'old')
  })
})
