import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import {
  type CacheClient,
  ClosedError,
  InvalidArgumentError,
  LockLostError,
  LockNotAcquiredError,
  RedisUnavailableError,
} from '../../src/index.ts'
import { inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openApp, openClient } from './apps.ts'

/** What holds a lock until it is told to let go. */
function holder(): { until: Promise<void>; letGo: () => void } {
  let letGo!: () => void
  const until = new Promise<void>((resolve) => (letGo = resolve))
  return { until, letGo }
}

/** Takes the lock, and resolves once it is held. */
async function hold(cache: CacheClient, name: string): Promise<() => Promise<void>> {
  const { until, letGo } = holder()
  const taken = holder()
  const held = cache.withLock(name, () => {
    taken.letGo()
    return until
  })
  await Promise.race([taken.until, held])
  return () => {
    letGo()
    return held
  }
}

function locksContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('resolves with what the function returns, and rejects with its error; the lock is free then', async (t) => {
    const cache = await open(t)
    assert.equal(await cache.withLock('a', () => 'done'), 'done')
    const broken = new Error('broken')
    await assert.rejects(
      cache.withLock('a', () => Promise.reject(broken)),
      (error) => error === broken,
    )
    await assert.rejects(
      cache.withLock('a', () => {
        throw broken
      }),
      (error) => error === broken,
    )
    assert.equal(await cache.withLock('a', async () => 'again'), 'again')
  })

  it('is refused with 409 while somebody has it, and nothing is run; others are free', async (t) => {
    const cache = await open(t)
    const letGo = await hold(cache, 'a')
    let ran = false
    const second = cache.withLock('a', () => (ran = true))
    await assert.rejects(second, (error) => {
      assert.ok(error instanceof LockNotAcquiredError)
      assert.equal(error.statusCode, 409)
      assert.equal(error.code, 'FST_RESPONSE_CACHE_LOCK_NOT_ACQUIRED')
      return true
    })
    await assert.rejects(
      cache.withLock('a', () => (ran = true), { wait: '20ms' }),
      LockNotAcquiredError,
    )
    assert.equal(ran, false)
    assert.equal(await cache.withLock('b', () => 1), 1)
    await letGo()
    assert.equal(await cache.withLock('a', () => 2), 2)
  })

  it('lets those who wait in one after the other, each with a higher number', async (t) => {
    const cache = await open(t)
    let inside = 0
    const numbers: number[] = []
    const work = (n: number): Promise<number> =>
      cache.withLock(
        'a',
        async ({ fencing, signal }) => {
          assert.equal(++inside, 1)
          numbers.push(fencing)
          await pause(1)
          assert.equal(signal.aborted, false)
          inside--
          return n
        },
        { wait: '30s' },
      )
    const results = await Promise.all(Array.from({ length: 10 }, (_, n) => work(n)))
    assert.deepEqual(results, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    assert.equal(numbers.length, 10)
    for (const [at, number] of numbers.entries()) {
      assert.ok(Number.isSafeInteger(number) && number > (numbers[at - 1] ?? 0), numbers.join())
    }
  })

  it('refuses what cannot be meant, and says what can', async (t) => {
    const cache = await open(t)
    const wrong: [unknown, unknown, unknown, RegExp][] = [
      ['', () => 1, {}, /non-empty/],
      [5, () => 1, {}, /string/],
      ['a\ud800', () => 1, {}, /well-formed/],
      ['x'.repeat(1025), () => 1, {}, /1024/],
      ['a', undefined, {}, /needs a function/],
      ['a', () => 1, { tll: 1 }, /'tll' is not an option; known are ttl, wait/],
      ['a', () => 1, { ttl: -1 }, /the ttl of the lock 'a' must be/],
      ['a', () => 1, { ttl: '50ms' }, /at least 100 ms/],
      ['a', () => 1, { ttl: '60d' }, /at most 2147483647 ms/],
      ['a', () => 1, { wait: 'soon' }, /the wait of the lock 'a' must be/],
    ]
    for (const [name, fn, options, message] of wrong) {
      await assert.rejects(
        cache.withLock(name as string, fn as () => void, options as object),
        (error) => error instanceof InvalidArgumentError && message.test(error.message),
      )
    }
  })

  it('is interrupted when the cache closes, and those who wait are sent away', async (t) => {
    const cache = await open(t)
    let reason: unknown
    const taken = holder()
    const held = cache.withLock(
      'a',
      ({ signal }) =>
        new Promise<string>((resolve) => {
          taken.letGo()
          signal.addEventListener('abort', () => {
            reason = signal.reason
            resolve('stopped')
          })
        }),
    )
    const waiting = cache.withLock('a', () => 'never', { wait: '1m' })
    const refused = assert.rejects(waiting, ClosedError)
    await taken.until
    await inTime('the close', cache.close())
    assert.equal(await held, 'stopped')
    assert.ok(reason instanceof ClosedError)
    await refused
    await assert.rejects(
      cache.withLock('a', () => 1),
      ClosedError,
    )
  })
}

describe('locks in memory', () => {
  locksContract((t) => openClient(t))

  it('are not waited for by more than 10,000', async (t) => {
    const cache = await openClient(t)
    const letGo = await hold(cache, 'a')
    const waiting = Array.from({ length: 10_000 }, () =>
      cache.withLock('a', () => 1, { wait: '1m' }),
    )
    await assert.rejects(
      cache.withLock('a', () => 1, { wait: '1m' }),
      LockNotAcquiredError,
    )
    await letGo()
    assert.equal((await Promise.all(waiting)).length, 10_000)
  })
})

