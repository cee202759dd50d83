// The tier in Redis with packed bodies.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import type { Packing } from '../../src/frame-packing.ts'
import { Sealing } from '../../src/sealing.ts'
import { EntryFrames } from '../../src/store/entry-frames.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { type StoredEntry, encodeEntry } from '../../src/stored-response.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { storeContract } from './contract.ts'
import { type EntryChange, makeEntry } from './entries.ts'

const TEXT = 'Zürich, 東京 and 🦊, again and again. '.repeat(100)
const ALL: Packing = { algorithm: 'gzip', minBytes: 1 }

describe('RedisStore with packed bodies', () => {
  let server: RedisServer
  let raw: Redis
  let damaged = 0
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())

  async function open(
    namespace: string,
    packing?: Packing,
    sealing?: Sealing,
  ): Promise<RedisStore> {
    const client = server.client()
    const options = { deadlineMs: 2000, breaker: false, onTrouble: () => {} } as const
    const frames = new EntryFrames({ namespace, packing, sealing })
    const guard = new RedisGuard(client, options)
    await eventually('connected', () => client.status === 'ready')
    return new RedisStore(guard, namespace, () => damaged++, frames)
  }

  describe('does what every store does', () => {
    let store: RedisStore
    before(async () => {
      store = await open('contract', ALL)
    })
    storeContract(() => ({
      get: async (key) => (await store.get(key))?.entry,
      set: (key, entry) => store.set(key, entry, 60_000),
      delete: (key) => store.delete(key),
    }))
  })

  it('gives back texts as texts and bytes as bytes, sealed or not', async () => {
    const sealing = new Sealing('sealed', [{ id: 'k1', secret: randomBytes(32) }])
    for (const [namespace, seal] of [['open'], ['sealed', sealing]] as const) {
      const store = await open(namespace, ALL, seal)
      for (const body of [TEXT, Buffer.from(TEXT), '', Buffer.alloc(0), 'x', undefined]) {
        const entry = makeEntry({ body })
        await store.set('r:a', entry, 60_000)
        for (let n = 0; n < 2; n++) assert.deepEqual((await store.get('r:a'))?.entry, entry)
        const bytes = await raw.strlen(store.frames.nameOf('r:a'))
        assert.ok(bytes < 1000, `${bytes} bytes`)
      }
    }
  })

  it('packs what it puts in the place of another, too', async () => {
    const store = await open('replace', ALL)
    await store.set('d:a', makeEntry({ body: TEXT, status: 0 }), 60_000)
    const longer = (entry: StoredEntry): StoredEntry => ({
      ...entry,
      keepUntil: entry.keepUntil + 1,
    })
    const changed = await store.replace('d:a', Date.now, longer)
    assert.equal(changed?.body, TEXT)
    assert.deepEqual((await store.get('d:a'))?.entry, changed)
    assert.ok((await raw.strlen('replace#d:a')) < 1000)
  })

  const KEPT: [what: string, change: EntryChange][] = [
    ['shorter than the limit', { body: 'x'.repeat(1023) }],
    ['random', { body: randomBytes(3000) }],
    ['encoded', { body: TEXT, headers: [['content-encoding', 'br']] }],
    ['an image', { body: TEXT, headers: [['content-type', 'image/png']] }],
  ]
  for (const [what, change] of KEPT) {
    it(`stores a body as it is that is ${what}`, async () => {
      const store = await open('kept', { algorithm: 'gzip', minBytes: 1024 })
      const entry = makeEntry(change)
      await store.set('r:a', entry, 60_000)
      const stored = await raw.getBuffer('kept#r:a')
      assert.deepEqual(stored, Buffer.from(encodeEntry('kept#r:a', entry)))
    })
  }

  it('reads what was packed although it packs nothing itself, and the other way round', async () => {
    const [packing, plain] = [await open('both', ALL), await open('both')]
    await packing.set('r:a', makeEntry({ body: TEXT }), 60_000)
    assert.equal((await plain.get('r:a'))?.entry.body, TEXT)
    await plain.set('r:b', makeEntry({ body: TEXT }), 60_000)
    assert.equal((await packing.get('r:b'))?.entry.body, TEXT)
  })

  it('finds nothing where a byte of a packed entry is another, or its body cannot be unpacked', async () => {
    const store = await open('bad', ALL)
    await store.set('r:a', makeEntry({ body: TEXT }), 60_000)
    const whole = (await raw.getBuffer('bad#r:a'))!
    damaged = 0
    let tried = 0
    for (let at = 0; at < whole.length; at += 5) {
      const flipped = Buffer.from(whole)
      flipped[at]! ^= 1
      await raw.set('bad#r:a', flipped)
      assert.equal(await store.get('r:a'), undefined, `byte ${at}`)
      assert.equal(damaged, ++tried)
    }
    for (const packed of ['', 'g00000010', 'z00000010rubbish', 'gffffffffrubbish']) {
      await raw.set('bad#r:a', encodeEntry('bad#r:a', makeEntry(), Buffer.from(packed)))
      assert.equal(await store.get('r:a'), undefined, packed)
      assert.equal(damaged, ++tried)
    }
    // With a right checksum, but for the other kind.
    const other = Buffer.from(encodeEntry('bad#r:a', makeEntry()))
    other.write('FRC3')
    await raw.set('bad#r:a', other)
    assert.equal(await store.get('r:a'), undefined)
  })

  it('gives what is being packed to those who ask meanwhile, and changes it when it is sent', async () => {
    const store = await open('meanwhile', ALL)
    const entry = makeEntry({ body: TEXT, status: 0 })
    const setting = store.set('d:a', entry, 60_000)
    assert.equal(await raw.exists('meanwhile#d:a'), 0)
    assert.deepEqual((await store.get('d:a'))?.entry, entry)
    const later = makeEntry({ body: `${TEXT}!`, seq: 2, status: 0 })
    const settingLater = store.set('d:a', later, 60_000)
    assert.deepEqual((await store.get('d:a'))?.entry, later)
    const touched = await store.replace('d:a', Date.now, (each) => ({ ...each, seq: 3 }))
    assert.equal(touched?.body, later.body)
    assert.deepEqual(await Promise.all([setting, settingLater]), [true, true])
    assert.deepEqual((await store.get('d:a'))?.entry, { ...later, seq: 3 })
    const again = store.set('d:a', makeEntry({ body: TEXT, seq: 4 }), 60_000)
    await store.delete('d:a')
    await again
    assert.equal(await raw.exists('meanwhile#d:a'), 0)
  })

  it('keeps the last of those with one position, however long each takes to pack', async () => {
    const store = await open('order', { algorithm: 'gzip', minBytes: 100 })
    const bodies = [TEXT.repeat(100), TEXT, 'short', TEXT.repeat(50), 'last']
    for (const last of bodies) {
      const written = [...bodies.filter((body) => body !== last), last].map((body) =>
        store.set('r:a', makeEntry({ body }), 60_000),
      )
      assert.equal((await store.get('r:a'))?.entry.body, last)
      await Promise.all(written)
      assert.equal((await store.get('r:a'))?.entry.body, last)
    }
  })

  it('does not store what nobody would unpack', async () => {
    const store = await open('large', ALL)
    assert.equal(await store.set('r:a', makeEntry({ body: 'x'.repeat(2 ** 21) }), 60_000), false)
    store.acceptBodies(2 ** 21)
    assert.equal(await store.set('r:a', makeEntry({ body: 'x'.repeat(2 ** 21) }), 60_000), true)
    assert.equal((await store.get('r:a'))?.entry.body!.length, 2 ** 21)
  })

  it('packs a bounded number of bytes at a time, and stores the rest as it is', async () => {
    const frames = new EntryFrames({ namespace: 'many', packing: ALL })
    const body = Buffer.alloc(10 * 1024 * 1024, 'x')
    const packing = Array.from({ length: 5 }, (_, n) => frames.pack(`r:${n}`, makeEntry({ body })))
    assert.deepEqual(
      packing.map((each) => each !== undefined),
      [true, true, true, false, false],
    )
    await Promise.all(packing)
    assert.ok(await frames.pack('r:again', makeEntry({ body })))
  })
})
