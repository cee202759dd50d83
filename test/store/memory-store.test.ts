import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { MemoryStore, entryBytes } from '../../src/store/memory-store.ts'
import { storeContract } from './contract.ts'
import { makeEntry } from './entries.ts'

const MIB = 1024 * 1024

describe('MemoryStore', () => {
  storeContract(() => {
    const store = new MemoryStore({ maxBytes: 64 * MIB, maxEntryBytes: 8 * MIB })
    return {
      get: (key) => Promise.resolve(store.get(key)?.entry),
      set: (key, entry) => Promise.resolve(store.set(key, entry)),
      delete: (key) => Promise.resolve(store.delete(key)),
    }
  })

  it('never holds more than its bytes, and counts body, head, tags and key of what it holds', () => {
    const write = fc.record({
      key: fc.stringMatching(/^[a-h]{1,3}$/),
      size: fc.nat({ max: 6000 }),
      tags: fc.array(fc.stringMatching(/^[a-z]{1,20}$/), { maxLength: 5 }),
      seq: fc.nat({ max: 3 }),
    })
    fc.assert(
      fc.property(fc.array(write, { maxLength: 60 }), (writes) => {
        const store = new MemoryStore({ maxBytes: 30_000, maxEntryBytes: 5000 })
        const keys = new Set<string>()
        for (const { key, size, tags, seq } of writes) {
          keys.add(key)
          store.set(key, makeEntry({ tags, seq, body: Buffer.alloc(size) }))
          const held = [...keys].map((name) => [name, store.get(name)?.entry] as const)
          const there = held.filter(([, entry]) => entry !== undefined)
          const bytes = there.map(([name, entry]) => entryBytes(name, entry!))
          assert.equal(store.size, there.length)
          assert.equal(
            store.bytes,
            bytes.reduce((sum, each) => sum + each, 0),
          )
          assert.ok(store.bytes <= 30_000)
          assert.ok(bytes.every((each) => each <= 5000))
        }
      }),
    )
  })

  it('counts every part of an entry', () => {
    const base = entryBytes('key', makeEntry())
    assert.equal(entryBytes('keys', makeEntry()), base + 1)
    assert.equal(entryBytes('key', makeEntry({ body: 'bodies' })), base + 2)
    assert.equal(entryBytes('key', makeEntry({ body: Buffer.alloc(6) })), base + 2)
    // One letter outside of Latin-1 makes an engine keep two bytes for each.
    assert.ok(entryBytes('key', makeEntry({ body: 'Ωdies' })) >= base + 6)
    assert.ok(entryBytes('key', makeEntry({ tags: ['t:=a', 't:=b'] })) > base + 4)
    const headers: [string, string][] = [...makeEntry().headers] as [string, string][]
    headers.push(['x-a', 'some value'])
    assert.ok(entryBytes('key', makeEntry({ headers })) > base + 13)
  })

  it('keeps nothing of a key whose new entry is too big, so that the old one is not served', () => {
    const store = new MemoryStore({ maxBytes: 30_000, maxEntryBytes: 5000 })
    store.set('a', makeEntry({ body: 'small' }))
    assert.equal(store.set('a', makeEntry({ body: Buffer.alloc(6000) })), undefined)
    assert.equal(store.get('a'), undefined)
    assert.equal(store.bytes, 0)
  })

  it('keeps no more of a buffer than the body, when the body is a window on a bigger one', () => {
    const store = new MemoryStore({ maxBytes: MIB, maxEntryBytes: MIB })
    const pool = Buffer.alloc(100_000, 'x')
    const kept = store.set('a', makeEntry({ body: pool.subarray(10, 30) }))!.entry.body as Buffer
    assert.equal(kept.buffer.byteLength, 20)
    assert.equal(kept.toString(), 'x'.repeat(20))
    pool.fill('y')
    assert.equal(store.get('a')!.entry.body!.toString(), 'x'.repeat(20))
    // What stands alone already is not copied.
    const alone = Buffer.allocUnsafeSlow(20)
    assert.equal(store.set('b', makeEntry({ body: alone }))!.entry.body, alone)
  })

  it('says what it kept: the newer entry that was there, or the new one', () => {
    const store = new MemoryStore({ maxBytes: MIB, maxEntryBytes: MIB })
    const newer = store.set('a', makeEntry({ seq: 2 }))
    assert.equal(store.set('a', makeEntry({ seq: 1 })), newer)
    assert.equal(store.get('a'), newer)
    assert.equal(newer?.tier, 'memory')
  })

  it('holds nothing after it was cleared', () => {
    const store = new MemoryStore({ maxBytes: MIB, maxEntryBytes: MIB })
    store.set('a', makeEntry())
    store.clear()
    assert.equal(store.get('a'), undefined)
    assert.equal(store.size + store.bytes, 0)
  })
})
