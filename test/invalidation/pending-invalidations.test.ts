import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import type { Invalidation, InvalidationMode } from '../../src/invalidation/log.ts'
import { PendingInvalidations } from '../../src/invalidation/pending-invalidations.ts'

const tagList = (count: number, name = 't'): string[] =>
  Array.from({ length: count }, (_, n) => `${name}${n}`)

const EVERYTHING: Invalidation[] = [{ tags: 'all', mode: 'purge' }]

describe('PendingInvalidations', () => {
  it('gives back what was added, each tag once in its hardest mode, and is empty then', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a', 'b', 's'], mode: 'expire' })
    pending.add({ tags: ['b', 'c'], mode: 'purge' })
    pending.add({ tags: ['c', 'd', 's'], mode: 'soft' })
    assert.equal(pending.size, 5)
    const all: Invalidation[] = [
      { tags: ['d'], mode: 'soft' },
      { tags: ['a', 's'], mode: 'expire' },
      { tags: ['b', 'c'], mode: 'purge' },
    ]
    assert.deepEqual(pending.begin(), all)
    assert.equal(pending.size, 5, 'on its way is not yet there')
    assert.deepEqual(pending.all(), all)
    pending.end(true)
    assert.equal(pending.size, 0)
    assert.deepEqual(pending.begin(), [])
  })

  it('says of entries at any position what is left of them, until it has arrived', () => {
    const pending = new PendingInvalidations()
    const verdict = (...tags: string[]): string =>
      pending.verdict({ epoch: 'e', seq: Number.MAX_SAFE_INTEGER, tags })
    assert.equal(verdict('a'), 'valid')
    pending.add({ tags: ['a'], mode: 'soft' })
    pending.add({ tags: ['b'], mode: 'expire' })
    pending.begin()
    pending.add({ tags: ['c'], mode: 'purge' })
    pending.add({ tags: ['c'], mode: 'soft' })
    const [a, b, c] = [verdict('a', 'x'), verdict('a', 'b'), verdict('c')]
    assert.deepEqual([a, b, c, verdict('x')], ['softened', 'expired', 'purged', 'valid'])
    pending.end(false)
    assert.equal(verdict('b'), 'expired')
    pending.begin()
    pending.add({ tags: ['d'], mode: 'expire' })
    pending.end(true)
    assert.deepEqual([verdict('a', 'b', 'c'), verdict('d')], ['valid', 'expired'])
    pending.add({ tags: 'all', mode: 'purge' })
    assert.equal(verdict('x'), 'purged')
  })

  it('keeps what did not arrive, and what was added while the rest was on its way', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a'], mode: 'expire' })
    pending.begin()
    pending.add({ tags: ['a', 'b'], mode: 'soft' })
    assert.deepEqual(pending.all(), [
      { tags: ['a', 'b'], mode: 'soft' },
      { tags: ['a'], mode: 'expire' },
    ])
    pending.end(true)
    assert.deepEqual(pending.begin(), [{ tags: ['a', 'b'], mode: 'soft' }])
    pending.end(false)
    assert.deepEqual(pending.begin(), [{ tags: ['a', 'b'], mode: 'soft' }])
  })

  it('needs no tags once everything is invalid', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: ['a'], mode: 'expire' })
    pending.add({ tags: 'all', mode: 'purge' })
    pending.add({ tags: ['b'], mode: 'expire' })
    assert.equal(pending.size, 1)
    assert.deepEqual(pending.begin(), EVERYTHING)
  })

  it('is bounded: beyond many tags it invalidates everything', () => {
    const pending = new PendingInvalidations()
    pending.add({ tags: tagList(10_000), mode: 'soft' })
    assert.equal(pending.size, 10_000)
    pending.add({ tags: ['one more'], mode: 'expire' })
    assert.deepEqual(pending.begin(), EVERYTHING)
  })

  it('never forgets a tag nor makes it softer, whatever arrives and whatever does not', () => {
    const modes: InvalidationMode[] = ['soft', 'expire', 'purge']
    const step = fc.oneof(
      fc.record({
        tags: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
        mode: fc.constantFrom(...modes),
      }),
      fc.constantFrom('begin' as const, 'failed' as const),
    )
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const pending = new PendingInvalidations()
        const added = new Map<string, number>()
        for (const each of steps) {
          if (each === 'begin') pending.begin()
          else if (each === 'failed') pending.end(false)
          else {
            pending.add(each)
            for (const tag of each.tags) {
              added.set(tag, Math.max(added.get(tag) ?? 0, modes.indexOf(each.mode)))
            }
          }
          const told = new Map<string, number>()
          for (const { tags, mode } of pending.all()) {
            for (const tag of tags) {
              told.set(tag, Math.max(told.get(tag) ?? 0, modes.indexOf(mode)))
            }
          }
          assert.deepEqual([...told].sort(), [...added].sort())
        }
      }),
    )
  })
})
