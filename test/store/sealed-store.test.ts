// The tier in Redis with sealed frames: what every store does, and what only the sealed one does.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { Sealing } from '../../src/sealing.ts'
import { EntryFrames } from '../../src/store/entry-frames.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { storeContract } from './contract.ts'
import { makeEntry } from './entries.ts'

describe('RedisStore with sealed frames', () => {
  let server: RedisServer
  let raw: Redis
  let store: RedisStore
  let unopened = 0
  let damaged = 0
  const sealing = new Sealing('shop', [{ id: 'k1', secret: randomBytes(32) }])
  const frames = new EntryFrames({ namespace: 'shop', sealing, onUnopened: () => unopened++ })
  before(async () => {
    server = await startRedis()
    raw = server.client()
    const options = { deadlineMs: 2000, breaker: false, onTrouble: () => {} } as const
    const client = server.client()
    store = new RedisStore(new RedisGuard(client, options), 'shop', () => damaged++, frames)
    await eventually('connected', () => client.status === 'ready')
  })
  after(() => server.stop())

  storeContract(() => ({
    get: async (key) => (await store.get(key))?.entry,
    set: (key, entry) => store.set(key, entry, 60_000),
    delete: (key) => store.delete(key),
  }))

  it('lets a later position stand and replaces an earlier one, which the script reads', async () => {
    const bodyOf = async (): Promise<unknown> => (await store.get('r:a'))?.entry.body
    await store.set('r:a', makeEntry({ seq: 10, body: 'ten' }), 60_000, true)
    await store.set('r:a', makeEntry({ seq: 9, body: 'nine' }), 60_000)
    assert.equal(await bodyOf(), 'ten')
    await store.set('r:a', makeEntry({ seq: 11, body: 'eleven' }), 60_000)
    assert.equal(await bodyOf(), 'eleven')
    await store.set('r:a', makeEntry({ epoch: 'f'.repeat(16), seq: 1, body: 'else' }), 60_000)
    assert.equal(await bodyOf(), 'else')
    assert.equal(unopened + damaged, 0)
  })

  it('replaces only the very frame that was looked at', async () => {
    await store.set('r:b', makeEntry({ body: 'same' }), 60_000)
    let looks = 0
    const changed = await store.replace('r:b', Date.now, (entry) => {
      looks++
      // Sealed again it is another frame, with the same in it.
      if (looks === 1) void store.set('r:b', makeEntry({ body: 'same' }), 60_000)
      return { ...entry, keepUntil: entry.keepUntil + 5000 }
    })
    assert.equal(looks, 2)
    assert.deepEqual((await store.get('r:b'))?.entry, changed)
  })

  it('takes a whole frame of a key with the same name of another kind for damaged', async () => {
    const name = frames.nameOf('r:c')
    for (const label of ['0000000Z', '0000ffff', '00000000']) {
      const head = Buffer.from(`${label}r:c and no frame`)
      await raw.set(name, sealing.seal(name, makeEntry(), { head, body: Buffer.alloc(0) }))
      const before = unopened
      assert.equal(await store.get('r:c'), undefined)
      assert.equal(unopened, before + 1)
      const bytes = (await raw.getBuffer(name))!
      assert.equal(frames.peek('r', name.slice('shop#'.length), bytes), undefined)
    }
    const head = Buffer.from('00000003r:cnot a frame')
    await raw.set(name, sealing.seal(name, makeEntry(), { head, body: Buffer.alloc(0) }))
    assert.equal(await store.get('r:c'), undefined)
    assert.equal(damaged, 1)
  })

  it('asks for no more of a head than there may be', () => {
    const name = frames.nameOf('d:a')
    const sealed = Buffer.from(frames.encode('d:a', name, makeEntry()))
    sealed.write('7fffffff', 4)
    assert.equal(frames.peek('d', name.slice('shop#'.length), sealed), undefined)
  })
})

describe('EntryFrames', () => {
  it('takes a bounded number of namespaces with a format of their own', () => {
    const frames = new EntryFrames({ namespace: 'shop' })
    const sealing = new Sealing('shop', [{ id: 'k1', secret: randomBytes(32) }])
    for (let at = 0; at < 10_000; at++) assert.ok(frames.setOwn(`n${at}`, { sealing }))
    assert.equal(frames.setOwn('more', { sealing }), false)
    assert.equal(frames.setOwn('n5', { sealing }), true)
    for (let at = 0; at < 2000; at++) {
      assert.match(frames.nameOf(`n:n${at}/in:key`), /^shop#e~/)
      assert.equal(frames.nameOf(`n:m${at}:key`), `shop#n:m${at}:key`)
    }
    assert.equal(frames.nameOf('d:key'), 'shop#d:key')
    assert.equal(frames.leaseNameOf('r:key'), 'shop#l:r:key')
    assert.match(frames.leaseNameOf('n:n1#digest'), /^shop#l~/)
  })
})
