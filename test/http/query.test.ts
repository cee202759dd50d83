import assert from 'node:assert/strict'
import { parse as parseQuerystring } from 'node:querystring'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { parse as parseQs } from 'qs'

import { canonicalQuery, compileQueryFilter } from '../../src/http/query.ts'

/** What a parser may return, from characters that the encoding itself uses. */
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.string({ unit: fc.constantFrom('a', '1', ':', ';', 's', 'n'), maxLength: 3 }),
    fc.constantFrom(undefined, null, true, false, 0, -0, 1, 12, 'true', '1', '', 'n', 'u'),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 's1:a', '1'), tie('value'), { maxKeys: 3 }),
  ),
}))
const query = fc.dictionary(fc.constantFrom('a', 'b', '1', 's1:a', ''), value, { maxKeys: 3 })

/** Same names and values; the order of the names and the kind of plain object do not matter. */
function sameQuery(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(plain(a), plain(b))
}

function plain(query: unknown): unknown {
  if (Array.isArray(query)) return { list: query.map(plain) }
  if (query === null || typeof query !== 'object') return query
  const names = Object.keys(query).sort()
  return names.map((name) => [name, plain((query as Record<string, unknown>)[name])])
}

describe('canonicalQuery', () => {
  it('writes two queries alike exactly when the application could not tell them apart', () => {
    fc.assert(
      fc.property(query, query, (a, b) => {
        const alike = canonicalQuery(a, 'raw') === canonicalQuery(b, 'raw')
        assert.equal(alike, sameQuery(a, b))
      }),
      { numRuns: 2000 },
    )
  })

  it('does not depend on the order of the names', () => {
    fc.assert(
      fc.property(query, (a) => {
        const turned = Object.fromEntries(Object.entries(a).reverse())
        assert.equal(canonicalQuery(turned, 'x'), canonicalQuery(a, 'y'))
      }),
    )
  })

  it('depends on the order of repeated values', () => {
    const canonical = (raw: string): string => canonicalQuery(parseQuerystring(raw), raw)
    assert.notEqual(canonical('a=1&a=2'), canonical('a=2&a=1'))
    assert.equal(canonical('a=1&b=0&a=2'), canonical('b=0&a=1&a=2'))
  })

  const different: [what: string, a: unknown, b: unknown][] = [
    ['a number and the same digits', { a: 1 }, { a: '1' }],
    ['zero and minus zero', { a: 0 }, { a: -0 }],
    ['a boolean and its name', { a: true }, { a: 'true' }],
    ['null and its name', { a: null }, { a: 'null' }],
    ['nothing and null', { a: undefined }, { a: null }],
    ['an empty list and empty text', { a: [] }, { a: '' }],
    ['an empty list and an empty object', { a: [] }, { a: {} }],
    ['a list of one and its value', { a: ['1'] }, { a: '1' }],
    ['a list and an object with its indexes', { a: ['x'] }, { a: { 0: 'x' } }],
    ['a name without value and no name', { a: '' }, {}],
    ['nested and flat', { a: { b: '1' } }, { 'a[b]': '1' }],
    ['where a nested list ends', { a: [['1'], '2'] }, { a: [['1', '2']] }],
  ]
  for (const [what, a, b] of different) {
    it(`keeps apart ${what}`, () => {
      assert.notEqual(canonicalQuery(a, 'raw'), canonicalQuery(b, 'raw'))
    })
  }

  it('reads what a nested parser makes, by meaning and not by spelling', () => {
    const canonical = (raw: string): string => canonicalQuery(parseQs(raw), raw)
    assert.equal(canonical('f[a]=1&f[b]=2'), canonical('f%5Bb%5D=2&f[a]=1'))
    assert.notEqual(canonical('f[a]=1&f[b]=2'), canonical('f[a]=2&f[b]=1'))
    assert.notEqual(canonical('f[]=1'), canonical('f=1'))
  })

  it('takes objects without a prototype, and those of a parser with an empty one of its own', () => {
    const bare = Object.assign(Object.create(null) as object, { a: '1' })
    const own = Object.assign(Object.create(Object.create(null) as object) as object, { a: '1' })
    const expected = canonicalQuery({ a: '1' }, 'x')
    assert.equal(canonicalQuery(bare, 'y'), expected)
    assert.equal(canonicalQuery(own, 'z'), expected)
  })

  class Inheriting {
    a = '1'
    get hidden(): string {
      return 'something a handler can see'
    }
  }
  const opaque: [what: string, query: unknown][] = [
    ['an instance of a class', new Inheriting()],
    ['an object that inherits values', Object.create({ a: '1' })],
    ['an object with symbols', { [Symbol('hidden')]: '1' }],
    ['a Map', new Map([['a', '1']])],
    ['a URLSearchParams', new URLSearchParams('a=1')],
    ['a nested Date', { a: new Date(0) }],
    ['a nested Map', { a: new Map() }],
    ['a function', { a: () => 1 }],
    ['a bigint', { a: 1n }],
    ['text', 'a=1'],
    ['nothing', undefined],
    ['null', null],
    ['a list', ['a']],
  ]
  for (const [what, odd] of opaque) {
    it(`falls back to the raw text for ${what}`, () => {
      assert.equal(canonicalQuery(odd, 'a=1'), canonicalQuery(odd, 'a=1'))
      assert.notEqual(canonicalQuery(odd, 'a=1'), canonicalQuery(odd, 'a=2'))
    })
  }

  it('falls back to the raw text for what is nested too deep, without an end too', () => {
    const endless: Record<string, unknown> = {}
    endless['self'] = endless
    let deep: unknown = 'x'
    for (let depth = 0; depth < 1000; depth++) deep = { d: deep }
    for (const odd of [endless, { deep }]) {
      assert.notEqual(canonicalQuery(odd, 'a=1'), canonicalQuery(odd, 'a=2'))
    }
  })

  it('never writes a raw text as it writes a query', () => {
    fc.assert(
      fc.property(query, fc.string(), (parsed, raw) => {
        assert.notEqual(canonicalQuery(undefined, raw), canonicalQuery(parsed, raw))
      }),
    )
  })

  it('writes nothing for no query at all', () => {
    assert.equal(canonicalQuery({}, ''), '')
  })

  it('does not take a name such as __proto__ for anything else', () => {
    const polluted = parseQuerystring('__proto__=1&a=2')
    assert.notEqual(canonicalQuery(polluted, 'x'), canonicalQuery({ a: '2' }, 'x'))
  })
})

