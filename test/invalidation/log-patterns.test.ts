import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { LogTable } from '../../src/invalidation/log-table.ts'
import type { Fenced, InvalidationMode } from '../../src/invalidation/log.ts'
import { encodeGlob, encodeTag } from '../../src/invalidation/tags.ts'

const TAGS = 100_000
const entry = (seq: number, ...tags: string[]): Fenced => ({ epoch: 'e', seq, tags })
const path = (text: string): string => encodeTag('path', text)
const key = (text: string): string => encodeTag('key', text)
const inner = (text: string): string => encodeTag('inner', text)
const LONG = `/products/${'x'.repeat(100)}`

describe('patterns in the table', () => {
  it('forbid what matches and was computed before, and nothing else', () => {
    const table = new LogTable(TAGS)
    table.merge(encodeGlob('/products/*'), 10, 'expire')
    assert.equal(table.allows(entry(9, path('/products/1'))), false)
    assert.equal(table.allows(entry(10, path('/products/1'))), true)
    assert.equal(table.allows(entry(9, path('/articles/1'))), true)
    assert.equal(table.allows(entry(9, key('/products/1'))), false, 'a key of that name too')
    assert.equal(table.allows(entry(9, encodeTag('tag', '/products/1'))), true, 'a tag is no name')
    assert.equal(table.allows(entry(9)), true)
  })

  it('of a namespace mean keys of that namespace', () => {
    const table = new LogTable(TAGS)
    table.merge(encodeGlob('a*', 'users@2'), 10, 'expire')
    assert.equal(table.allows(entry(9, inner('users@2:a1'))), false)
    assert.equal(table.allows(entry(9, inner('users@2:b1'))), true)
    assert.equal(table.allows(entry(9, inner('users:a1'))), true)
    assert.equal(table.allows(entry(9, key('users@2:a1'))), true)
    table.merge(encodeGlob('*'), 11, 'expire')
    assert.equal(table.allows(entry(10, inner('users@2:b1'))), true)
  })

  it('forbid long names whose beginning they could match', () => {
    const table = new LogTable(TAGS)
    table.merge(encodeGlob('/products/*y'), 10, 'expire')
    assert.equal(table.allows(entry(9, path(LONG))), false, 'the end is not known')
    assert.equal(table.allows(entry(9, path(`/articles/${'x'.repeat(100)}`))), true)
    assert.equal(table.allows(entry(9, key(`${'x'.repeat(63)}🦊 and more`))), true)
  })

  it('that cannot be read forbid everything before them', () => {
    const table = new LogTable(TAGS)
    table.merge(encodeGlob('[a'), 10, 'expire')
    assert.equal(table.allows(entry(9, encodeTag('tag', 'a'))), false)
    assert.equal(table.allows(entry(10, encodeTag('tag', 'a'))), true)
  })

  for (const [mode, verdict] of [
    ['soft', 'softened'],
    ['expire', 'expired'],
    ['purge', 'purged'],
  ] as const) {
    it(`with mode ${mode} leave what tags do: ${verdict}`, () => {
      const table = new LogTable(TAGS)
      table.merge(encodeGlob('a*'), 10, mode)
      assert.equal(table.verdict(entry(9, key('a1'))), verdict)
      assert.equal(table.verdict(entry(9, key('b1'))), 'valid')
      assert.equal(table.verdict(entry(10, key('a1'))), 'valid')
    })
  }

  it('are asked again about the same entry when they are invalidated again', () => {
    const table = new LogTable(TAGS)
    const other = entry(5, key('b'))
    const same = entry(5, key('a'))
    table.merge(encodeGlob('a*'), 3, 'expire')
    assert.deepEqual([table.allows(same), table.allows(other)], [true, true])
    table.merge(encodeGlob('c*'), 7, 'expire')
    assert.deepEqual([table.allows(same), table.allows(other)], [true, true])
    table.merge(encodeGlob('a*'), 6, 'expire')
    assert.deepEqual([table.allows(same), table.allows(other)], [false, true])
    assert.deepEqual([table.allows(same), table.allows(other)], [false, true])
  })

  it('above 1,000 raise the floor to the last that is forgotten', () => {
    const table = new LogTable(TAGS)
    for (let seq = 1; seq <= 1000; seq++) table.merge(encodeGlob(`${seq}:*`), seq, 'expire')
    assert.equal(table.floor, 0)
    table.merge(encodeGlob('1001:*'), 1001, 'expire')
    assert.equal(table.floor, 101)
    assert.equal(table.allows(entry(101, key('other'))), true)
    assert.equal(table.allows(entry(100, key('other'))), false)
    assert.equal(table.allows(entry(101, key('102:a'))), false)
  })

  it('go with the tags when there are too many of those', () => {
    const table = new LogTable(10)
    table.merge(encodeGlob('a*'), 1, 'expire')
    for (let seq = 2; seq <= 11; seq++) table.merge(encodeTag('tag', `${seq}`), seq, 'expire')
    assert.ok(table.floor >= 1)
    assert.equal(table.allows(entry(0, key('a1'))), false)
    assert.equal(table.allows(entry(table.floor, key('a1'))), true)
  })

  it('never allow what a table allows that looks at every pattern each time', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 3 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 3 })
    const mode = fc.constantFrom<InvalidationMode>('soft', 'expire', 'purge')
    const step = fc.tuple(pattern, fc.nat(20), mode)
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), name, fc.nat(20), (steps, text, seq) => {
        const table = new LogTable(TAGS)
        const kept = entry(seq, key(text))
        for (const [at, [glob, position, how]] of steps.entries()) {
          table.merge(encodeGlob(glob), position, how)
          const fresh = new LogTable(TAGS)
          for (const [each, where, hard] of steps.slice(0, at + 1)) {
            fresh.merge(encodeGlob(each), where, hard)
          }
          assert.equal(table.allows(kept), fresh.allows(entry(seq, key(text))))
          assert.equal(table.verdict(kept), fresh.verdict(entry(seq, key(text))))
          assert.equal(table.allows(kept), table.verdict(kept) === 'valid')
        }
      }),
      { numRuns: 1000 },
    )
  })
})
