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
    assert.deepEqual(
      pending.take().map(({ tags }) => tags),
      [['a', 'b', 'c']],
    )
    assert.equal(pending.size, 0)
    assert.deepEqual(pending.take(), [])
  })

  it('needs no tags once everything is invalid', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a'], mode: 'expire' })
    pending.add({ tags: 'all', mode: 'purge' })
    pending.add({ tags: ['b'], mode: 'expire' })
    assert.equal(pending.size, 1)
    assert.deepEqual(
      pending.take().map(({ tags }) => tags),
      ['all'],
    )
  })

  it('is bounded: beyond many tags it invalidates everything', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: tagList(10_000), mode: 'expire' })
    assert.equal(pending.size, 10_000)
    pending.add({ tags: ['one more'], mode: 'expire' })
    assert.deepEqual(
      pending.take().map(({ tags }) => tags),
      ['all'],
    )
  })
})