describe('compileQueryFilter', () => {
  const table: [what: string, filter: Parameters<typeof compileQueryFilter>[0], kept: string][] = [
    ['only the names given', { only: ['page', 'size'] }, 'page size'],
    ['only the names with a prefix', { only: ['utm_*'] }, 'utm_a utm_'],
    ['all but the names given', { ignore: ['page'] }, 'size utm_a utm_ utm'],
    ['all but the names with a prefix', { ignore: ['utm_*', 'size'] }, 'page utm'],
    ['nothing with an empty list of names', { only: [] }, ''],
    ['everything with nothing to ignore', { ignore: [] }, 'page size utm_a utm_ utm'],
    ['nothing when all are ignored', { ignore: ['*'] }, ''],
  ]
  const names = ['page', 'size', 'utm_a', 'utm_', 'utm']
  for (const [what, filter, kept] of table) {
    it(`keeps ${what}`, () => {
      const counts = compileQueryFilter(filter)
      assert.ok(counts)
      assert.equal(names.filter(counts).join(' '), kept)
    })
  }

  it('makes no filter when every parameter counts', () => {
    assert.equal(compileQueryFilter(undefined), undefined)
    assert.equal(compileQueryFilter({}), undefined)
  })

  it('lets parameters that do not count make no difference, and all others', () => {
    const counts = compileQueryFilter({ ignore: ['utm_*'] })
    const canonical = (raw: string): string => canonicalQuery(parseQuerystring(raw), raw, counts)
    assert.equal(canonical('a=1&utm_source=x'), canonical('utm_medium=y&a=1'))
    assert.notEqual(canonical('a=1&utm_source=x'), canonical('a=2&utm_source=x'))
  })

  it('does not hide a parameter where the query cannot be read', () => {
    const counts = compileQueryFilter({ only: [] })
    assert.notEqual(canonicalQuery('?', 'a=1', counts), canonicalQuery('?', 'a=2', counts))
  })
})
