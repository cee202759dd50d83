import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  hasOriginCondition,
  isNotModified,
  notModifiedFields,
  type StoredFields,
  type Validators,
  validatorsOf,
} from '../../src/http/conditional.ts'
import { parseEntityTag } from '../../src/http/entity-tag.ts'

const NOW = Date.parse('2026-11-06T08:49:37.700Z')
const date = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString()

function stored(fields: Record<string, string | string[]>, storedAt = NOW): Validators {
  return validatorsOf(200, Object.entries(fields), storedAt)!
}

describe('validatorsOf', () => {
  it('finds the entity tag, Last-Modified and Date of a 200', () => {
    const validators = stored({ etag: ' W/"a" ', 'last-modified': date(-60), date: date(-5) })
    assert.deepEqual(validators, {
      etag: parseEntityTag('W/"a"'),
      lastModified: { text: date(-60), at: Date.parse(date(-60)) },
      dateAt: Date.parse(date(-5)),
    })
  })

  it('takes the time of storing for a Date that is missing or malformed', () => {
    assert.equal(stored({}).dateAt, NOW)
    assert.equal(stored({ date: 'yesterday' }).dateAt, NOW)
  })

  it('takes what is malformed or there twice for no validator', () => {
    const twice = { etag: ['"a"', '"b"'], 'last-modified': [date(-1), date(-2)] }
    for (const fields of [twice, { etag: 'a', 'last-modified': '0' }]) {
      const { etag, lastModified } = stored(fields)
      assert.deepEqual([etag, lastModified], [undefined, undefined])
    }
    const lines: StoredFields = [
      ['etag', '"a"'],
      ['etag', '"a"'],
    ]
    assert.equal(validatorsOf(200, lines, NOW)?.etag, undefined)
    assert.equal(stored({ etag: ['"a"'] }).etag?.text, '"a"')
  })

  it('gives none for a status other than 200, for which no condition is evaluated', () => {
    for (const status of [203, 204, 206, 301, 404, 410, 500]) {
      assert.equal(validatorsOf(status, [['etag', '"a"']], NOW), undefined)
    }
  })
})

