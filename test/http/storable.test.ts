import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import type { Fields } from '../../src/http/fields.ts'
import {
  type StorableResponse,
  type StorableRules,
  storableResponse,
} from '../../src/http/storable.ts'
import { directiveField } from './directives.ts'

const NOW = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT')
const RULES: StorableRules = { targets: [], heuristic: false, validate: false }
const ALL: StorableRules = { targets: ['cdn-cache-control'], heuristic: true, validate: true }

interface Case extends Partial<StorableRules> {
  status?: number
  authorization?: boolean
  noStore?: boolean
}

function httpDate(seconds: number): string {
  return new Date(NOW + seconds * 1000).toUTCString()
}

function judge(fields: Fields, given: Case = {}): StorableResponse | string {
  const { status = 200, authorization = false, noStore = false, ...rules } = given
  return storableResponse(
    { status, field: (name) => fields[name], requestedAt: NOW, receivedAt: NOW },
    { hasAuthorization: authorization, noStore },
    { ...RULES, ...rules },
  )
}

/** The seconds for which it is fresh, or why it is not stored. */
function fresh(fields: Fields, given: Case = {}): number | string {
  const result = judge(fields, given)
  return typeof result === 'string' ? result : (result.freshness.freshUntil - NOW) / 1000
}

function withheld(field: string): readonly string[] | string {
  const result = judge({ 'cache-control': field })
  return typeof result === 'string' ? result : result.withheld
}

const cc = (value: string | string[], fields: Fields = {}): Fields => ({
  'cache-control': value,
  ...fields,
})

