import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseCacheControl } from '../../src/http/cache-control.ts'
import { type CacheControl, noDirectives } from '../../src/http/directives.ts'
import { anyText, directiveField, mergedDirectives, neverMorePermissive } from './directives.ts'

type Expected = Partial<CacheControl>

/** What differs from a field that says nothing. */
function stated(field: string | string[]): Expected {
  const nothing = Object.entries(noDirectives())
  const parsed = parseCacheControl(field)
  const names = nothing.filter(([name, value]) => parsed[name as keyof CacheControl] !== value)
  return Object.fromEntries(names.map(([name]) => [name, parsed[name as keyof CacheControl]]))
}

describe('parseCacheControl', () => {
  const table: [what: string, field: string | string[], expected: Expected][] = [
    ['nothing', '', {}],
    ['one directive', 'no-store', { noStore: true }],
    [
      'directives and arguments',
      'must-understand, max-age=60',
      { mustUnderstand: true, maxAge: 60 },
    ],
    ['names in any case', 'Max-Age=60, NO-STORE', { maxAge: 60, noStore: true }],
    ['several fields', ['max-age=60', 'private'], { maxAge: 60, private: true }],
    ['one field in a list', ['max-age=60'], { maxAge: 60 }],
    ['no field in a list', [], {}],
    ['a quoted number', 'max-age="60"', { maxAge: 60 }],
    ['a quoted number with a quoted pair', 'max-age="6\\0"', { maxAge: 60 }],
    ['leading zeros', 'max-age=0060', { maxAge: 60 }],
    ['more than 2^31', 'max-age=99999999999', { maxAge: 2 ** 31 }],
    ['spaces and tabs around members', ' max-age=60 ,\tno-store\t', { maxAge: 60, noStore: true }],
    ['empty members', ',,max-age=1, ,', { maxAge: 1 }],
    ['unknown directives', 'x-y=z, pre-check="0", max-age=1', { maxAge: 1 }],
    [
      'a directive in the quotes of an unknown one',
      'x="a, max-age=9, no-store", max-age=1',
      { maxAge: 1 },
    ],
    ['the same in the other order', 'max-age=1, x="a, max-age=9"', { maxAge: 1 }],
    ['a quoted quote', 'x="\\", no-store", max-age=1', { maxAge: 1 }],
    [
      'directives of RFC 5861',
      'stale-while-revalidate=5, stale-if-error="9"',
      { staleWhileRevalidate: 5, staleIfError: 9 },
    ],
    ['one of RFC 8246', 'max-age=1, immutable', { maxAge: 1, immutable: true }],
    [
      'those for proxies',
      'proxy-revalidate, no-transform',
      { proxyRevalidate: true, noTransform: true },
    ],
    ['fields for which it is private', 'private="A, b"', { privateFields: ['a', 'b'] }],
    ['one field in token form', 'private=a', { privateFields: ['a'] }],
    ['fields to validate', 'no-cache="set-cookie"', { noCacheFields: ['set-cookie'] }],
    ['no-cache for all', 'no-cache', { noCache: true }],
    ['what permits shared use', 'public', { public: true, allowsAuthorization: true }],
    [
      'what permits it by being strict',
      'must-revalidate',
      { mustRevalidate: true, allowsAuthorization: true },
    ],
    ['what permits it by a number', 's-maxage=0', { sMaxage: 0, allowsAuthorization: true }],
    [
      'directives of a request',
      'max-age=0, min-fresh=5, only-if-cached',
      { maxAge: 0, minFresh: 5, onlyIfCached: true },
    ],
    ['any staleness', 'max-stale', { maxStale: Infinity }],
    ['staleness up to a limit', 'max-stale=5', { maxStale: 5 }],
  ]
  for (const [what, field, expected] of table) {
    it(`reads ${what}`, () => assert.deepEqual(stated(field), expected))
  }

  const restrictive: [what: string, field: string | string[], expected: Expected][] = [
    ['the smaller of two numbers', 'max-age=60, max-age=5', { maxAge: 5 }],
    ['the smaller in the other order', 'max-age=5, max-age=60', { maxAge: 5 }],
    ['the smaller of two lines', ['max-age=60', 'max-age=5'], { maxAge: 5 }],
    ['zero beside a number that is none', 'max-age=60, max-age=x', { maxAge: 0 }],
    ['zero for a missing argument', 'max-age', { maxAge: 0 }],
    ['zero for an empty argument', 'max-age=, s-maxage=""', { maxAge: 0, sMaxage: 0 }],
    ['zero for single quotes, which quote nothing', "max-age='60'", { maxAge: 0 }],
    ['zero for a negative number', 'max-age=-60', { maxAge: 0 }],
    ['zero for a decimal number', 'max-age=60.0', { maxAge: 0 }],
    ['zero for letters before digits', 'max-age=x60', { maxAge: 0 }],
    ['zero for letters after digits', 'max-age=60x', { maxAge: 0 }],
    ['zero for a space before the equals sign', 'max-age =60', { maxAge: 0 }],
    ['zero for a space after it', 'max-age= 60', { maxAge: 0 }],
    ['zero for a number with something behind it', 'max-age=60 s', { maxAge: 0 }],
    ['zero for a number before a semicolon', 'max-age=60; private', { maxAge: 0, private: true }],
    ['no stale window from a bad number', 'stale-if-error=-1', { staleIfError: 0 }],
    [
      'the smaller of two limits of staleness',
      'max-stale=9, max-stale, max-stale=5',
      { maxStale: 5 },
    ],
    ['no staleness from a bad limit', 'max-stale, max-stale=x', { maxStale: 0 }],
    ['the larger demand for freshness', 'min-fresh=5, min-fresh=9', { minFresh: 9 }],
    ['a demand that nothing meets from a bad one', 'min-fresh=x', { minFresh: 2 ** 31 }],
    ['all of private, not only its fields', 'private="a", private', { private: true }],
    ['all of private, in the other order', 'private, private="a"', { private: true }],
    ['all of private when it names fields twice', 'private="a", private="b"', { private: true }],
    ['all of private when it names none', 'private=""', { private: true }],
    ['all of private when a name is none', 'private="a, b c"', { private: true }],
    ['all of private when spaces stand in its way', 'private ="a"', { private: true }],
    ['all of no-cache when its quote never ends', 'no-cache="a', { noCache: true }],
    ['no-store with an argument nobody asked for', 'no-store=0', { noStore: true }],
    [
      'no-store after a quote that never ends',
      'private="a, no-store',
      { private: true, noStore: true },
    ],
    [
      'no-store after a quote that only the next line ends',
      ['x="', 'no-store, y="'],
      { noStore: true },
    ],
    ['no-store in a quote out of place', '"no-store"', { noStore: true }],
    ['no-store after what it cannot read', '"?", =x, no-store', { noStore: true }],
    ['no-store where a comma is missing', 'must-understand no-store', { noStore: true }],
    ['zero after a quote that never ends', 'x="a, max-age=60', { maxAge: 0 }],
    ['what it has read before such a quote', 'max-age=60, x="a', { maxAge: 60 }],
    ['private after a semicolon', 'public; private', { private: true }],
    ['zero behind what starts no directive', '?max-age=60', { maxAge: 0 }],
    ['zero in a quote out of place', '"a, max-age=60, b"', { maxAge: 0 }],
    ['no permission with an argument', 'public=1, must-understand= 1, immutable =', {}],
    ['no permission in bad company', 'public;x, immutable "', {}],
    [
      'must-revalidate with an argument, which permits nothing',
      'must-revalidate=1',
      { mustRevalidate: true },
    ],
    ['s-maxage without a number, which permits nothing', 's-maxage=x', { sMaxage: 0 }],
  ]
  for (const [what, field, expected] of restrictive) {
    it(`reads ${what}`, () => assert.deepEqual(stated(field), expected))
  }

  it('gives the right answer for one field after another, however many', () => {
    for (let round = 0; round < 2; round++) {
      for (let age = 0; age < 250; age++) {
        assert.equal(parseCacheControl(`max-age=${age}`).maxAge, age)
      }
    }
    assert.ok(parseCacheControl('no-store').noStore)
    assert.ok(!parseCacheControl(undefined).noStore)
    assert.ok(Object.isFrozen(parseCacheControl('public')))
  })

  it('reads values of other types than it was promised as text', () => {
    assert.equal(parseCacheControl(60).maxAge, undefined)
    assert.equal(parseCacheControl([60, 'no-store'] as never).noStore, true)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.array(anyText)), (field) => {
        assert.equal(typeof parseCacheControl(field).noStore, 'boolean')
      }),
      { numRuns: 2000 },
    )
  })

  it('needs no more than a moment for long fields that are all quotes', () => {
    for (const text of ['a="', '="', '\\"', '"', 'a= "\\', ', ', ' =']) {
      const before = process.hrtime.bigint()
      parseCacheControl(text.repeat(200_000))
      assert.ok(process.hrtime.bigint() - before < 2_000_000_000n, text)
    }
  })

  it('finds a forbidding directive among any well-formed others, in any order', () => {
    const forbidding = fc.constantFrom('no-store', 'No-Store', 'private', 'PRIVATE', 'no-cache')
    fc.assert(
      fc.property(directiveField, forbidding, directiveField, (before, name, after) => {
        const parsed = parseCacheControl([...before, name, ...after].join(','))
        assert.ok(
          { 'no-store': parsed.noStore, private: parsed.private, 'no-cache': parsed.noCache }[
            name.toLowerCase()
          ],
        )
      }),
    )
  })

  it('says of several lines what they say one by one', () => {
    const line = fc.oneof(
      anyText,
      directiveField.map((members) => members.join(', ')),
    )
    fc.assert(
      fc.property(fc.array(line, { minLength: 2, maxLength: 4 }), (lines) => {
        const merged = lines.map((text) => parseCacheControl(text)).reduce(mergedDirectives)
        assert.deepEqual({ ...parseCacheControl(lines) }, merged)
      }),
      { numRuns: 1000 },
    )
  })

  it('says the same whatever the order of the members', () => {
    const shuffled = directiveField.chain((members) =>
      fc.tuple(fc.constant(members), fc.shuffledSubarray(members, { minLength: members.length })),
    )
    fc.assert(
      fc.property(shuffled, ([members, others]) => {
        assert.deepEqual(parseCacheControl(members.join(', ')), parseCacheControl(others.join(',')))
      }),
    )
  })

  it('never permits more when something unreadable stands between the members', () => {
    const junk = fc.string({ unit: fc.constantFrom(';', '"', '\\', '/', '(', ' ', '?', '\u00e9') })
    const damaged = directiveField.chain((members) =>
      fc.tuple(fc.constant(members), fc.nat({ max: members.length }), junk),
    )
    fc.assert(
      fc.property(damaged, ([members, at, dirt]) => {
        const head = members.slice(0, at).join(',')
        const text = `${head}${dirt}${at === 0 ? '' : ','}${members.slice(at).join(',')}`
        neverMorePermissive(parseCacheControl(text), parseCacheControl(members.join(',')))
      }),
      { numRuns: 2000 },
    )
  })

  it('never permits more when its end is missing', () => {
    fc.assert(
      fc.property(directiveField, fc.nat({ max: 3 }), (members, cut) => {
        const text = [...members, 'private="a, b"'].join(', ')
        const short = parseCacheControl(text.slice(0, text.length - 1 - cut))
        assert.ok(short.private, 'a list of fields that does not end is about all of them')
        neverMorePermissive(short, parseCacheControl(members.join(', ')))
      }),
    )
  })
})
