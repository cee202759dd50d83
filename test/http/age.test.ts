import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { ageCountsFrom, dateOf, parseAge } from '../../src/http/age.ts'
import type { FieldValue, Fields } from '../../src/http/fields.ts'

const NOW = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT')

function httpDate(at: number): string {
  return new Date(at).toUTCString()
}

describe('parseAge', () => {
  const table: [what: string, value: FieldValue | undefined, expected: number | undefined][] = [
    ['nothing', undefined, undefined],
    ['a number of seconds', '7200', 7200],
    ['a number that is no text', 7200, 7200],
    ['zero', '0', 0],
    ['spaces around it', ' 7200 ', 7200],
    ['the limit', '2147483648', 2 ** 31],
    ['more than the limit', '99999999999', 2 ** 31],
    ['of a list the first member', '7200, 0', 7200],
    ['of a list the first member, though a later one is older', '0, 7200', 0],
    ['of two lines the first', ['0', '7200'], 0],
    ['of two lines the first, also when it is older', ['7200', '0'], 7200],
    ['no lines', [], undefined],
    // RFC 9111 §5.1: "If the field value ... is invalid ..., a cache SHOULD ignore the field."
    ['letters as nothing', 'abc', undefined],
    ['a negative number as nothing', '-7200', undefined],
    ['a decimal number as nothing', '7200.0', undefined],
    ['a parameter as nothing', '7200;foo=bar', undefined],
    ['a first member that is none as nothing', 'x, 7200', undefined],
    ['an empty first member as nothing', ', 7200', undefined],
    ['an empty field as nothing', '', undefined],
  ]
  for (const [what, value, expected] of table) {
    it(`reads ${what}`, () => assert.equal(parseAge(value), expected))
  }

  it('never throws and is a whole number of seconds or nothing', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^[\d,.; -]{0,8}$/))
    fc.assert(
      fc.property(fc.oneof(text, fc.array(text), fc.double()), (value) => {
        const age = parseAge(value)
        assert.ok(age === undefined || (Number.isInteger(age) && age >= 0 && age <= 2 ** 31))
      }),
    )
  })
})

describe('dateOf', () => {
  const table: [what: string, date: FieldValue | undefined, expected: number][] = [
    ['a date', httpDate(NOW - 5000), NOW - 5000],
    ['the time of receipt without one', undefined, NOW],
    ['the time of receipt for one that is invalid', 'foo', NOW],
    ['the time of receipt for two', [httpDate(0), httpDate(0)], NOW],
  ]
  for (const [what, date, expected] of table) {
    it(`is ${what}`, () =>
      assert.equal(
        dateOf((name) => (name === 'date' ? date : undefined), NOW),
        expected,
      ))
  }
})

describe('ageCountsFrom', () => {
  function initialAge(fields: Fields, { delay = 0, fraction = 0 } = {}): number {
    const receivedAt = NOW + fraction
    const received = { requestedAt: receivedAt - delay, receivedAt }
    return (receivedAt - ageCountsFrom((name) => fields[name], received)) / 1000
  }

  it('is the time of receipt for a response that says nothing', () => {
    assert.equal(initialAge({}), 0)
  })

  it('is earlier by the age that the response has', () => {
    assert.equal(initialAge({ age: '30' }), 30)
  })

  it('is earlier by what the Date is behind, when there is no Age', () => {
    assert.equal(initialAge({ date: httpDate(NOW - 7_200_000) }), 7200)
  })

  it('is what the older of Age and Date leads to', () => {
    assert.equal(initialAge({ age: '30', date: httpDate(NOW - 7_200_000) }), 7200)
    assert.equal(initialAge({ age: '9000', date: httpDate(NOW - 7_200_000) }), 9000)
  })

  it('adds the time that the response took to the Age, and not to the Date', () => {
    assert.equal(initialAge({ age: '30' }, { delay: 5000 }), 35)
    assert.equal(initialAge({}, { delay: 5000 }), 5)
    assert.equal(initialAge({ date: httpDate(NOW - 60_000) }, { delay: 5000 }), 60)
  })

  it('takes no notice of a Date in the future, and none of one that is invalid', () => {
    assert.equal(initialAge({ date: httpDate(NOW + 7_200_000) }), 0)
    assert.equal(initialAge({ date: 'foo', age: '5' }), 5)
  })

  it('does not take the rest of the second in which a Date was written for age', () => {
    assert.equal(initialAge({ date: httpDate(NOW) }, { fraction: 999 }), 0)
    assert.equal(initialAge({ date: httpDate(NOW) }, { fraction: 1000 }), 1)
  })

  it('takes a request from the future, after the clock was set back, for one without delay', () => {
    assert.equal(initialAge({ age: '5' }, { delay: -60_000 }), 5)
  })

  it('is an instant after the epoch and never in the future, whatever the fields say', () => {
    const year = fc.integer({ min: 1000, max: 9999 })
    const date = year.map((value) => new Date(Date.UTC(value, 1)).toUTCString())
    const age = fc.oneof(fc.nat().map(String), fc.string())
    fc.assert(
      fc.property(date, age, fc.nat(), (dateText, ageText, delay) => {
        const fields: Fields = { date: dateText, age: ageText }
        const received = { requestedAt: NOW - delay, receivedAt: NOW }
        const from = ageCountsFrom((name) => fields[name], received)
        assert.ok(from > 0 && from <= NOW - Math.min(delay, NOW - 1))
      }),
    )
  })
})
