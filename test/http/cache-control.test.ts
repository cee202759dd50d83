import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { deltaSeconds, parseCacheControl } from '../../src/http/cache-control.ts'

type Expected = Record<string, string | true>

describe('parseCacheControl', () => {
  const table: [what: string, field: string | string[], expected: Expected][] = [
    ['nothing', '', {}],
    ['one directive', 'no-store', { 'no-store': true }],
    ['directives and arguments', 'public, max-age=60', { public: true, 'max-age': '60' }],
    ['names in any case', 'Max-Age=60, NO-STORE', { 'max-age': '60', 'no-store': true }],
    ['several fields as one', ['max-age=60', 'private'], { 'max-age': '60', private: true }],
    ['quoted arguments', 'max-age="60"', { 'max-age': '60' }],
    ['quoted pairs', 'x="a\\"b\\\\"', { x: 'a"b\\' }],
    [
      'commas in quotes',
      'private="a, no-store", max-age=1',
      { private: 'a, no-store', 'max-age': '1' },
    ],
    [
      'spaces around everything',
      ' max-age =  60 ,\tno-cache ',
      { 'max-age': '60', 'no-cache': true },
    ],
    ['empty members', ',,max-age=1,,', { 'max-age': '1' }],
    ['a missing argument', 'max-age=, s-maxage', { 'max-age': true, 's-maxage': true }],
    ['an argument that is no number', 'max-age=soon', { 'max-age': 'soon' }],
    ['unknown directives', 'immutable, x-y=z', { immutable: true, 'x-y': 'z' }],
  ]
  for (const [what, field, expected] of table) {
    it(`reads ${what}`, () => {
      assert.deepEqual(Object.fromEntries(parseCacheControl(field)), expected)
    })
  }

  const restrictive: [what: string, field: string, name: string, value: string | true][] = [
    ['the smaller of two numbers', 'max-age=60, max-age=5', 'max-age', '5'],
    ['the smaller of two numbers in the other order', 'max-age=5, max-age=60', 'max-age', '5'],
    ['zero beside a number that is none', 'max-age=60, max-age=x', 'max-age', '0'],
    ['a missing argument before a number', 'max-age, max-age=60', 'max-age', true],
    ['zero for a number before a missing argument', 'max-age=60, max-age', 'max-age', '0'],
    ['all of private, not only the fields it names', 'private="a", private', 'private', true],
    ['all of private when it names fields twice', 'private="a", private="b"', 'private', true],
    ['no-store after a quote that never ends', 'private="a, no-store', 'no-store', true],
    ['no-store after a member it cannot read', '"?", =x, no-store', 'no-store', true],
    ['no-store with an argument nobody asked for', 'no-store=0', 'no-store', '0'],
    ['private after a semicolon, which some senders write', 'public; private', 'private', true],
    ['private after a number and a semicolon', 'max-age=60; private', 'private', true],
  ]
  for (const [what, field, name, value] of restrictive) {
    it(`reads ${what}`, () => assert.equal(parseCacheControl(field).get(name), value))
  }

  it('does not take what is in quotes for a directive', () => {
    const directives = parseCacheControl('x="no-store, private", max-age=1')
    assert.deepEqual([...directives.keys()], ['x', 'max-age'])
  })

  it('never throws and always ends', () => {
    const odd = fc.string({ unit: fc.constantFrom('a', '=', '"', '\\', ',', ' ', ';', '\t', '1') })
    fc.assert(
      fc.property(fc.oneof(odd, fc.string({ unit: 'binary' })), (field) => {
        parseCacheControl(field)
      }),
      { numRuns: 2000 },
    )
  })

  it('finds a forbidding directive among any well-formed others, in any order', () => {
    const token = fc.stringMatching(/^[a-z-]{1,8}$/)
    const quoted = fc.string({ unit: fc.constantFrom('a', ',', '=', ' ', 'no-store') })
    const member = fc.oneof(
      token,
      fc.tuple(token, token).map((pair) => pair.join('=')),
      fc.tuple(token, quoted).map(([name, text]) => `${name}="${text}"`),
    )
    const forbidding = fc.constantFrom('no-store', 'private', 'no-cache', 'No-Store', 'PRIVATE')
    fc.assert(
      fc.property(fc.array(member), forbidding, fc.array(member), (before, name, after) => {
        const field = [...before, name, ...after].join(',')
        assert.ok(parseCacheControl(field).has(name.toLowerCase()), field)
      }),
    )
  })

  it('never reads a longer lifetime out of a repeated directive than its smallest', () => {
    const numbers = fc.array(fc.nat(), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(numbers, (ages) => {
        const field = ages.map((age) => `max-age=${age}`).join(', ')
        const smallest = Math.min(...ages, 2 ** 31)
        assert.equal(deltaSeconds(parseCacheControl(field).get('max-age')), smallest)
      }),
    )
  })

  it('gives the right answer for one field after another', () => {
    assert.ok(parseCacheControl('no-store').has('no-store'))
    assert.ok(!parseCacheControl('max-age=1').has('no-store'))
    assert.ok(parseCacheControl('no-store').has('no-store'))
    assert.equal(parseCacheControl(undefined).size, 0)
  })
})

describe('deltaSeconds', () => {
  const table: [argument: string | true | undefined, expected: number | undefined][] = [
    ['0', 0],
    ['60', 60],
    ['0060', 60],
    ['2147483648', 2 ** 31],
    ['99999999999999999999999', 2 ** 31],
    ['-1', undefined],
    ['+1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['', undefined],
    [true, undefined],
    [undefined, undefined],
  ]
  for (const [argument, expected] of table) {
    it(`reads ${JSON.stringify(argument)} as ${expected}`, () => {
      assert.equal(deltaSeconds(argument), expected)
    })
  }
})
