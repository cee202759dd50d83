import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'

import {
  type BufferBatch,
  type BufferOptions,
  BufferFullError,
  BufferUnconfirmedError,
  type CacheClient,
  ClosedError,
  InvalidArgumentError,
} from '../../src/index.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'

/** What a buffer is flushed to: each batch once. */
class Ledger {
  readonly counts = new Map<string, number>()
  readonly values = new Map<string, unknown>()
  readonly ids: string[] = []
  failures = 0

  readonly flush: BufferOptions['flush'] = (batch: BufferBatch, { id }) => {
    if (this.failures > 0) {
      this.failures--
      this.ids.push(`failed ${id}`)
      throw new Error('the database is away')
    }
    this.ids.push(id)
    for (const [field, by] of batch.increments) {
      this.counts.set(field, (this.counts.get(field) ?? 0) + by)
    }
    for (const [field, value] of batch.values) this.values.set(field, value)
  }
}

const NEVER_MS = 2 ** 31 - 1

function buffersContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('flush the sums and the last values, once', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: NEVER_MS })
    await Promise.all([views.increment('a'), views.increment('a', 5), views.increment('b', -2)])
    await views.set('a', { last: 1 })
    await views.set('a', { last: 2 })
    await views.set('odd', null)
    await views.flush()
    assert.deepEqual(Object.fromEntries(ledger.counts), { a: 6, b: -2 })
    assert.deepEqual(Object.fromEntries(ledger.values), { a: { last: 2 }, odd: null })
    await views.flush()
    assert.equal(ledger.ids.length, 1, 'nothing is no batch')
    await views.increment('a')
    await views.flush()
    assert.equal(ledger.counts.get('a'), 7)
    assert.equal(new Set(ledger.ids).size, 2)
  })

  it('flush by themselves, at intervals', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: 20 })
    for (let n = 1; n <= 3; n++) {
      await views.increment('a')
      await eventually('it is flushed', () => ledger.counts.get('a') === n)
    }
  })

  it('flush at once when as many fields wait as may', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: NEVER_MS, max: 3 })
    for (const field of ['a', 'b', 'c']) await views.increment(field)
    await eventually('it is flushed', () => ledger.counts.size === 3)
  })

  it('bring a batch that failed again under the same id, before anything else', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: NEVER_MS })
    ledger.failures = 2
    await views.increment('a')
    await assert.rejects(views.flush(), /the database is away/)
    await views.increment('a', 10)
    await assert.rejects(views.flush(), /the database is away/)
    await views.flush()
    const [first, second, third, fourth] = ledger.ids
    assert.equal(first, second)
    assert.equal(first, `failed ${third}`)
    assert.notEqual(third, fourth)
    assert.equal(ledger.counts.get('a'), 11)
    assert.equal(cache.stats().failures['buffer.flush'], 2)
  })

  it('go on by themselves when what they are flushed to is back', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: 10 })
    ledger.failures = 3
    await views.increment('a')
    await eventually('it is flushed', () => ledger.counts.get('a') === 1)
  })

  it('let writes wait for room, and refuse more than may wait', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    let isAway = true
    const flush: BufferOptions['flush'] = (batch, context) => {
      if (isAway) throw new Error('away')
      return ledger.flush(batch, context)
    }
    const views = cache.buffer('views', { flush, everyMs: 10, max: 2 })
    let [sent, full] = [0, 0]
    const waiting: Promise<unknown>[] = []
    for (let n = 0; full === 0; n++) {
      assert.ok(n < 100)
      const written = views.increment(`${n}`)
      waiting.push(written.catch((error) => assert.ok(error instanceof BufferFullError)))
      // Whatever the server makes of it meanwhile.
      await Promise.race([written, new Promise((resolve) => setTimeout(resolve, 50))]).then(
        () => sent++,
        () => full++,
      )
    }
    assert.ok(sent >= 6, `${sent} have room: a batch, twice as much behind it, and what waits here`)
    isAway = false
    await eventually('all is flushed', () => ledger.counts.size === sent)
    await Promise.all(waiting)
  })

  it('refuse what cannot be meant', async (t) => {
    const cache = await open(t)
    const flush = (): void => {}
    const wrong: [unknown, unknown, RegExp][] = [
      ['', { flush }, /1 to 1024 characters/],
      ['a', {}, /needs flush/],
      ['a', undefined, /needs flush/],
      ['a', { flush, every: 5 }, /'every' is not an option/],
      ['a', { flush, everyMs: 1 }, /everyMs of the buffer 'a' must be a whole number from 10/],
      ['a', { flush, max: 0 }, /max of the buffer 'a'/],
    ]
    for (const [name, options, message] of wrong) {
      assert.throws(
        () => cache.buffer(name as string, options as BufferOptions),
        (error) => error instanceof InvalidArgumentError && message.test(error.message),
      )
    }
    const views = cache.buffer('a', { flush })
    assert.throws(() => cache.buffer('a', { flush }), /is open already/)
    assert.throws(() => views.increment('a', 0.5), /whole number/)
    assert.throws(() => views.increment(5 as unknown as string), /well-formed text/)
    assert.throws(() => views.set('a', undefined), /undefined/)
    assert.throws(() => views.set('a', new Date()), /is a Date/)
  })

  it('flush what there is when the cache closes, in bounded time, and take nothing after that', async (t) => {
    const cache = await open(t)
    const ledger = new Ledger()
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: NEVER_MS })
    let signal: AbortSignal | undefined
    const stuck = cache.buffer('stuck', {
      flush: (_batch, context) => {
        signal = context.signal
        return new Promise(() => {})
      },
    })
    void views.increment('a')
    void stuck.increment('a')
    await inTime('the close', cache.close())
    assert.equal(ledger.counts.get('a'), 1)
    assert.equal(signal?.aborted, true)
    await assert.rejects(views.increment('a'), ClosedError)
    await assert.rejects(views.flush(), ClosedError)
    assert.throws(() => cache.buffer('b', { flush: ledger.flush }), ClosedError)
  })
}

