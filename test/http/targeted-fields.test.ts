import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type BareItem, Token, serializeDictionary } from 'structured-headers'

import { parseCacheControl } from '../../src/http/cache-control.ts'
import { type CacheControl, noDirectives } from '../../src/http/directives.ts'
import type { FieldValue, Fields } from '../../src/http/fields.ts'
import { parseTargetedField, statedPolicy } from '../../src/http/targeted-fields.ts'
import { anyText } from './directives.ts'

function stated(field: FieldValue): Partial<CacheControl> | undefined {
  const parsed = parseTargetedField(field)
  if (parsed === undefined) return undefined
  const nothing = noDirectives()
  const names = (Object.keys(nothing) as (keyof CacheControl)[]).filter(
    (name) => parsed[name] !== nothing[name],
  )
  return Object.fromEntries(names.map((name) => [name, parsed[name]]))
}

describe('parseTargetedField', () => {
  const table: [what: string, field: FieldValue, expected: Partial<CacheControl>][] = [
    ['a number', 'max-age=60', { maxAge: 60 }],
    ['a large number', 'max-age=99999999999', { maxAge: 2 ** 31 }],
    [
      'flags',
      'no-store, must-revalidate',
      { noStore: true, mustRevalidate: true, allowsAuthorization: true },
    ],
    ['flags written out', 'no-store=?1', { noStore: true }],
    ['fields', 'private="A, b"', { privateFields: ['a', 'b'] }],
    ['several lines as one', ['max-age=60', 'no-cache'], { maxAge: 60, noCache: true }],
    ['no parameters', 'max-age=60;not-for-you, no-store;a=1.5', { maxAge: 60, noStore: true }],
    ['no unknown directives', 'none, x=(a b), y=:aGk=:, z=1.5', {}],
    // RFC 9651 §4.2.2: "the last value"
    ['the last one of a name', 'max-age=60, max-age=5', { maxAge: 5 }],
    ['the last one of a name, also when it is larger', 'max-age=5, max-age=60', { maxAge: 60 }],
  ]
  for (const [what, field, expected] of table) {
    it(`reads ${what}`, () => assert.deepEqual(stated(field), expected))
  }

  // RFC 9213 §2.1: "Implementations SHOULD NOT consume values that violate these inferred constraints."
  const wrong: [field: string, expected: Partial<CacheControl>][] = [
    ['max-age="60"', { maxAge: 0 }],
    ['max-age=60.0', { maxAge: 0 }],
    ['max-age=60.5', { maxAge: 0 }],
    ['max-age=-60', { maxAge: 0 }],
    ['max-age', { maxAge: 0 }],
    ['max-age=soon', { maxAge: 0 }],
    ['max-age=(60)', { maxAge: 0 }],
    ['max-age=?0', { maxAge: 0 }],
    ['max-age=60.0, max-age=60', { maxAge: 60 }],
    ['max-age=60, max-age=60.0', { maxAge: 0 }],
    ['x="a, max-age=1.0", max-age=60', { maxAge: 60 }],
    ['x="\\"", max-age=60;q=0.5', { maxAge: 60 }],
    ['stale-if-error="60"', { staleIfError: 0 }],
    ['public=1, must-understand="x", immutable=?0', {}],
    ['s-maxage="60", must-revalidate=1', { sMaxage: 0, mustRevalidate: true }],
    ['private=a', { private: true }],
    ['private=?0', { private: true }],
    ['no-cache=("a")', { noCache: true }],
    ['no-store=?0', { noStore: true }],
  ]
  for (const [field, expected] of wrong) {
    it(`lets ${field} restrict and permits nothing by it`, () => {
      assert.deepEqual(stated(field), expected)
    })
  }

  // RFC 9213 §2.1: "If a targeted field in a given response is empty, or a parsing error is
  // encountered, that field MUST be ignored".
  const ignored = [
    ...['', '  ', 'max-age=60,', 'max-age=60, &&&&&', 'max-age =60', 'max-age= 60', 'MaX-aGe=60'],
    ...['max-age=1234567890123456', 'private="a', '"no-store"', 'no-store;', 'max-age=6\u00e9'],
  ]
  for (const field of ignored) {
    it(`ignores '${field}'`, () => assert.equal(stated(field), undefined))
  }

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(anyText, fc.array(anyText), fc.double()), (field) => {
        const parsed = parseTargetedField(field)
        assert.ok(parsed === undefined || typeof parsed.noStore === 'boolean')
      }),
      { numRuns: 2000 },
    )
  })

  it('needs no more than a moment for long fields', () => {
    for (const text of ['a="', 'a=1.5, ', '\\"', 'a="\\".", ', '1.', ' ']) {
      const before = process.hrtime.bigint()
      parseTargetedField(text.repeat(20_000))
      assert.ok(process.hrtime.bigint() - before < 2_000_000_000n, text)
    }
    const long = `${'a'.repeat(1_000_000)}.${'\\"'.repeat(1_000_000)}`
    assert.equal(stated(`x="${long}", max-age=60`)?.maxAge, 60)
  })

  it('reads what structured-headers writes: integers, and no decimals', () => {
    const value: fc.Arbitrary<BareItem> = fc.oneof(
      fc.integer({ min: -9999, max: 9999 }),
      fc.integer({ min: 0, max: 999_999_999_999_999 }),
      fc.integer({ min: -9999, max: 9999 }).map((number) => number + 0.5),
      fc.boolean(),
      fc.string({ unit: fc.constantFrom('a', ',', '.', '"', '\\', '=', '1', ' ') }),
      fc.stringMatching(/^[a-z][a-z.:/]{0,5}$/).map((text) => new Token(text)),
    )
    const names = fc.constantFrom('max-age', 's-maxage', 'x', 'y-z')
    fc.assert(
      fc.property(fc.dictionary(names, value, { minKeys: 1 }), (members) => {
        const parsed = parseTargetedField(serializeDictionary(members))!
        for (const [name, key] of [
          ['max-age', 'maxAge'],
          ['s-maxage', 'sMaxage'],
        ] as const) {
          const written = members[name]
          const isGood = typeof written === 'number' && Number.isInteger(written) && written >= 0
          const expected = isGood ? Math.min(written, 2 ** 31) : 0
          assert.equal(parsed[key], written === undefined ? undefined : expected)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('agrees with Cache-Control on what both can say', () => {
    const flags = fc.subarray(['no-store', 'public', 'must-revalidate', 'no-cache', 'immutable'])
    const numbers = fc.dictionary(
      fc.constantFrom('max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'),
      fc.nat(),
    )
    fc.assert(
      fc.property(flags, numbers, fc.boolean(), (names, ages, isPrivate) => {
        const members = [...names, ...Object.entries(ages).map((pair) => pair.join('='))]
        if (isPrivate) members.push('private="a, b"')
        fc.pre(members.length > 0)
        const text = members.join(', ')
        assert.deepEqual(parseTargetedField(text), parseCacheControl(text))
      }),
    )
  })
})

describe('statedPolicy', () => {
  const fields: Fields = {
    'cache-control': 'max-age=1',
    expires: 'Sun, 06 Nov 1994 08:49:37 GMT',
    'cdn-cache-control': 'max-age=2',
    'own-cache-control': 'max-age=3',
    'bad-cache-control': 'max-age=4,',
    'empty-cache-control': '',
  }
  const maxAge = (...targets: string[]): number | undefined =>
    statedPolicy((name) => fields[name], targets).directives.maxAge

  it('takes the first field of the list that is valid and not empty', () => {
    assert.equal(maxAge('cdn-cache-control', 'own-cache-control'), 2)
    assert.equal(maxAge('own-cache-control', 'cdn-cache-control'), 3)
    assert.equal(maxAge('bad-cache-control', 'empty-cache-control', 'cdn-cache-control'), 2)
    assert.equal(maxAge('absent-cache-control', 'cdn-cache-control'), 2)
  })

  it('takes Cache-Control where the list leads nowhere', () => {
    assert.equal(maxAge(), 1)
    assert.equal(maxAge('absent-cache-control', 'bad-cache-control'), 1)
  })

  it('knows no Expires beside a targeted field', () => {
    const expires = (...targets: string[]): FieldValue | undefined =>
      statedPolicy((name) => fields[name], targets).expires
    assert.equal(expires('cdn-cache-control'), undefined)
    assert.equal(expires('bad-cache-control'), fields['expires'])
    assert.equal(expires(), fields['expires'])
  })
})
