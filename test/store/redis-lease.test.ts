import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { FAILED, RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisLeases } from '../../src/store/redis-lease.ts'
import { eventually } from '../support/clock.ts'
import { type ClientOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { documentedUser } from '../topology/acl.ts'
import { commandCalls } from './command-calls.ts'

describe('RedisLeases', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
    await raw.ping()
  })
  after(() => server.stop())

  async function open(namespace: string, options: ClientOptions = {}): Promise<RedisLeases> {
    const client = server.client(options)
    await client.ping()
    const onTrouble = (): void => {}
    return new RedisLeases(
      new RedisGuard(client, { deadlineMs: 2000, breaker: false, onTrouble }),
      namespace,
    )
  }

  it('gives a lease to the first of many, until it ends by itself', async () => {
    const leases = await open('first')
    const taken = await Promise.all(
      Array.from({ length: 20 }, (_, n) => leases.take('key', `t${n}`, 100)),
    )
    assert.equal(taken.filter((state) => state === 'mine').length, 1)
    assert.equal(taken.filter((state) => state === 'held').length, 19)
    assert.equal(await leases.take('other', 'a', 1000), 'mine')
    await eventually('it has ended', async () => (await leases.take('key', 'b', 1000)) === 'mine')
  })

  it('is one key with a ttl, under the namespace and behind the keyPrefix of the client', async () => {
    const leases = await open('shop', { keyPrefix: 'app:' })
    for (const ttlMs of [1500.5, 2000]) {
      await leases.take(`r:${ttlMs}`, 'a', ttlMs)
      const left = await raw.pttl(`app:shop#l:r:${ttlMs}`)
      assert.ok(left > 0 && left <= 2000, `${left}`)
    }
    assert.equal(await leases.replace('r:2000', 'a', { mark: 'uncacheable', ttlMs: 500 }), true)
    assert.ok((await raw.pttl('app:shop#l:r:2000')) <= 500)
    assert.equal(await leases.replace('r:1500.5', 'a', {}), true)
    assert.equal(await raw.exists('app:shop#l:r:1500.5'), 0)
  })

  it('takes a free lease by one command', async () => {
    const leases = await open('count')
    const calls = await commandCalls(raw, () => leases.take('key', 'a', 1000))
    assert.deepEqual(calls, { set: 1 })
  })

  it('knows its own token again, as after a command that was sent twice', async () => {
    const leases = await open('twice')
    assert.equal(await leases.take('key', 'a', 1000), 'mine')
    assert.equal(await leases.take('key', 'a', 1000), 'mine')
    assert.equal(await leases.look('key', 'a'), 'mine')
    assert.equal(await leases.look('key', 'b'), 'held')
    assert.equal(await leases.look('none', 'a'), 'free')
  })

  it('removes, marks and prolongs only what its holder still has', async () => {
    const leases = await open('replace')
    await leases.take('key', 'a', 60_000)
    for (const end of [
      {},
      { mark: 'uncacheable', ttlMs: 1000 },
      { mark: 'mine', ttlMs: 1000 },
    ] as const) {
      assert.equal(await leases.replace('key', 'late', end), false)
      assert.equal(await leases.replace('none', 'late', end), false)
    }
    assert.equal(await leases.look('key', 'a'), 'mine')
    assert.ok((await raw.pttl('replace#l:key')) > 2000)
    assert.equal(await raw.exists('replace#l:none'), 0)

    assert.equal(await leases.replace('key', 'a', { mark: 'mine', ttlMs: 1000 }), true)
    assert.ok((await raw.pttl('replace#l:key')) <= 1000)
    assert.equal(await leases.look('key', 'b'), 'held')
    assert.equal(await leases.replace('key', 'a', {}), true)
    assert.equal(await leases.look('key', 'b'), 'free')
    assert.equal(await leases.replace('key', 'a', {}), false)
  })

  it('tells those who come what the last holder left', async () => {
    const leases = await open('marks')
    for (const mark of ['uncacheable', 'failed'] as const) {
      await leases.take(mark, 'a', 60_000)
      await leases.replace(mark, 'a', { mark, ttlMs: 60_000 })
      assert.equal(await leases.take(mark, 'b', 1000), mark)
      assert.equal(await leases.look(mark, 'a'), mark)
      // It is nobody's.
      assert.equal(await leases.replace(mark, 'a', {}), false)
    }
  })

  it('needs no other rights than those that are documented', async () => {
    await raw.call('ACL', ...documentedUser('limited', 'secret', 'acl'))
    const leases = await open('acl', { username: 'limited', password: 'secret' })
    assert.equal(await leases.take('key', 'a', 1000), 'mine')
    assert.equal(await leases.look('key', 'b'), 'held')
    assert.equal(await leases.replace('key', 'a', { mark: 'mine', ttlMs: 1000 }), true)
    assert.equal(await leases.replace('key', 'a', {}), true)
  })

  it('lets nobody wait for what is no lease', async () => {
    const leases = await open('garbage')
    await raw.set('garbage#l:text', 'mine')
    await raw.hset('garbage#l:hash', 'a', 'b')
    assert.equal(await leases.take('text', 'a', 1000), 'failed')
    assert.equal(await leases.take('hash', 'a', 1000), FAILED)
    assert.equal(await leases.replace('hash', 'a', {}), FAILED)
  })

  it('is no help, and does not throw, without Redis', async () => {
    const leases = await open('gone')
    await leases.take('key', 'a', 60_000)
    await server.kill()
    assert.equal(await leases.take('key', 'b', 1000), FAILED)
    assert.equal(await leases.look('key', 'b'), FAILED)
    assert.equal(await leases.replace('key', 'a', {}), FAILED)
  })
})