describe('buffers in memory', () => {
  buffersContract((t) => openClient(t))
})

describe('buffers in Redis', () => {
  let server: RedisServer
  let namespaces = 0
  before(async () => (server = await startRedis()))
  after(() => server.stop())
  const options = (): { redis: string; namespace: string } => ({
    redis: server.url,
    namespace: `buffers${namespaces}`,
  })
  function open(t: TestContext): Promise<CacheClient> {
    namespaces++
    return openClient(t, options())
  }
  buffersContract(open)

  it('are one for all processes, and flushed by one of them at a time', async (t) => {
    const ledger = new Ledger()
    let flushing = 0
    const flush: BufferOptions['flush'] = async (batch, context) => {
      assert.equal(++flushing, 1)
      await new Promise((resolve) => setTimeout(resolve, 5))
      await ledger.flush(batch, context)
      flushing--
    }
    const clients = [await open(t), await openClient(t, options()), await openClient(t, options())]
    const buffers = clients.map((cache) => cache.buffer('views', { flush, everyMs: 10 }))
    for (let n = 0; n < 50; n++) {
      await Promise.all(buffers.map((views) => views.increment('a')))
    }
    await Promise.all(buffers.map((views) => views.flush()))
    assert.equal(ledger.counts.get('a'), 150)
    assert.equal(new Set(ledger.ids).size, ledger.ids.length)
  })

  it('leave to other processes what one could not flush', async (t) => {
    const ledger = new Ledger()
    const one = await open(t)
    const stuck = one.buffer('views', { flush: () => new Promise(() => {}), everyMs: NEVER_MS })
    await stuck.set('a', 1)
    await stuck.increment('a', 3)
    await one.close()
    const two = await openClient(t, options())
    two.buffer('views', { flush: ledger.flush, everyMs: 20 })
    await eventually('it is flushed', () => ledger.counts.get('a') === 3)
    assert.equal(ledger.values.get('a'), 1)
  })

  it('have a ttl on every key, whatever the name', async (t) => {
    const cache = await open(t)
    const raw = server.client()
    const flush = (): never => {
      throw new Error('away')
    }
    for (const name of ['a', '{a}', '}', 'x'.repeat(1000)]) {
      const views = cache.buffer(name, { flush, everyMs: NEVER_MS })
      await views.increment('a')
      await assert.rejects(views.flush(), /away/)
      await views.increment('a')
    }
    const keys = await raw.keys(`${options().namespace}#b:*`)
    assert.equal(keys.length, 3 * 4, keys.join('\n'))
    for (const key of keys) assert.ok((await raw.ttl(key)) > 3600 * 23, key)
  })

  it('keep here what Redis does not confirm, say so in bounded time, and send it once it is back', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const ledger = new Ledger()
    const cache = await openClient(t, { redis: own.url, namespace: 'away' })
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: 20, max: 2 })
    await views.increment('a')
    own.freeze()
    for (let n = 0; n < 2; n++) {
      await assert.rejects(inTime('an answer', views.increment('a')), (error) => {
        assert.ok(error instanceof BufferUnconfirmedError)
        assert.equal(error.statusCode, 503)
        return true
      })
    }
    void views.increment('b')
    await assert.rejects(views.increment('c'), BufferFullError)
    own.thaw()
    await eventually('all is flushed', () => ledger.counts.get('b') === 1)
    await eventually('all is counted', () => ledger.counts.get('a') === 3)
    assert.deepEqual(Object.fromEntries(ledger.counts), { a: 3, b: 1 })
  })

  it('count once what a client sends twice because it lost the connection', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const ledger = new Ledger()
    const cache = await openClient(t, { redis: own.url, namespace: 'cut' })
    const views = cache.buffer('views', { flush: ledger.flush, everyMs: NEVER_MS })
    const raw = own.client()
    for (let n = 0; n < 20; n++) {
      const written = views.increment('a')
      await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await written.catch(() => {})
    }
    await eventually('it flushes again', () =>
      views.flush().then(
        () => true,
        () => false,
      ),
    )
    assert.equal(ledger.counts.get('a'), 20)
  })

  it('say what was lost when the process closes while Redis is away', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const lost: string[] = []
    const cache = await openClient(t, {
      redis: own.url,
      namespace: 'lost',
      onError: (error) => lost.push(error.message),
    })
    const views = cache.buffer('views', { flush: () => {}, everyMs: NEVER_MS })
    await own.kill()
    const written = assert.rejects(views.increment('a'), BufferUnconfirmedError)
    await inTime('the close', cache.close())
    await written
    assert.ok(
      lost.some((each) => /1 fields of 'views' unsent/.test(each)),
      lost.join('\n'),
    )
  })
})
