import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { variantKey } from '../../src/http/cache-key.ts'
import { encodeParts } from '../../src/http/encoding.ts'
import {
  MAX_NOMINATED,
  nominatedFields,
  selectingParts,
  selectingValue,
  trimSpace,
  withNominated,
} from '../../src/http/vary.ts'

const many = Array.from({ length: MAX_NOMINATED + 1 }, (_, index) => `x-${index}`)

describe('nominatedFields', () => {
  const table: [vary: string | string[] | undefined, expected: string[] | undefined][] = [
    [undefined, []],
    ['', []],
    [' , ,', []],
    ['Foo', ['foo']],
    ['Foo, Bar,\tfoo ,', ['bar', 'foo']],
    [
      ['Foo', 'Bar, Baz'],
      ['bar', 'baz', 'foo'],
    ],
    ['*', undefined],
    ['*, *', undefined],
    [['*', '*'], undefined],
    [', *', undefined],
    [['', '*'], undefined],
    ['*, Foo', undefined],
    ['Foo, *', undefined],
    // A token, but the one that is no name.
    ['Foo, ** ', ['**', 'foo']],
    ['Foo Bar', undefined],
    ['Foo; Bar', undefined],
    ['"Foo"', undefined],
    [many.slice(1).join(), many.slice(1).sort()],
    [many.join(), undefined],
  ]
  for (const [vary, expected] of table) {
    it(`reads ${JSON.stringify(vary)?.slice(0, 40)}`, () => {
      assert.deepEqual(nominatedFields(vary), expected)
    })
  }

  it('never throws, and gives sorted names, each once, whatever the order', () => {
    const member = fc.oneof(fc.constantFrom('A', 'b', 'C-d', 'a', ' B '), fc.string())
    fc.assert(
      fc.property(fc.array(member), (members) => {
        const names = nominatedFields(members)
        assert.deepEqual(nominatedFields([...members].reverse().join(',')), names)
        if (
          members
            .join()
            .split(',')
            .some((name) => name.trim() === '*')
        ) {
          assert.equal(names, undefined)
        }
        if (names) assert.deepEqual(names, [...new Set(names)].sort())
      }),
    )
  })
})

describe('withNominated', () => {
  it('grows by what is new, and stays the very same list when nothing is', () => {
    const known = ['bar', 'foo']
    assert.deepEqual(withNominated(known, ['baz', 'foo']), ['bar', 'baz', 'foo'])
    assert.equal(withNominated(known, ['foo']), known)
    // A default response without Vary must not answer for all variants (RFC 9111 §4.1).
    assert.equal(withNominated(known, []), known)
  })

  it('ends at the most that is kept', () => {
    assert.equal(withNominated(many.slice(2), ['y'])?.length, MAX_NOMINATED)
    assert.equal(withNominated(many.slice(1), ['y']), undefined)
    assert.deepEqual(withNominated(many.slice(1), ['x-1']), many.slice(1))
  })

  it('comes to the same whatever the order in which responses come', () => {
    const names = fc.uniqueArray(fc.constantFrom(...many.slice(0, 6)))
    fc.assert(
      fc.property(names, names, names, (a, b, c) => {
        const sorted = [a, b, c].map((list) => [...list].sort())
        const grown = (lists: string[][]) =>
          lists.reduce<readonly string[]>((known, list) => withNominated(known, list)!, [])
        assert.deepEqual(grown(sorted), grown([...sorted].reverse()))
        for (const name of a) assert.ok(grown(sorted).includes(name))
      }),
    )
  })
})

