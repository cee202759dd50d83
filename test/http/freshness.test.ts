import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { ageCountsFrom } from '../../src/http/age.ts'
import type { Fields } from '../../src/http/fields.ts'
import {
  currentAge,
  isFresh,
  mayServeOnError,
  mayServeWhileRevalidating,
  remainingLifetime,
} from '../../src/http/freshness.ts'
import { statedLifetime } from '../../src/http/lifetime.ts'
import type { FieldReader } from '../../src/http/storability.ts'
import { statedPolicy } from '../../src/http/targeted-fields.ts'

const NOW = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT')
const in60 = 'Sun, 06 Nov 1994 08:50:37 GMT'

function lifetime(fields: Fields): number | undefined {
  const field: FieldReader = (name) => fields[name]
  const stated = statedLifetime(statedPolicy(field, []), field, NOW)
  if (stated === undefined) return undefined
  const countsFrom = ageCountsFrom(field, { requestedAt: NOW, receivedAt: NOW })
  return Math.max(0, stated - (NOW - countsFrom) / 1000)
}

describe('the lifetime that is left of what the fields state', () => {
  const table: [what: string, fields: Fields, expected: number | undefined][] = [
    ['nothing is stated', {}, undefined],
    ['only that it is public', { 'cache-control': 'public' }, undefined],
    ['max-age', { 'cache-control': 'max-age=60' }, 60],
    ['s-maxage', { 'cache-control': 's-maxage=30' }, 30],
    ['s-maxage over max-age', { 'cache-control': 'max-age=60, s-maxage=30' }, 30],
    ['a longer s-maxage over max-age', { 'cache-control': 's-maxage=90, max-age=60' }, 90],
    ['max-age over Expires', { 'cache-control': 'max-age=5', expires: in60 }, 5],
    ['an unreadable max-age over Expires', { 'cache-control': 'max-age=x', expires: in60 }, 0],
    ['an unreadable s-maxage over max-age', { 'cache-control': 's-maxage=, max-age=60' }, 0],
    ['Expires, counted from now', { expires: in60 }, 60],
    ['Expires, counted from Date', { expires: in60, date: 'Sun, 06 Nov 1994 08:50:07 GMT' }, 30],
    ['Expires with an unreadable Date', { expires: in60, date: 'yesterday' }, 60],
    ['Expires in the past', { expires: 'Sun, 06 Nov 1994 08:49:36 GMT' }, 0],
    ['Expires before Date', { expires: in60, date: 'Sun, 06 Nov 1994 09:00:00 GMT' }, 0],
    ['Expires: 0', { expires: '0' }, 0],
    ['Expires: -1', { expires: '-1' }, 0],
    ['Expires as a number', { expires: 0 }, 0],
    ['Expires that is no date', { expires: 'later' }, 0],
    ['Expires that is no HTTP-date, with a year', { expires: 'later 2030' }, 0],
    ['Expires twice', { expires: [in60, in60] }, 0],
    [
      'Expires on a day that its month does not have',
      { expires: 'Wed, 30 Feb 2033 08:50:37 GMT' },
      0,
    ],
    ['Expires in the form of RFC 850', { expires: 'Sunday, 06-Nov-94 08:50:37 GMT' }, 60],
    ['less the age it has', { 'cache-control': 'max-age=60', age: '20' }, 40],
    ['less the age as a number', { 'cache-control': 'max-age=60', age: 20 }, 40],
    ['nothing left of it', { 'cache-control': 'max-age=60', age: '90' }, 0],
    ['Age that is no number', { 'cache-control': 'max-age=60', age: 'old' }, 60],
    ['the first of two ages', { 'cache-control': 'max-age=60', age: '20, 0' }, 40],
    [
      'less what its Date is behind',
      { 'cache-control': 'max-age=60', date: 'Sun, 06 Nov 1994 08:49:07 GMT' },
      30,
    ],
    ['Age without a lifetime', { age: '20' }, undefined],
  ]
  for (const [what, fields, expected] of table) {
    it(`reads: ${what}`, () => assert.equal(lifetime(fields), expected))
  }

  it('reads the form of asctime as UTC, whatever the time zone of the server', (t) => {
    const before = process.env['TZ']
    t.after(() => {
      if (before === undefined) delete process.env['TZ']
      else process.env['TZ'] = before
    })
    process.env['TZ'] = 'America/New_York'
    assert.equal(lifetime({ expires: 'Sun Nov  6 08:50:37 1994' }), 60)
  })

  it('is never negative and never more than what is stated', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (maxAge, age) => {
        const left = lifetime({ 'cache-control': `max-age=${maxAge}`, age: String(age) })!
        assert.ok(left >= 0 && left <= maxAge)
      }),
    )
  })
})

