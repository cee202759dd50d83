import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { PendingInvalidations } from '../../src/invalidation/pending-invalidations.ts'

const tagList = (count: number, name = 't'): string[] =>
  Array.from({ length: count }, (_, n) => `${name}${n}`)

describe('PendingInvalidations', () => {
  it('gives back what was added, each tag once, and is empty then', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a', 'b'], mode: 'expire' })
    pending.add({ tags: ['b', 'c'], mode: 'purge' })
    assert.equal(pending.size, 3)
    assert.deepEqual(pending.begin()?.tags, ['a', 'b', 'c'])
    assert.equal(pending.size, 3, 'on its way is not yet there')
    pending.end(true)
    assert.equal(pending.size, 0)
    assert.equal(pending.begin(), undefined)
  })

  it('keeps what did not arrive, and what was added while the rest was on its way', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a'], mode: 'expire' })
    pending.begin()
    pending.add({ tags: ['a', 'b'], mode: 'expire' })
    pending.end(true)
    assert.deepEqual(pending.begin()?.tags, ['a', 'b'])
    pending.end(false)
    assert.deepEqual(pending.begin()?.tags, ['a', 'b'])
  })

  it('needs no tags once everything is invalid', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a'], mode: 'expire' })
    pending.add({ tags: 'all', mode: 'purge' })
    pending.add({ tags: ['b'], mode: 'expire' })
    assert.equal(pending.size, 1)
    assert.equal(pending.begin()?.tags, 'all')
  })

  it('is bounded: beyond many tags it invalidates everything', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: tagList(10_000), mode: 'expire' })
    assert.equal(pending.size, 10_000)
    pending.add({ tags: ['one more'], mode: 'expire' })
    assert.equal(pending.begin()?.tags, 'all')
  })
})