describe('locks in Redis', () => {
  let server: RedisServer
  let namespaces = 0
  let namespace: string
  before(async () => (server = await startRedis()))
  after(() => server.stop())

  const options = (): { redis: string; namespace: string } => ({ redis: server.url, namespace })
  function open(t: TestContext): Promise<CacheClient> {
    namespace = `locks${++namespaces}`
    return openClient(t, options())
  }
  locksContract(open)

  it('are the same for all processes', async (t) => {
    const one = await open(t)
    const two = await openClient(t, options())
    const letGo = await hold(one, 'a')
    await assert.rejects(
      two.withLock('a', () => 1),
      LockNotAcquiredError,
    )
    const waiting = two.withLock('a', ({ fencing }) => fencing, { wait: '1m' })
    await letGo()
    const number = await waiting
    assert.ok((await one.withLock('a', ({ fencing }) => fencing)) > number)
  })

  it('outlive their ttl while the function runs, by renewal', async (t) => {
    const one = await open(t)
    const two = await openClient(t, options())
    await one.withLock(
      'a',
      async ({ signal }) => {
        const start = performance.now()
        while (performance.now() - start < 1500) {
          await assert.rejects(
            two.withLock('a', () => 1),
            LockNotAcquiredError,
          )
          await pause(50)
        }
        assert.equal(signal.aborted, false)
      },
      { ttl: 1 },
    )
  })

  it('abort the signal and reject when they are taken away; what the function made is in the error', async (t) => {
    const cache = await open(t)
    const raw = server.client()
    const lost = cache.withLock(
      'a',
      async ({ signal }) => {
        await raw.set(`${namespace}#x:{a}`, 'somebody else', 'PX', 60_000)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        assert.ok(signal.reason instanceof LockLostError)
        return 'late'
      },
      { ttl: '300ms' },
    )
    await assert.rejects(lost, (error) => {
      assert.ok(error instanceof LockLostError)
      assert.equal(error.value, 'late')
      assert.equal(error.statusCode, 503)
      return true
    })
    assert.equal(await raw.get(`${namespace}#x:{a}`), 'somebody else')
  })

  // Regression: no timer had run by then, and the loss was not noticed.
  it('are lost for who stood still for longer than the ttl', async (t) => {
    const one = await open(t)
    const two = await openClient(t, options())
    const work = one.withLock(
      'job',
      () => {
        const until = performance.now() + 150
        while (performance.now() < until);
        return 'made'
      },
      { ttl: 0.1 },
    )
    await assert.rejects(work, (error) => {
      assert.ok(error instanceof LockLostError)
      assert.equal(error.value, 'made')
      return true
    })
    assert.equal(await two.withLock('job', () => 'free'), 'free')
  })

  it('grow their number even where the counter was lost', async (t) => {
    const cache = await open(t)
    const first = await cache.withLock('a', ({ fencing }) => fencing)
    await server.client().flushall()
    assert.ok((await cache.withLock('a', ({ fencing }) => fencing)) > first)
    // As after a failover to a master whose clock is behind.
    await server.client().set(`${namespace}#x:{a}:n`, 9e15)
    assert.equal(await cache.withLock('a', ({ fencing }) => fencing), 9e15 + 1)
  })

  it('leave nothing without a ttl, whatever their names', async (t) => {
    const cache = await open(t)
    const raw = server.client()
    const names = ['a', '{a}', '}{', '{}', 'a b', 'ä', 'x'.repeat(1000)]
    const held = await Promise.all(names.map((name) => hold(cache, name)))
    const keys = await raw.keys(`${namespace}#x:*`)
    assert.equal(keys.length, 2 * names.length)
    for (const key of keys) assert.ok((await raw.pttl(key)) > 0, key)
    await Promise.all(held.map((letGo) => letGo()))
    const left = await raw.keys(`${namespace}#x:*`)
    assert.equal(left.length, names.length)
    for (const key of left) assert.match(key, /:n$/)
  })

  it('do not pretend when Redis is away: 503 in bounded time, and nothing is run', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const { cache } = await openApp(t, { redis: own.url, namespace: 'away', breaker: false })
    let ran = false
    for (const trouble of ['freeze', 'kill'] as const) {
      await own[trouble]()
      for (const wait of [0, '300ms']) {
        const tried = cache.withLock('a', () => (ran = true), { wait })
        await assert.rejects(inTime('an answer', tried), (error) => {
          assert.ok(error instanceof RedisUnavailableError, String(error))
          assert.equal(error.statusCode, 503)
          return true
        })
      }
    }
    assert.equal(ran, false)
  })

  it('abort the signal before the ttl is over when Redis stands still', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const { cache } = await openApp(t, { redis: own.url, namespace: 'frozen' })
    const lost = cache.withLock(
      'a',
      ({ signal }) => {
        own.freeze()
        return new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
      { ttl: '500ms' },
    )
    await assert.rejects(inTime('the loss', lost), LockLostError)
  })

  it('of work that goes on after the close run out by themselves', async (t) => {
    const cache = await open(t)
    const other = await openClient(t, options())
    const { until, letGo } = holder()
    const taken = holder()
    const held = cache.withLock(
      'a',
      () => {
        taken.letGo()
        return until
      },
      { ttl: '2s' },
    )
    await taken.until
    await inTime('the close', cache.close())
    await assert.rejects(
      other.withLock('a', () => 1),
      LockNotAcquiredError,
    )
    assert.equal(await other.withLock('a', () => 2, { wait: '30s' }), 2)
    letGo()
    await assert.rejects(held, LockLostError)
  })
})
