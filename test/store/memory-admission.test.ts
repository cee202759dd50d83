// What stays in a full memory, and what leaves it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { LocalLog } from '../../src/invalidation/local-log.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { RecentKeys } from '../../src/store/recent-keys.ts'
import { TieredCache } from '../../src/store/tiered-cache.ts'
import { makeEntry } from './entries.ts'

const SIZE = 4000
const ROOM = 400

function newStore(room = ROOM, largest = room / 8): MemoryStore {
  return new MemoryStore({ maxBytes: room * SIZE, maxEntryBytes: largest * SIZE })
}

/** As a request does: asks, and stores where nothing was found. */
function request(store: MemoryStore, key: string, size = SIZE): boolean {
  if (store.get(key) !== undefined) return true
  store.set(key, makeEntry(), size)
  return false
}

const names = (name: string, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `${name}${at}`)

/** The share of these keys that is in the store, without asking for them. */
function share(store: MemoryStore, keys: readonly string[]): number {
  const before = keys.filter((key) => store.delete(key)).length
  return before / keys.length
}

/** A store in which a hot set has been in use for a while. */
function warm(hot: readonly string[], store = newStore()): MemoryStore {
  for (let round = 0; round < 4; round++) for (const key of hot) request(store, key)
  return store
}

describe('a memory that is full', () => {
  const hot = names('hot', 300)

  it('keeps everything until it is full', () => {
    const store = newStore()
    const keys = names('key', ROOM)
    for (const key of keys) request(store, key)
    assert.equal(store.size, ROOM)
    assert.equal(share(store, keys), 1)
  })

  for (const percent of [90, 99]) {
    it(`keeps its hot set while ${percent} % of all requests are for URLs that nobody asks for again`, () => {
      const store = warm(hot)
      let misses = 0
      for (let n = 0; n < 30_000; n++) {
        if (n % 100 < percent) request(store, `once${n}`)
        else if (!request(store, hot[n % hot.length]!)) misses++
      }
      assert.equal(misses, 0)
    })
  }

  it('keeps it under a flood alone, and under a scan of far more than it can hold', () => {
    const store = warm(hot)
    for (let round = 0; round < 3; round++) {
      for (const key of names('scanned', 20 * ROOM)) request(store, key)
    }
    assert.equal(share(store, hot), 1)
  })

  it('keeps most of it while somebody asks for each of many URLs twice', () => {
    const store = warm(hot)
    let [asked, hits] = [0, 0]
    for (let n = 0; n < 30_000; n++) {
      if (n % 10 !== 0) request(store, `twice${n >> 1}`)
      else if (++asked && request(store, hot[(n / 10) % hot.length]!)) hits++
    }
    assert.ok(hits / asked > 0.5, `${hits} of ${asked}`)
  })

  it('keeps it however large the entries are that nobody asks for again', () => {
    const store = warm(hot)
    for (let n = 0; n < 2000; n++) request(store, `odd${n}`, SIZE * (1 + (n % (ROOM / 8))))
    assert.equal(share(store, hot), 1)
  })

  it('lets a large entry in only in the place of what is worth less together', () => {
    const store = warm(hot)
    for (let n = 0; n < 8; n++) request(store, 'large', SIZE * (ROOM / 8))
    for (const key of names('once', ROOM)) request(store, key)
    assert.ok(share(store, hot) >= 0.97)
  })

  it('has what was stored last, and finds it when it is asked for soon', () => {
    const store = warm(hot)
    for (const key of names('new', 2000)) {
      request(store, key)
      assert.equal(request(store, key), true)
    }
  })

  it('takes in what becomes hot, in the place of what was', () => {
    const store = warm(hot)
    const later = names('later', 300)
    for (let round = 0; round < 30; round++) {
      for (const key of later) request(store, key)
      for (const key of names(`once${round}-`, 100)) request(store, key)
    }
    const kept = share(store, later)
    assert.ok(kept > 0.9, `${kept}`)
  })

  it('takes in at once what was asked for before, not long ago', () => {
    const store = warm(hot)
    const again = names('again', 40)
    for (let round = 0; round < 3; round++) {
      for (const key of again) request(store, key)
      // More than the young line holds, and less than is remembered.
      for (const key of names(`once${round}-`, 200)) request(store, key)
    }
    assert.ok(share(store, again) > 0.5)
  })

  it('lets go first of what may not be used any more, however hot it was', () => {
    let now = 1000
    const store = newStore()
    const log = new LocalLog(1000)
    // It tells the store what is of no use any more.
    void new TieredCache({ memory: store, redis: undefined, log, now: () => now })
    const put = (key: string, ttlMs: number): unknown =>
      store.set(key, makeEntry({ ...log.position, storedAt: now, ttlMs }), SIZE)
    for (const key of [...hot, ...names('cold', ROOM)]) put(key, 1000)
    for (let round = 0; round < 10; round++) for (const key of hot) store.get(key)
    const fresh = names('fresh', 300)
    now += 2000
    for (const key of fresh) put(key, 1000)
    assert.ok(share(store, fresh) > 0.9)
  })

  it('keeps the place of an entry that is stored anew', () => {
    const store = warm(hot)
    for (let round = 0; round < 5; round++) {
      for (const key of hot) store.set(key, makeEntry({ seq: 2 + round }), SIZE)
      for (const key of names(`once${round}-`, ROOM)) request(store, key)
    }
    assert.equal(share(store, hot), 1)
  })

  it('makes room when an entry has grown, and keeps that one', () => {
    const store = warm(hot)
    for (const key of names('once', ROOM)) request(store, key)
    for (const key of hot.slice(0, 5)) {
      store.set(key, makeEntry({ seq: 9 }), SIZE * 50)
      assert.ok(store.bytes <= ROOM * SIZE)
      assert.notEqual(store.get(key), undefined)
    }
  })

  it('never holds more than its bytes and always the last entry, whatever the sizes', () => {
    const write = fc.record({ key: fc.nat({ max: 30 }), size: fc.integer({ min: 1, max: 10 }) })
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 200 }),
        fc.constantFrom(1, 2, 4, 10),
        (writes, largest) => {
          const store = newStore(10, largest)
          for (const { key, size } of writes) {
            if (key % 3 === 0) store.get(`${key}`)
            const kept = store.set(`${key}`, makeEntry(), size * SIZE)
            assert.ok(store.bytes <= 10 * SIZE)
            assert.equal(kept === undefined, size > largest)
            assert.equal(store.get(`${key}`), kept)
          }
          for (const key of names('', 31)) store.delete(key)
          assert.equal(store.bytes + store.size, 0)
        },
      ),
    )
  })
})

