// Values in Redis that only holders of the keys can read, and a database that says nothing of them.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { type EncryptionOptions, InvalidArgumentError } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { dump } from '../support/dump.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'
import { keysOf } from './contract-values.ts'

const secret = (): string => randomBytes(32).toString('base64')
const OLD = { id: 'old', secret: secret() }
const NEW = { id: 'new', secret: secret() }
const keys = (...each: (typeof OLD)[]): { encryption: EncryptionOptions } => ({
  encryption: { keys: each },
})

describe('values with encryption', () => {
  let server: RedisServer
  let raw: Redis
  let namespaces = 0
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())

  /** A namespace of its own for a test, without memory: what is read was in Redis. */
  function place(): { redis: string; namespace: string; memory: false; deadlineMs: number } {
    return { redis: server.url, namespace: `e${++namespaces}`, memory: false, deadlineMs: 5000 }
  }

  /** The one stored entry. */
  async function onlyEntry(namespace: string): Promise<string> {
    const names = await raw.keys(`${namespace}#e~*`)
    assert.equal(names.length, 1)
    return names[0]!
  }

  it('can be set, read, listed, touched and deleted in every namespace', async (t) => {
    const shop = await openClient(t, { ...place(), ...keys(NEW, OLD) })
    for (const cache of [shop, shop.namespace('users'), shop.namespace('users').namespace('in')]) {
      const long = 'long '.repeat(100)
      await cache.set('user:1', { name: 'Zoë' }, { ttl: 60, tags: ['users'] })
      await cache.set('user:2', undefined)
      await cache.set(long, 'x'.repeat(5000))
      assert.deepEqual(await cache.get('user:1'), { name: 'Zoë' })
      assert.equal(await cache.has('user:2'), true)
      assert.deepEqual(await keysOf(cache), [long, 'user:1', 'user:2'])
      assert.deepEqual(await keysOf(cache, 'user:'), ['user:1', 'user:2'])
      assert.equal(await cache.touch('user:1', 3600), true)
      assert.ok((await cache.ttl('user:1'))! > 3000)
      assert.deepEqual(await cache.get('user:1'), { name: 'Zoë' })
      await cache.delete(long)
      assert.deepEqual(await keysOf(cache), ['user:1', 'user:2'])
    }
    await shop.invalidateTags(['users'])
    assert.equal(await shop.get('user:1'), undefined)
    assert.equal(await shop.namespace('users').get('user:1'), undefined)
    assert.deepEqual(shop.stats().failures, {})
  })

  it('leave nothing in the database from which anything of them could be read', async (t) => {
    const where = place()
    const shop = await openClient(t, { ...where, ...keys(NEW, OLD) })
    const users = shop.namespace('NAMESPACEMARK', { version: 'VERSIONMARK' })
    await shop.set('KEYMARK', { text: 'BODYMARK' }, { tags: ['TAGMARK'] })
    await shop.set(`KEYMARK${'k'.repeat(500)}`, 'BODYMARK')
    await users.set('KEYMARK', 'BODYMARK', { tags: [`TAGMARK${'t'.repeat(500)}`] })
    await shop.getOrSet('KEYMARK in a fleet', () => 'BODYMARK', { coalesce: { fleet: true } })
    await shop.invalidateTags(['TAGMARK other'])
    await shop.invalidateUrl('/URLMARK?QUERYMARK=1')
    await shop.invalidateRoute('/ROUTEMARK/:id')
    await users.clear()
    await shop.delete('KEYMARK deleted')
    const all = await dump(raw)
    assert.ok(all.includes(`{${where.namespace}}:log`), 'the dump has the log')
    const marks = all.match(/[A-Z]+MARK/g)
    assert.equal(marks, null)
  })

  it('leave their keys in no lease either, while one process runs for all', async (t) => {
    const shop = await openClient(t, { ...place(), ...keys(NEW) })
    let leases = ''
    const factory = async (): Promise<number> => {
      leases = await dump(raw)
      return 1
    }
    await shop.getOrSet('KEYMARK', factory, { coalesce: { fleet: true } })
    assert.match(leases, /#l~/)
    assert.ok(!leases.includes('KEYMARK'))
  })

  it('are misses, and counted, when they were damaged, swapped, or are not encrypted', async (t) => {
    const where = place()
    const shop = await openClient(t, { ...where, ...keys(NEW) })
    await shop.set('a', 'value of a')
    const nameOfA = await onlyEntry(where.namespace)
    const a = (await raw.getBuffer(nameOfA))!
    await shop.set('b', 'value of b')
    const nameOfB = (await raw.keys(`${where.namespace}#e~*`)).find((name) => name !== nameOfA)!
    const b = (await raw.getBuffer(nameOfB))!
    const plain = await openClient(t, { ...where, namespace: 'plain' })
    await plain.set('a', 'value of a')
    const flipped = Buffer.from(a)
    flipped[flipped.length - 1]! ^= 1
    const bad = [
      b,
      flipped,
      a.subarray(0, -1),
      (await raw.getBuffer('plain#d:a'))!,
      Buffer.from('x'),
    ]
    for (const [at, bytes] of bad.entries()) {
      await raw.set(nameOfA, bytes)
      assert.equal(await shop.get('a'), undefined)
      assert.equal(shop.stats().failures['decrypt'], at + 1)
      assert.deepEqual(await keysOf(shop), at === 1 || at === 2 ? ['a', 'b'] : ['b'])
    }
    await raw.set(nameOfA, a)
    assert.equal(await shop.get('a'), 'value of a')
    await shop.set('a', 'another')
    assert.equal(await shop.get('a'), 'another')
  })

  it('are not taken for values by a process without keys', async (t) => {
    const where = place()
    const shop = await openClient(t, { ...where, ...keys(NEW) })
    const plain = await openClient(t, where)
    await shop.set('a', 1)
    assert.equal(await plain.get('a'), undefined)
    assert.deepEqual(await keysOf(plain), [])
    await raw.set(
      `${where.namespace}#d:a`,
      (await raw.getBuffer(await onlyEntry(where.namespace)))!,
    )
    assert.equal(await plain.get('a'), undefined)
    assert.deepEqual(plain.stats().failures, { decode: 1 })
  })

  it('a late writer does not replace what was computed after a later invalidation', async (t) => {
    const where = place()
    const shop = await openClient(t, { ...where, ...keys(NEW) })
    await shop.set('a', 'old')
    const name = await onlyEntry(where.namespace)
    const old = (await raw.getBuffer(name))!
    await shop.set('a', 'new')
    const young = (await raw.getBuffer(name))!
    assert.equal(old.toString('latin1', 12, 28), young.toString('latin1', 12, 28))
    assert.ok(old.toString('latin1', 28, 44) < young.toString('latin1', 28, 44))
    // An older one is found invalid, whoever has put it there.
    await raw.set(name, old)
    assert.equal(await shop.get('a'), undefined)
  })

  it('survive a rotation of the keys, and each step knows of the invalidations of the next', async (t) => {
    const where = place()
    const first = await openClient(t, { ...where, ...keys(OLD) })
    const both = await openClient(t, { ...where, ...keys(NEW, OLD) })
    await first.set('a', 1, { tags: ['t'] })
    assert.equal(await both.get('a'), 1)
    await both.set('b', 2, { tags: ['t'] })
    // Sealed with a key that the first does not have.
    assert.equal(await first.get('b'), undefined)
    assert.deepEqual(await keysOf(both), ['a', 'b'])

    const last = await openClient(t, { ...where, ...keys(NEW) })
    assert.equal(await last.get('a'), undefined)
    assert.deepEqual(await keysOf(last), [])
    await last.set('c', 3, { tags: ['t'] })
    assert.equal(await last.get('c'), 3)
    assert.equal(await both.get('c'), undefined)
  })

  for (const [what, here, there] of [
    ['before and in the middle of it', [OLD], [NEW, OLD]],
    ['in the middle of it and after', [NEW, OLD], [NEW]],
    ['in the order that was changed', [NEW, OLD], [OLD, NEW]],
  ] as const) {
    it(`an invalidation reaches memory across a rotation: ${what}`, async (t) => {
      const where = { ...place(), memory: {} }
      const one = await openClient(t, { ...where, ...keys(...here) })
      const two = await openClient(t, { ...where, ...keys(...there) })
      for (const [writer, other] of [
        [one, two],
        [two, one],
      ] as const) {
        await writer.set('tagged', 1, { tags: ['t'] })
        await writer.set('keyed', 1)
        await writer.namespace('in').set('inner', 1)
        await other.invalidateTags(['t'])
        await other.delete('keyed')
        await other.namespace('in').clear()
        await eventually('forgotten', async () => {
          const left = await Promise.all([
            writer.has('tagged'),
            writer.has('keyed'),
            writer.namespace('in').has('inner'),
          ])
          return !left.includes(true)
        })
      }
    })
  }

  it('are reached by patterns across a rotation', async (t) => {
    const where = { ...place(), memory: {} }
    const one = await openClient(t, { ...where, ...keys(OLD) })
    const two = await openClient(t, { ...where, ...keys(NEW, OLD) })
    for (const [writer, other] of [
      [one, two],
      [two, one],
    ] as const) {
      await writer.set('user:1', 1)
      await writer.set('other:1', 1)
      await writer.namespace('in').set('user:1', 1)
      await other.invalidatePattern('user:*')
      await eventually('forgotten', async () => !(await writer.has('user:1')))
      assert.equal(await writer.has('other:1'), true)
      assert.equal(await writer.namespace('in').has('user:1'), true)
      await other.namespace('in').invalidatePattern('us*')
      await eventually('forgotten', async () => !(await writer.namespace('in').has('user:1')))
    }
  })

  it('hear of invalidations by processes that do not encrypt yet', async (t) => {
    const where = { ...place(), memory: {} }
    const shop = await openClient(t, { ...where, ...keys(NEW) })
    const plain = await openClient(t, where)
    await shop.set('a', 1, { tags: ['t'] })
    assert.equal(await shop.get('a'), 1)
    await plain.invalidateTags(['t'])
    await eventually('forgotten', async () => !(await shop.has('a')))
  })

  describe('of a namespace with keys of its own', () => {
    it('are sealed while others are not, and their keys are nowhere to be read', async (t) => {
      const where = place()
      const shop = await openClient(t, where)
      const sessions = shop.namespace('sessions', keys(NEW))
      const inner = sessions.namespace('inner')
      await shop.set('readable', 'READABLE')
      for (const cache of [sessions, inner]) {
        await cache.set('KEYMARK', 'BODYMARK')
        await cache.delete('KEYMARK')
        await cache.set('KEYMARK', 'BODYMARK')
        assert.equal(await cache.get('KEYMARK'), 'BODYMARK')
        assert.deepEqual(await keysOf(cache), ['KEYMARK'])
        await cache.getOrSet('KEYMARK 2', () => 1, { coalesce: { fleet: true } })
      }
      assert.deepEqual(await keysOf(shop), ['readable'])
      const all = await dump(raw, `*${where.namespace}*`)
      assert.match(all, /READABLE/)
      assert.equal(all.match(/[A-Z]+MARK/g), null)
      await sessions.clear()
      assert.equal(await inner.get('KEYMARK'), undefined)
      assert.equal(await shop.get('readable'), 'READABLE')
    })

    it('are read by those who have the same keys, and are not those of the namespace without', async (t) => {
      const where = { ...place(), memory: {} }
      const [one, two] = await Promise.all([openClient(t, where), openClient(t, where)])
      const here = one.namespace('sessions', { version: 2, ...keys(OLD) })
      const there = two.namespace('sessions', { version: 2, ...keys(NEW, OLD) })
      await here.set('a', 1)
      assert.equal(await there.get('a'), 1)
      await there.delete('a')
      await eventually('forgotten', async () => !(await here.has('a')))
      await there.set('a', 2)
      assert.equal(await here.get('a'), undefined, 'sealed with the new key')
      assert.equal(await two.namespace('sessions', { version: 2 }).get('a'), undefined)
      // Opened again with the same keys it is the same.
      assert.equal(await two.namespace('sessions', { version: 2, ...keys(NEW, OLD) }).get('a'), 2)
    })

    it('are refused with other keys than before, and with keys that are none', async (t) => {
      const shop = await openClient(t, place())
      shop.namespace('sessions', keys(NEW))
      assert.throws(() => shop.namespace('sessions', keys(OLD)), InvalidArgumentError)
      assert.throws(
        () => shop.namespace('weak', { encryption: { keys: [{ id: 'a', secret: 'secret' }] } }),
        /namespace 'weak': encryption\.keys\[0\]\.secret must be at least 32 random/,
      )
    })

    it('are kept in memory as ever where there is no Redis', async (t) => {
      const sessions = (await openClient(t)).namespace('sessions', keys(NEW))
      await sessions.set('a', 1)
      assert.equal(await sessions.get('a'), 1)
      assert.deepEqual(await keysOf(sessions), ['a'])
      await sessions.delete('a')
      assert.equal(await sessions.get('a'), undefined)
    })
  })
})