describe('selectingValue', () => {
  const same: [what: string, one: string | string[], other: string | string[]][] = [
    ['spaces beside commas', '1,2', ' 1, 2 '],
    ['tabs beside commas', '1,2', '1\t,\t2'],
    ['several lines', '1, 2', ['1', '2']],
    ['several lines and a list', '1,2,3', ['1 , 2', '3']],
  ]
  for (const [what, one, other] of same) {
    it(`makes no difference of ${what}`, () => {
      assert.equal(selectingValue('foo', { foo: one }), selectingValue('foo', { foo: other }))
    })
  }

  const different: [what: string, one: string | undefined, other: string | undefined][] = [
    ['an absent and an empty field', undefined, ''],
    ['the order of members', 'a, b', 'b, a'],
    ['the case of members', 'a', 'A'],
    ['spaces within members', 'a b', 'ab'],
    ['the number of spaces within members', 'a  b', 'a b'],
    ['empty members', 'a,,b', 'a,b'],
    ['repeated members', 'a, a', 'a'],
    ['spaces in quotes', '"a, b"', '"a,b"'],
    ['spaces in comments', '(a, b)', '(a,b)'],
    ['obs-text that looks like a space', 'a\xa0,b', 'a,b'],
    ['a list and the same in quotes', '"a,b"', 'a,b'],
  ]
  for (const [what, one, other] of different) {
    it(`tells apart ${what}`, () => {
      const value = (foo: string | undefined) =>
        selectingValue('foo', foo === undefined ? {} : { foo })
      assert.notEqual(value(one), value(other))
    })
  }

  it('takes fields that are no lists as they are', () => {
    for (const name of ['cookie', 'user-agent', 'referer', 'authorization']) {
      assert.equal(selectingValue(name, { [name]: 'a, b' }), 'a, b')
    }
  })

  it('does not find what every object has', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'hasOwnProperty']) {
      assert.equal(selectingValue(name, {}), undefined)
    }
    assert.equal(selectingValue('constructor', { constructor: 'x' } as never), 'x')
  })

  it('asks a normalizer for its own field only, and not when the field is absent', () => {
    const normalizers = new Map([['foo', (value: string) => (value === 'x' ? undefined : 'n')]])
    assert.equal(selectingValue('foo', { foo: 'a' }, normalizers), 'n')
    assert.equal(selectingValue('foo', { foo: 'x' }, normalizers), undefined)
    assert.equal(selectingValue('foo', {}, normalizers), undefined)
    assert.equal(selectingValue('bar', { bar: 'a' }, normalizers), 'a')
  })

  it('never merges what differs in more than space, and never throws', () => {
    const text = fc.string({ unit: fc.constantFrom('a', ' ', ',', '\t', '"', '(', "'", '\xa0') })
    const squeezed = (value: string) => value.replaceAll(/[ \t]/g, '')
    fc.assert(
      fc.property(text, text, (a, b) => {
        if (selectingValue('foo', { foo: a }) === selectingValue('foo', { foo: b })) {
          assert.equal(squeezed(a), squeezed(b))
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('takes no longer than its value for spaces without end', () => {
    const started = process.hrtime.bigint()
    for (const unit of [' ', ', ', ' ,', '\t']) {
      selectingValue('foo', { foo: `a${unit.repeat(100_000)}a` })
    }
    assert.ok(process.hrtime.bigint() - started < 2_000_000_000n)
  })
})

describe('selectingParts', () => {
  it('names each field and gives its value, in the order of the names', () => {
    const request = { foo: '1', baz: '789', other: 'x' }
    assert.deepEqual(selectingParts(['bar', 'baz', 'foo'], request), [
      ...['bar', undefined],
      ...['baz', '789'],
      ...['foo', '1'],
    ])
    assert.deepEqual(selectingParts([], request), [])
  })

  it('makes one key of two requests only when all nominated values are the same', () => {
    const value = fc.option(
      fc.string({ unit: fc.constantFrom('a', ':', '-', '1', ',', 'x-b', '3:x-b'), maxLength: 4 }),
      { nil: undefined },
    )
    const request = fc.record({ 'x-a': value, 'x-b': value, 'x-c': value })
    const names = fc.subarray(['x-a', 'x-b', 'x-c'])
    fc.assert(
      fc.property(names, names, request, request, (ours, theirs, one, other) => {
        const [a, b] = [selectingParts(ours, one), selectingParts(theirs, other)]
        const alike =
          ours.length === theirs.length &&
          ours.every((name, at) => name === theirs[at]) &&
          ours.every((name) => one[name as 'x-a'] === other[name as 'x-a'])
        assert.equal(encodeParts(a) === encodeParts(b), alike)
        assert.equal(variantKey('k', a) === variantKey('k', b), alike)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('trimSpace', () => {
  it('takes spaces and tabs from both ends, and nothing else', () => {
    assert.equal(trimSpace(' \ta b\t '), 'a b')
    assert.equal(trimSpace(' \t '), '')
    assert.equal(trimSpace('\xa0a\xa0'), '\xa0a\xa0')
  })
})