describe('a memory of which one entry may take more than half', () => {
  // Regression: a large one that was in use took the place of what was stored just then.
  it('has what was stored last, also where that was there before', () => {
    const store = newStore(10, 9)
    store.set('known', makeEntry(), 3 * SIZE)
    store.set('large', makeEntry(), 6 * SIZE)
    for (let use = 0; use < 3; use++) store.get('large')
    const latest = makeEntry()
    assert.ok(store.set('known', latest, 4.5 * SIZE))
    assert.equal(store.peek('known')?.entry, latest)
    assert.ok(store.bytes <= 10 * SIZE)
  })
})

describe('the keys that memory has let go of', () => {
  it('are known with the number of their uses, and forgotten when others come', () => {
    const recent = new RecentKeys(1000)
    assert.equal(recent.recall('a'), undefined)
    recent.remember('a', 3)
    assert.equal(recent.recall('a'), 3)
    recent.remember('a', 99)
    assert.equal(recent.recall('a'), 15)
    for (const key of names('other', 20_000)) recent.remember(key, 0)
    assert.equal(recent.recall('a'), undefined)
    assert.equal(recent.recall('other19999'), 0)
  })

  it('are not taken for others', () => {
    const recent = new RecentKeys(1000)
    for (const key of names('known', 1000)) recent.remember(key, 1)
    const known = names('unknown', 10_000).filter((key) => recent.recall(key) !== undefined)
    assert.ok(known.length <= 1, known.join())
  })
})
