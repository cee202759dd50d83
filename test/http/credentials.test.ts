import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  CREDENTIAL_FIELDS,
  cookiePairs,
  cookieValue,
  type RequestFields,
  uncoveredCredential,
} from '../../src/http/credentials.ts'

function uncovered(
  fields: RequestFields,
  { headers = [], cookies = [] }: { headers?: string[]; cookies?: string[] } = {},
): string | undefined {
  const names = [...CREDENTIAL_FIELDS, 'x-api-key']
  return uncoveredCredential(fields, names, {
    headers: new Set(headers),
    cookies: new Set(cookies),
  })
}

describe('uncoveredCredential', () => {
  it('finds nothing in an anonymous request', () => {
    assert.equal(uncovered({ accept: '*/*', host: 'a' }), undefined)
  })

  for (const name of ['authorization', 'cookie', 'proxy-authorization', 'x-api-key']) {
    it(`finds ${name}, an empty one too`, () => {
      assert.equal(uncovered({ [name]: 'x=1' }), name)
      assert.equal(uncovered({ [name]: '' }), name)
    })

    it(`lets ${name} be when the key covers it`, () => {
      assert.equal(uncovered({ [name]: 'x=1' }, { headers: [name] }), undefined)
    })
  }

  it('finds the second credential when only the first is covered', () => {
    const fields = { authorization: 'a', cookie: 'b=1' }
    assert.equal(uncovered(fields, { headers: ['authorization'] }), 'cookie')
  })

  it('takes a Cookie field as covered only when every cookie in it is', () => {
    const keyed = { cookies: ['lang', 'theme'] }
    assert.equal(uncovered({ cookie: 'lang=de' }, keyed), undefined)
    assert.equal(uncovered({ cookie: 'theme=x; lang=de' }, keyed), undefined)
    assert.equal(uncovered({ cookie: 'lang=de; sid=1' }, keyed), 'cookie')
    assert.equal(uncovered({ cookie: 'lang=de; sid' }, keyed), 'cookie')
    assert.equal(uncovered({ cookie: 'LANG=de' }, keyed), 'cookie')
    assert.equal(uncovered({ cookie: 'lang=de;=odd' }, keyed), 'cookie')
  })

  it('always has the fields of HTTP itself on its list', () => {
    assert.deepEqual(CREDENTIAL_FIELDS, ['authorization', 'cookie', 'proxy-authorization'])
  })
})

describe('cookiePairs', () => {
  const table: [field: string | string[], expected: [string, string][]][] = [
    ['', []],
    ['a=1', [['a', '1']]],
    [
      'a=1; b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [
      'a=1;b=2',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [' a = 1 ', [['a', '1']]],
    ['a=b=c', [['a', 'b=c']]],
    ['a="x y"', [['a', '"x y"']]],
    ['a=%20', [['a', '%20']]],
    ['a=', [['a', '']]],
    // Cookie parsers skip it: it is no cookie, but something was sent.
    ['a', [['', 'a']]],
    ['=x', [['', 'x']]],
    [';;a=1;', [['a', '1']]],
    [
      'a=1; a=2',
      [
        ['a', '1'],
        ['a', '2'],
      ],
    ],
    [
      ['a=1', 'b=2'],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
  ]
  for (const [field, expected] of table) {
    it(`reads ${JSON.stringify(field)}`, () => assert.deepEqual(cookiePairs(field), expected))
  }

  it('never throws, and never puts a separator into a name or a value', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '=', ';', ' ', '"', ',') }), (field) => {
        for (const [name, value] of cookiePairs(field)) {
          assert.ok(!name.includes(';') && !name.includes('=') && !value.includes(';'))
        }
      }),
    )
  })
})

describe('cookieValue', () => {
  it('gives all values of the one cookie, in their order', () => {
    assert.equal(cookieValue('a=1; b=2; a=3', 'a'), '1;3')
    assert.notEqual(cookieValue('a=1; a=3', 'a'), cookieValue('a=3; a=1', 'a'))
  })

  it('keeps a cookie that is not there apart from an empty one', () => {
    assert.equal(cookieValue('b=2', 'a'), undefined)
    assert.equal(cookieValue(undefined, 'a'), undefined)
    assert.equal(cookieValue('a=', 'a'), '')
  })

  it('keeps a cookie without an equals sign, which cookie parsers skip, apart from an empty one', () => {
    assert.notEqual(cookieValue('a', 'a'), cookieValue('a=', 'a'))
  })
})
