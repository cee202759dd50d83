import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { seconds } from '../src/durations.ts'

const TEN_YEARS = 315_576_000

describe('seconds', () => {
  const table: [value: unknown, expected: number][] = [
    [1, 1],
    [0.5, 0.5],
    [TEN_YEARS, TEN_YEARS],
    ['500ms', 0.5],
    ['30s', 30],
    ['30 seconds', 30],
    ['5m', 300],
    ['1h', 3600],
    ['7d', 604_800],
    ['1.5h', 5400],
    ['1H', 3600],
    ['10y', TEN_YEARS],
  ]
  for (const [value, expected] of table) {
    it(`reads ${JSON.stringify(value)} as ${expected} s`, () => {
      assert.equal(seconds(value), expected)
    })
  }

  const wrong: unknown[] = [
    ...[0, -0, -1, NaN, Infinity, -Infinity, TEN_YEARS + 1, 2 ** 53],
    ...['', '0', '60', '0s', '-5m', '5 parsecs', 's', 'soon', '5m5', '1h 30m', '11y', '1e3', '5ｍ'],
    ...[null, undefined, true, {}, [], [5], 5n, Symbol('5s'), () => 5, new Date(5)],
  ]
  for (const value of wrong) {
    it(`refuses ${typeof value} ${Array.isArray(value) ? 'list' : String(value)}`, () => {
      assert.equal(seconds(value), undefined)
    })
  }

  it('gives a length above 0 and up to ten years, or nothing, for any value, and never throws', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        const length = seconds(value)
        if (length !== undefined) assert.ok(length > 0 && length <= TEN_YEARS)
      }),
    )
  })
})
