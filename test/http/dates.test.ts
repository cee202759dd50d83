import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseHttpDate } from '../../src/http/dates.ts'

const NOW = Date.parse('2026-11-06T08:49:37Z')
const BIRTHDAY = Date.parse('1994-11-06T08:49:37Z')

describe('parseHttpDate', () => {
  const table: [text: string, expected: number][] = [
    // The three forms of RFC 9110 §5.6.7.
    ['Sun, 06 Nov 1994 08:49:37 GMT', BIRTHDAY],
    ['Sunday, 06-Nov-94 08:49:37 GMT', BIRTHDAY],
    ['Sun Nov  6 08:49:37 1994', BIRTHDAY],
    ['Sun Nov 16 08:49:37 1994', BIRTHDAY + 10 * 86_400_000],
    ['sun, 06 nov 1994 08:49:37 gmt', BIRTHDAY],
    [' Sun, 06 Nov 1994 08:49:37 GMT ', BIRTHDAY],
    ['Thu, 29 Feb 2024 00:00:00 GMT', Date.parse('2024-02-29T00:00:00Z')],
    // Less than 50 years ahead, and more.
    ['Wednesday, 01-Jan-76 00:00:00 GMT', Date.parse('2076-01-01T00:00:00Z')],
    ['Saturday, 01-Jan-77 00:00:00 GMT', Date.parse('1977-01-01T00:00:00Z')],
  ]
  for (const [text, expected] of table) {
    it(`reads ${text}`, () => assert.equal(parseHttpDate(text, NOW), expected))
  }

  const wrong = [
    ...['', '0', '-1', '1994', 'Sun', 'tomorrow', 'later 2030', '1994-11-06T08:49:37Z'],
    ...['06 Nov 1994 08:49:37 GMT', 'Sun, 6 Nov 1994 08:49:37 GMT', 'Sun, 06 Nov 1994 08:49 GMT'],
    ...[
      'Sun, 06 Nov 1994 08:49:37',
      'Sun, 06 Nov 1994 08:49:37 CET',
      'Sun, 06 Abc 1994 08:49:37 GMT',
    ],
    ...['Sun, 06 Nov 1994 24:00:00 GMT', 'Sun, 06 Nov 1994 08:60:00 GMT'],
    ...['Sun, 31 Nov 1994 08:49:37 GMT', 'Sun, 00 Nov 1994 08:49:37 GMT'],
    ...['Tue, 29 Feb 2023 00:00:00 GMT', 'Sun, 99 Nov 1994 08:49:37 GMT'],
    ...['Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT'],
  ]
  for (const text of wrong) {
    it(`refuses '${text}'`, () => assert.equal(parseHttpDate(text, NOW), undefined))
  }

  it('reads back every second that JavaScript writes in the form of HTTP', () => {
    const instant = fc.integer({ min: Date.UTC(1000, 0) / 1000, max: Date.UTC(9999, 11) / 1000 })
    fc.assert(
      fc.property(instant, (seconds) => {
        const text = new Date(seconds * 1000).toUTCString()
        assert.equal(parseHttpDate(text, NOW), seconds * 1000)
      }),
      { numRuns: 1000 },
    )
  })

  it('never throws', () => {
    const piece = fc.constantFrom('Sun', ', ', '06', ' ', 'Nov', '1994', '08:49:37', 'GMT', '-')
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: piece }), fc.string()), (text) => {
        const instant = parseHttpDate(text, NOW)
        assert.ok(instant === undefined || Number.isFinite(instant))
      }),
    )
  })
})
