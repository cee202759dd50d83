// What the client does when Redis is away.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { TestContext } from 'node:test'

import { type CacheClient, WriteUnconfirmedError } from '../../src/index.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'
import { keysOf } from './contract-values.ts'

async function setUp(t: TestContext): Promise<[RedisServer, CacheClient, CacheClient]> {
  const server = await startRedis()
  t.after(() => server.stop())
  const options = { redis: server.url, namespace: 'shop', deadlineMs: 100 }
  return [server, await openClient(t, options), await openClient(t, options)]
}

describe('the cache client without Redis', () => {
  it('says that a write through was made and not confirmed, and tells the others later', async (t) => {
    const [server, one, two] = await setUp(t)
    await one.set('key', 'old')
    assert.equal(await two.get('key'), 'old')
    server.freeze()
    let source = 'old'
    const writing = one.writeThrough('key', () => (source = 'new'))
    const error = await inTime(
      'it settles',
      writing.catch((reason: unknown) => reason),
    )
    assert.ok(error instanceof WriteUnconfirmedError)
    assert.deepEqual(
      [error.code, error.statusCode, error.value, source],
      ['FST_RESPONSE_CACHE_WRITE_UNCONFIRMED', 503, 'new', 'new'],
    )
    assert.match(error.message, /^The value of 'key' was written, but Redis did not confirm/)
    assert.notEqual(await one.get('key'), 'old')
    server.thaw()
    await eventually('nobody has the old one', async () => (await two.get('key')) === undefined)
    await eventually('it can be made anew', async () => {
      await two.getOrSet('key', () => source)
      return (await one.get('key')) === 'new'
    })
  })

  it('passes on the error of a write, and says nothing of Redis', async (t) => {
    const [server, one] = await setUp(t)
    await server.kill()
    const failing = one.writeThrough('key', () => Promise.reject(new RangeError('no')))
    await assert.rejects(failing, RangeError)
  })

  it('finds nothing, stores nothing, makes everything, and never throws for it', async (t) => {
    const [server, one] = await setUp(t)
    const users = one.namespace('users')
    await users.set('a', 1)
    await server.kill()
    await eventually('the lease is over', () => !one.stats().log.verified)
    const double = users.wrap('double', (n: number) => 2 * n)
    const all = Promise.all([
      users.getMany(['a', 'b']),
      users.setMany(Object.entries({ a: 2, b: 2 })),
      users.touch('a', 60),
      users.ttl('a'),
      double(2),
      users.getOrSet('c', () => 3),
    ])
    assert.deepEqual(await inTime('all settle', all), [new Map(), false, false, undefined, 4, 3])
    const pending = { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING' }
    await assert.rejects(inTime('clear settles', users.clear()), pending)
    await assert.rejects(inTime('invalidate settles', double.invalidate(2)), pending)
    await server.restart()
    await eventually('it works again', () => users.set('a', 3))
    assert.equal(await users.get('a'), 3)
  })

  it('needs no more rights than are documented', async (t) => {
    const [server] = await setUp(t)
    const { documentedUser } = await import('../topology/acl.ts')
    const admin = server.client()
    await admin.call('ACL', ...documentedUser('limited', 'secret'))
    const redis = `redis://limited:secret@127.0.0.1:${server.port}`
    const cache = await openClient(t, { redis, namespace: 'shop' })
    const users = cache.namespace('users', { version: 1 })
    assert.equal(await users.setMany(Object.entries({ a: 1, b: 2 })), true)
    assert.equal(await users.touch('a', '2h'), true)
    assert.deepEqual(await keysOf(users), ['a', 'b'])
    assert.equal(await users.writeThrough('a', () => 3), 3)
    await users.clear()
    assert.deepEqual(await keysOf(users), [])
    assert.deepEqual(cache.stats().failures, {})
  })
})