describe('isNotModified with If-None-Match', () => {
  const table: [etag: string | undefined, field: string | string[], expected: boolean][] = [
    ['"a"', '"a"', true],
    ['W/"a"', 'W/"a"', true],
    ['"a"', 'W/"a"', true],
    ['W/"a"', '"a"', true],
    ['"a"', '"b"', false],
    ['"a"', '"a", "b", "c"', true],
    ['"b"', '"a", "b", "c"', true],
    ['"c"', '"a", "b", "c"', true],
    ['"b"', ['"a"', '"b"'], true],
    ['"a,b"', '"x", "a,b"', true],
    ['"b"', '"a,b"', false],
    ['"a"', '*', true],
    [undefined, '*', true],
    [undefined, '"a"', false],
    // Malformed on either side: no match, never an error.
    ['"a"', 'a', false],
    ['a', '"a"', false],
    ['a', 'a', false],
    ['w/"a"', 'w/"a"', false],
    ['"a"', '"a", b', false],
    ['"a"', '*, "a"', false],
    ['"a"', '', false],
    ['"\xfc"', '"\xfc"', true],
  ]
  for (const [etag, field, expected] of table) {
    it(`says ${expected} for ${String(field)} when ${etag} is stored`, () => {
      const validators = stored(etag === undefined ? {} : { etag })
      assert.equal(isNotModified({ 'if-none-match': field }, validators), expected)
    })
  }

  it('comes before If-Modified-Since, whichever way it goes', () => {
    const validators = stored({ etag: '"a"', 'last-modified': date(-100) })
    const changed = { 'if-none-match': '"a"', 'if-modified-since': date(-1000) }
    assert.equal(isNotModified(changed, validators), true)
    const unchanged = { 'if-none-match': '"b"', 'if-modified-since': date(0) }
    assert.equal(isNotModified(unchanged, validators), false)
    const malformed = { 'if-none-match': 'a', 'if-modified-since': date(0) }
    assert.equal(isNotModified(malformed, validators), false)
  })

  it('matches exactly when one of the listed tags has the same opaque tag', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', ',', '*'), maxLength: 2 })
    const anyTag = fc.tuple(fc.constantFrom('', 'W/'), text).map(([weak, t]) => `${weak}"${t}"`)
    fc.assert(
      fc.property(anyTag, fc.array(anyTag), (etag, list) => {
        const strong = list.map((member) => member.replace(/^W\//, ''))
        assert.equal(
          isNotModified({ 'if-none-match': list.join(', ') }, stored({ etag })),
          strong.includes(etag.replace(/^W\//, '')),
        )
      }),
    )
  })
})

describe('isNotModified with If-Modified-Since', () => {
  const table: [what: string, fields: Record<string, string>, since: string, expected: boolean][] =
    [
      ['the same date', { 'last-modified': date(-50) }, date(-50), true],
      ['a later date', { 'last-modified': date(-50) }, date(-20), true],
      ['an earlier date', { 'last-modified': date(-50) }, date(-51), false],
      [
        'the same date in the form of RFC 850',
        { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' },
        'Sunday, 06-Nov-94 08:49:37 GMT',
        true,
      ],
      [
        'the same date in the form of asctime',
        { 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' },
        'Sun Nov  6 08:49:37 1994',
        true,
      ],
      // RFC 9111 §4.3.2, cases 2 and 3.
      ['the Date of a response without Last-Modified', { date: date(-9) }, date(-9), true],
      ['before the Date of such a response', { date: date(-9) }, date(-10), false],
      ['the second after it was stored, without Date', {}, date(1), true],
      ['the second in which it was stored, without Date', {}, date(0), false],
      [
        'an entity tag beside an equal date',
        { etag: '"a"', 'last-modified': date(-9) },
        date(-9),
        true,
      ],
      ['what is no date', { 'last-modified': date(-50) }, 'yesterday', false],
      ['a number', { 'last-modified': date(-50) }, String(NOW), false],
      ['two dates', { 'last-modified': date(-50) }, `${date(0)}, ${date(0)}`, false],
      ['nothing', { 'last-modified': date(-50) }, '', false],
      [
        'a date, and Last-Modified is none',
        { 'last-modified': 'x', date: date(-9) },
        date(-9),
        true,
      ],
    ]
  for (const [what, fields, since, expected] of table) {
    it(`says ${expected} for ${what}`, () => {
      assert.equal(isNotModified({ 'if-modified-since': since }, stored(fields)), expected)
    })
  }

  it('ignores a field with several lines', () => {
    const since = [date(0), date(0)]
    assert.equal(isNotModified({ 'if-modified-since': since }, stored({ date: date(-9) })), false)
  })

  it('says 304 exactly for dates from Last-Modified on', () => {
    const seconds = fc.integer({ min: -1_000_000, max: 1_000_000 })
    fc.assert(
      fc.property(seconds, seconds, (modified, since) => {
        const validators = stored({ 'last-modified': date(modified) })
        const request = { 'if-modified-since': date(since) }
        assert.equal(isNotModified(request, validators), modified <= since)
      }),
    )
  })
})

describe('isNotModified', () => {
  it('reads two fields of a request without conditions, and no more', () => {
    const read: PropertyKey[] = []
    const request = new Proxy<Record<string, string>>(
      { accept: '*/*', range: 'bytes=0-1', 'if-match': '*' },
      {
        get: (target, name) => {
          read.push(name)
          return target[name as string]
        },
      },
    )
    assert.equal(isNotModified(request, stored({ etag: '"a"', 'last-modified': date(-9) })), false)
    assert.deepEqual(read, ['if-none-match', 'if-modified-since'])
  })

  it('never throws, whatever request and stored response say', () => {
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('*', '"a"', date(0)))
    const field = fc.oneof(value, fc.array(value))
    fc.assert(
      fc.property(field, field, field, value, (etag, modified, condition, sentDate) => {
        const validators = stored({ etag, 'last-modified': modified, date: sentDate })
        for (const name of ['if-none-match', 'if-modified-since']) {
          assert.equal(typeof isNotModified({ [name]: condition }, validators), 'boolean')
        }
      }),
    )
  })
})

describe('hasOriginCondition', () => {
  it('finds the conditions that only a handler may evaluate', () => {
    assert.equal(hasOriginCondition({ 'if-match': '*' }), true)
    assert.equal(hasOriginCondition({ 'if-unmodified-since': 'x' }), true)
    assert.equal(hasOriginCondition({ 'if-none-match': '*', 'if-range': '"a"' }), false)
  })
})

describe('notModifiedFields', () => {
  const all: StoredFields = [
    ['cache-control', 'max-age=5'],
    ['content-type', 'text/html'],
    ['content-location', '/a'],
    ['content-encoding', 'gzip'],
    ['content-language', 'de'],
    ['content-length', '5'],
    ['content-md5', 'x'],
    ['content-digest', 'x'],
    ['repr-digest', 'x'],
    ['content-range', 'x'],
    ['date', date(0)],
    ['etag', '"a"'],
    ['expires', date(5)],
    ['last-modified', date(-5)],
    ['set-cookie', ['a=b']],
    ['vary', 'origin'],
    ['access-control-allow-origin', '*'],
    ['content-security-policy', "default-src 'self'"],
    ['link', ['</a>', '</b>']],
    ['x-own', '1'],
  ]
  const kept = new Set([
    ...['cache-control', 'content-location', 'date', 'etag', 'expires', 'vary'],
    ...['access-control-allow-origin', 'content-security-policy', 'link', 'x-own'],
  ])

  it('keeps what a 304 must have and what updates a copy, and nothing of the content', () => {
    assert.deepEqual(
      notModifiedFields(all),
      all.filter(([name]) => kept.has(name)),
    )
  })

  it('keeps Last-Modified when there is no entity tag', () => {
    const fields: StoredFields = [['last-modified', date(-5)]]
    assert.deepEqual(notModifiedFields(fields), fields)
    const malformed: StoredFields = [['etag', 'a'], ...fields]
    assert.deepEqual(notModifiedFields(malformed), malformed)
  })

  it('never adds a field, changes one or moves one', () => {
    const field = fc.tuple(fc.constantFrom(...all.map(([name]) => name)), fc.string())
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        let at = -1
        for (const pair of notModifiedFields(fields)) {
          const next = fields.indexOf(pair as [string, string], at + 1)
          assert.ok(next > at)
          at = next
        }
      }),
    )
  })
})
