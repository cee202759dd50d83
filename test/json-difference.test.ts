import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'

import fc from 'fast-check'

import { MAX_POINTERS, isWithin, jsonDifferences } from '../src/json-difference.ts'

const CASES: [one: unknown, other: unknown, ignored: string[][], expected: string[]][] = [
  [1, 1, [], []],
  [1, 2, [], ['']],
  [null, {}, [], ['']],
  [[], {}, [], ['']],
  [{ a: 1, b: 2 }, { b: 2, a: 1 }, [], []],
  [{ a: 1, b: 2 }, { a: 2, c: 2 }, [], ['/a', '/b', '/c']],
  [{ a: null }, {}, [], ['/a']],
  [{ a: [1, 2] }, { a: [1, 3] }, [], ['/a/1']],
  [{ a: [1, 2] }, { a: [1] }, [], ['/a']],
  [{ 'a/b': { '~': 1 } }, { 'a/b': { '~': 2 } }, [], ['/a~1b/~0']],
  [JSON.parse('{"__proto__":1}'), {}, [], ['/__proto__']],
  [{ at: 1, b: { at: 1 } }, { at: 2, b: { at: 2 } }, [['at']], ['/b/at']],
  [{ l: [{ at: 1, n: 1 }] }, { l: [{ at: 2, n: 2 }] }, [['l', '*', 'at']], ['/l/0/n']],
  [{ l: { x: 1 } }, { l: [] }, [['l']], []],
  [{ at: 1 }, {}, [['at']], []],
]

describe('the differences of two documents', () => {
  for (const [one, other, ignored, expected] of CASES) {
    const title = `${JSON.stringify(one)} and ${JSON.stringify(other)}: ${expected.join(' ')}`
    it(`${title}${ignored.map((each) => `, without ${each.join('/')}`).join('')}`, () => {
      assert.deepEqual(jsonDifferences(one, other, ignored), expected)
    })
  }

  it('are none exactly where the documents are equal, and the same both ways', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
        const [a, b] = [one, other].map((value) => JSON.parse(JSON.stringify(value)) as unknown)
        assert.deepEqual(jsonDifferences(a, structuredClone(a)), [])
        const found = jsonDifferences(a, b)
        assert.equal(found.length === 0, isDeepStrictEqual(a, b))
        assert.deepEqual(jsonDifferences(b, a).toSorted(), found.toSorted())
      }),
    )
  })

  it('lead to values that differ', () => {
    const at = (document: unknown, pointer: string): unknown =>
      pointer
        .split('/')
        .slice(1)
        .map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~'))
        .reduce<unknown>((value, member) => (value as Record<string, unknown>)[member], document)
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue(), (one, value) => {
        const other = { ...one, '/changed~': value }
        for (const pointer of jsonDifferences(one, other)) {
          assert.ok(!isDeepStrictEqual(at(one, pointer), at(other, pointer)), pointer)
        }
      }),
    )
  })

  it('are found however deep they are, and counted up to a bound', () => {
    const deep = (value: unknown): unknown => {
      let document = value
      for (let n = 0; n < 20_000; n++) document = [document]
      return document
    }
    assert.equal(jsonDifferences(deep(1), deep(2))[0]?.length, 40_000)
    const many = (value: number): number[] => Array.from({ length: 1000 }, () => value)
    assert.equal(jsonDifferences(many(1), many(2)).length, MAX_POINTERS)
  })
})

it('a pointer is within itself and its parents, and not within one that begins alike', () => {
  assert.ok(isWithin('/a/b', '/a') && isWithin('/a', '/a') && isWithin('/a', ''))
  assert.ok(!isWithin('/ab', '/a') && !isWithin('/a', '/a/b'))
})