describe('storableResponse', () => {
  const table: [what: string, fields: Fields, given: Case, expected: number | string][] = [
    ['a lifetime', cc('max-age=60'), {}, 60],
    ['a lifetime in Expires', { expires: httpDate(60), date: httpDate(0) }, {}, 60],
    ['no lifetime', {}, {}, 'ttl'],
    ['no lifetime left', cc('max-age=60', { age: '60' }), {}, 'ttl'],
    ['a part of its lifetime left', cc('max-age=60', { age: '20' }), {}, 40],
    [
      'a lifetime that a Date in the past has used up',
      cc('max-age=60', { date: httpDate(-60) }),
      {},
      'ttl',
    ],
    ['max-age=0', cc('max-age=0'), {}, 'ttl'],
    ['no-store', cc('max-age=60, No-Store', { expires: httpDate(60) }), {}, 'no-store'],
    ['no-store in the request', cc('max-age=60'), { noStore: true }, 'no-store'],
    ['private', cc('private, max-age=60'), {}, 'private'],
    ['no-cache', cc('max-age=60, no-cache'), {}, 'no-cache'],
    ['Vary: *', cc('max-age=60', { vary: 'accept, *' }), {}, 'vary'],
    ['Vary on anything else', cc('max-age=60', { vary: 'accept' }), {}, 60],
    ['must-revalidate', cc('max-age=60, must-revalidate'), {}, 60],
    ['Pragma, which says nothing in a response', cc('max-age=60', { pragma: 'no-cache' }), {}, 60],
    // RFC 9111 §3: the status code is final, and parts are not stored.
    ['an interim response', cc('max-age=60'), { status: 103 }, 'status'],
    ['a part', cc('max-age=60'), { status: 206 }, 'status'],
    ['a 304', cc('max-age=60'), { status: 304 }, 'status'],
    // RFC 9111 §3.5
    ['an answer to Authorization', cc('max-age=60'), { authorization: true }, 'authorization'],
    [
      'an answer to Authorization, with Expires',
      { expires: httpDate(60) },
      { authorization: true },
      'authorization',
    ],
    ['a public one', cc('max-age=60, public'), { authorization: true }, 60],
    ['one with must-revalidate', cc('max-age=60, must-revalidate'), { authorization: true }, 60],
    ['one with s-maxage', cc('s-maxage=60'), { authorization: true }, 60],
    [
      'one with an s-maxage that cannot be read',
      cc('s-maxage=x'),
      { authorization: true },
      'authorization',
    ],
    [
      'one with proxy-revalidate',
      cc('max-age=60, proxy-revalidate'),
      { authorization: true },
      'authorization',
    ],
    [
      'one with a public that is not well written',
      cc('max-age=60, public=1'),
      { authorization: true },
      'authorization',
    ],
    [
      'one that is private after all',
      cc('max-age=60, public, private'),
      { authorization: true },
      'private',
    ],
    // RFC 9111 §5.2.2.3
    ['must-understand beside no-store', cc('max-age=60, no-store, must-understand'), {}, 60],
    [
      'the same with no-store in the request',
      cc('max-age=60, must-understand'),
      { noStore: true },
      'no-store',
    ],
    [
      'the same with a status that nobody knows',
      cc('max-age=60, no-store, must-understand'),
      { status: 599 },
      'status',
    ],
    [
      'must-understand alone with such a status',
      cc('max-age=60, must-understand'),
      { status: 299 },
      'status',
    ],
    [
      'must-understand where private forbids',
      cc('max-age=60, private, must-understand'),
      {},
      'private',
    ],
  ]
  for (const [what, fields, given, expected] of table) {
    it(`${typeof expected === 'number' ? 'stores' : 'does not store'}: ${what}`, () => {
      assert.equal(fresh(fields, given), expected)
    })
  }

  it('stores any final status that states a lifetime', () => {
    const statuses = [
      ...[200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499],
      ...[500, 502, 503, 504, 599],
    ]
    for (const status of statuses) {
      assert.equal(fresh(cc('max-age=60'), { status }), 60, String(status))
      assert.equal(fresh({ expires: httpDate(-60) }, { status }), 'ttl', String(status))
    }
  })

  it('guesses a lifetime only when it is told to', () => {
    const fields = { 'last-modified': httpDate(-1000), date: httpDate(0) }
    assert.equal(fresh(fields), 'ttl')
    assert.equal(fresh(fields, { heuristic: true }), 100)
    assert.equal(fresh(fields, { heuristic: true, status: 201 }), 'ttl')
    assert.equal(fresh({ ...fields, expires: '0' }, { heuristic: true }), 'ttl')
  })

  it('keeps what has to be validated only when it is told to, and when it can be', () => {
    const validate = true
    const etag = { etag: '"a"' }
    assert.equal(fresh(cc('no-cache', etag)), 'no-cache')
    assert.equal(fresh(cc('no-cache', etag), { validate }), 0)
    assert.equal(fresh(cc('no-cache, max-age=60', etag), { validate }), 0)
    assert.equal(fresh(cc('no-cache'), { validate }), 'no-cache')
    assert.equal(fresh(cc('max-age=0', etag), { validate }), 0)
    assert.equal(fresh(cc('max-age=0', { 'last-modified': httpDate(-9) }), { validate }), 0)
    assert.equal(fresh(etag, { validate }), 0)
    assert.equal(fresh({}, { validate }), 'ttl')
    // RFC 9111 §3: a status that is not cacheable by default needs a word that makes it so.
    assert.equal(fresh(etag, { validate, status: 500 }), 'ttl')
    assert.equal(fresh(cc('no-cache', etag), { validate, status: 500 }), 'no-cache')
    assert.equal(fresh(cc('public', etag), { validate, status: 500 }), 0)
  })

  it('keeps what is stale already while a window of its own lets it be used', () => {
    const result = judge(cc('max-age=0, stale-while-revalidate=5, stale-if-error=9'))
    assert.ok(typeof result !== 'string')
    assert.deepEqual(result.freshness, {
      storedAt: NOW,
      freshUntil: NOW,
      staleWhileRevalidateUntil: NOW + 5000,
      staleIfErrorUntil: NOW + 9000,
      mustRevalidate: false,
    })
    assert.equal(fresh(cc('max-age=5, stale-if-error=9', { age: '20' })), 'ttl')
  })

  it('opens the windows of the route for a response with a lifetime, and for no other', () => {
    const windows = { staleWhileRevalidate: 10, staleIfError: 100 }
    const result = judge(cc('max-age=60'), windows)
    assert.ok(typeof result !== 'string')
    assert.equal(result.freshness.staleWhileRevalidateUntil, NOW + 70_000)
    assert.equal(result.freshness.staleIfErrorUntil, NOW + 160_000)
    assert.equal(fresh(cc('max-age=0'), windows), 'ttl')
    assert.equal(fresh({ expires: '0' }, windows), 'ttl')
    assert.equal(fresh({}, windows), 'ttl')
  })

  it('counts age from before the request was answered', () => {
    const fields = cc('max-age=60', { age: '10' })
    const result = storableResponse(
      { status: 200, field: (name) => fields[name], requestedAt: NOW - 3000, receivedAt: NOW },
      { hasAuthorization: false, noStore: false },
      RULES,
    )
    assert.ok(typeof result !== 'string')
    assert.equal(result.freshness.storedAt, NOW - 13_000)
    assert.equal(result.freshness.freshUntil, NOW + 47_000)
  })

  it('leaves out the fields that no-cache and private name', () => {
    assert.deepEqual(withheld('max-age=60'), [])
    assert.deepEqual(withheld('max-age=60, private="A, b"'), ['a', 'b'])
    assert.deepEqual(withheld('max-age=60, no-cache="Set-Cookie"'), ['set-cookie'])
    assert.deepEqual(withheld('max-age=60, no-cache="a", private="b"'), ['b', 'a'])
  })

  it('stores nothing when what is left out would make the rest something else', () => {
    assert.equal(withheld('max-age=60, private="Content-Encoding"'), 'private')
    assert.equal(withheld('max-age=60, no-cache="x, vary"'), 'no-cache')
    assert.equal(withheld('max-age=60, private="content-type"'), 'private')
  })

  it('follows a targeted field in place of Cache-Control and Expires', () => {
    const targeted = (value: string, fields: Fields): number | string =>
      fresh({ ...fields, 'cdn-cache-control': value }, { targets: ALL.targets })
    assert.equal(targeted('max-age=60', cc('no-store')), 60)
    assert.equal(targeted('max-age=1', cc('max-age=60')), 1)
    assert.equal(targeted('max-age=60', { expires: httpDate(-10) }), 60)
    assert.equal(targeted('max-age=0', { expires: httpDate(60) }), 'ttl')
    assert.equal(targeted('private', cc('max-age=60')), 'private')
    assert.equal(targeted('no-cache', cc('max-age=60')), 'no-cache')
    assert.equal(targeted('no-store', cc('max-age=60')), 'no-store')
    assert.equal(targeted('none', { expires: httpDate(60) }), 'ttl')
    assert.equal(targeted('max-age=60, &&&&&', cc('no-store')), 'no-store')
    assert.equal(targeted('max-age="60"', cc('no-store')), 'ttl')
    assert.equal(targeted('max-age =60', cc('max-age=1')), 1)
    assert.equal(targeted('max-age=60', { age: '90' }), 'ttl')
  })

  it('stores nothing that a directive forbids, under any rules', () => {
    const forbidding: [string, string][] = [
      ['no-store', 'no-store'],
      ['private', 'private'],
    ]
    fc.assert(
      fc.property(
        directiveField,
        fc.constantFrom(...forbidding),
        (members, [directive, reason]) => {
          fc.pre(
            !members.includes('must-understand') && !members.some((m) => m.startsWith('private')),
          )
          const field = [...members, directive, 'max-age=60', 'public'].join(', ')
          assert.equal(fresh(cc(field, { etag: '"a"' }), ALL), reason)
        },
      ),
    )
  })

  it('never takes longer for fresh what has one more directive that restricts', () => {
    const restricting = fc.constantFrom(
      ...['no-store', 'private', 'no-cache', 'max-age=x', 'max-age=5', 's-maxage=0', 'private="a"'],
      ...['must-revalidate', 'stale-while-revalidate=0', 'stale-if-error=-1', ';', 'x="'],
    )
    const until = (members: string[]): number => {
      const result = judge(cc(members.join(', '), { etag: '"a"' }), ALL)
      return typeof result === 'string' ? 0 : result.freshness.staleIfErrorUntil
    }
    fc.assert(
      fc.property(directiveField, restricting, (members, directive) => {
        const stated = [...members, 'max-age=60', 'stale-if-error=9']
        assert.ok(until([...stated, directive]) <= until(stated))
      }),
    )
  })

  it('never throws', () => {
    const value = fc.oneof(fc.string(), fc.array(fc.string()), fc.nat())
    const names = ['cache-control', 'expires', 'date', 'age', 'vary', 'last-modified']
    const fields = fc.dictionary(fc.constantFrom(...names, 'cdn-cache-control'), value)
    fc.assert(
      fc.property(fields, fc.nat({ max: 999 }), (any, status) => {
        const result = fresh(any, { status, ...ALL })
        assert.ok(typeof result === 'string' || Number.isFinite(result))
      }),
      { numRuns: 1000 },
    )
  })
})