describe('isFresh', () => {
  const stored = { storedAt: 1_000_000, freshUntil: 1_060_000 }

  it('holds until the instant at which the lifetime ends', () => {
    assert.equal(isFresh(stored, 1_000_000), true)
    assert.equal(isFresh(stored, 1_059_999), true)
    assert.equal(isFresh(stored, 1_060_000), false)
  })

  it('allows the clocks of two servers to differ a little', () => {
    assert.equal(isFresh(stored, 999_000), true)
  })

  it('ends when the clock was set far back: a response must not live longer than its ttl', () => {
    assert.equal(isFresh(stored, 1_000_000 - 3_600_000), false)
  })
})

describe('currentAge and remainingLifetime', () => {
  const instants = fc.record({
    storedAt: fc.integer({ min: 1, max: 1e12 }),
    length: fc.integer({ min: 1, max: 1e10 }),
    passed: fc.integer({ min: -1e6, max: 1e10 }),
  })

  it('are whole seconds; an age is never negative, and what remains only of what is stale', () => {
    fc.assert(
      fc.property(instants, ({ storedAt, length, passed }) => {
        const stored = { storedAt, freshUntil: storedAt + length }
        const now = storedAt + passed
        const [age, remaining] = [currentAge(stored, now), remainingLifetime(stored, now)]
        assert.ok(Number.isInteger(age) && age >= 0)
        assert.ok(Number.isInteger(remaining) && remaining >= 0 === now <= stored.freshUntil)
      }),
    )
  })

  it('add up to the lifetime, less at most the second in which they are asked', () => {
    fc.assert(
      fc.property(instants, ({ storedAt, length, passed }) => {
        fc.pre(passed >= 0 && passed < length)
        const stored = { storedAt, freshUntil: storedAt + length }
        const now = storedAt + passed
        const sum = currentAge(stored, now) + remainingLifetime(stored, now)
        assert.ok(sum <= length / 1000 && sum > length / 1000 - 2)
      }),
    )
  })
})

describe('mayServeWhileRevalidating and mayServeOnError', () => {
  const stored = {
    storedAt: 1_000_000,
    freshUntil: 1_060_000,
    staleWhileRevalidateUntil: 1_070_000,
    staleIfErrorUntil: 1_080_000,
    mustRevalidate: false,
  }

  it('hold until the instant at which their window ends', () => {
    assert.equal(mayServeWhileRevalidating(stored, 1_069_999), true)
    assert.equal(mayServeWhileRevalidating(stored, 1_070_000), false)
    assert.equal(mayServeOnError(stored, 1_079_999), true)
    assert.equal(mayServeOnError(stored, 1_080_000), false)
  })

  // Regression: what was invalidated while it was fresh answered in place of errors, unasked.
  it('hold at no time without a window of their own', () => {
    const plain = { ...stored, staleIfErrorUntil: stored.freshUntil }
    assert.equal(mayServeOnError(plain, 1_030_000), false)
    assert.equal(mayServeOnError(plain, 1_060_000), false)
  })

  it('end when the clock was set far back', () => {
    assert.equal(mayServeWhileRevalidating(stored, 1), false)
    assert.equal(mayServeOnError(stored, 1), false)
  })
})
