// What every store does, whatever it is made of. Run by memory-store.test.ts and redis-store.test.ts.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { it } from 'node:test'
import fc from 'fast-check'

import type { StoredEntry } from '../../src/stored-response.ts'
import { OTHER_EPOCH, makeEntry } from './entries.ts'

/** One store, seen from outside. */
export interface StoreUnderTest {
  get(key: string): Promise<StoredEntry | undefined>
  set(key: string, entry: StoredEntry): Promise<unknown>
  delete(key: string): Promise<unknown>
}

export function storeContract(open: () => StoreUnderTest): void {
  const bodyAt = async (store: StoreUnderTest, key: string): Promise<string | undefined> =>
    (await store.get(key))?.body!.toString()

  it('gives back the whole entry that was put in', async () => {
    const store = open()
    const entry = makeEntry({
      tags: ['t:=ä', 'r:=/x'],
      status: 404,
      headers: [
        ['content-type', 'text/plain'],
        ['link', ['<a>', '<b>']],
      ],
      removed: ['x-powered-by'],
      body: randomBytes(1000),
    })
    await store.set('whole', entry)
    assert.deepEqual(await store.get('whole'), entry)
  })

  it('has nothing under a key that was never set, or was deleted', async () => {
    const store = open()
    assert.equal(await store.get('never'), undefined)
    await store.delete('never')
    await store.set('gone', makeEntry())
    await store.set('kept', makeEntry())
    await store.delete('gone')
    assert.equal(await store.get('gone'), undefined)
    assert.equal(await bodyAt(store, 'kept'), 'body')
  })

  it('keeps an empty body and a large one, a text as a text and bytes as bytes', async () => {
    const store = open()
    const large = randomBytes(1_000_000)
    await store.set('empty', makeEntry({ body: '' }))
    await store.set('large', makeEntry({ body: large }))
    await store.set('none', makeEntry({ body: Buffer.alloc(0) }))
    await store.set('nothing', makeEntry({ body: undefined }))
    assert.deepEqual(Object.keys((await store.get('nothing'))!), Object.keys(makeEntry()))
    assert.equal((await store.get('nothing'))?.body, undefined)
    assert.equal((await store.get('empty'))?.body, '')
    assert.deepEqual((await store.get('none'))?.body, Buffer.alloc(0))
    assert.deepEqual((await store.get('large'))?.body, large)
  })

  it('keeps keys apart, whatever they are made of', async () => {
    const store = open()
    const keys = ['a', 'A', 'a:', ':a', 'a*', '{a}', 'a b', 'ä', '\n', '', 'a'.repeat(1000)]
    for (const key of keys) await store.set(key, makeEntry({ body: `of ${key}` }))
    for (const key of keys) assert.equal(await bodyAt(store, key), `of ${key}`)
  })

  it('replaces an entry by one that was computed later, or at the same position', async () => {
    const store = open()
    await store.set('replaced', makeEntry({ seq: 1, body: 'old' }))
    await store.set('replaced', makeEntry({ seq: 2, body: 'new' }))
    assert.equal(await bodyAt(store, 'replaced'), 'new')
    await store.set('replaced', makeEntry({ seq: 2, body: 'again' }))
    assert.equal(await bodyAt(store, 'replaced'), 'again')
  })

  it('does not let a slow writer replace what was computed after a later invalidation', async () => {
    const store = open()
    await store.set('slow', makeEntry({ seq: 10, body: 'new' }))
    await store.set('slow', makeEntry({ seq: 9, body: 'old' }))
    assert.equal(await bodyAt(store, 'slow'), 'new')
  })

  it('compares positions as numbers', async () => {
    const store = open()
    const last = Number.MAX_SAFE_INTEGER
    for (const seq of [9, 10, 100, 99, last - 1, last, 100]) {
      await store.set('numbers', makeEntry({ seq, body: String(seq) }))
    }
    assert.equal(await bodyAt(store, 'numbers'), String(last))
  })

  it('replaces an entry of another epoch, whatever its position', async () => {
    const store = open()
    await store.set('epoch', makeEntry({ seq: 10, body: 'old' }))
    await store.set('epoch', makeEntry({ epoch: OTHER_EPOCH, seq: 1, body: 'new' }))
    assert.equal(await bodyAt(store, 'epoch'), 'new')
  })

  it('holds, after any writes in any order, the last of those with the highest position', async () => {
    const store = open()
    let round = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 8 }),
        async (seqs) => {
          const key = `order:${round++}`
          const writes = seqs.map((seq, at) =>
            store.set(key, makeEntry({ seq, body: `${seq}/${at}` })),
          )
          await Promise.all(writes)
          const highest = Math.max(...seqs)
          assert.equal(await bodyAt(store, key), `${highest}/${seqs.lastIndexOf(highest)}`)
        },
      ),
    )
  })
}
