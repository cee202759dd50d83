import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseCacheControl } from '../../src/http/cache-control.ts'
import type { Fields } from '../../src/http/fields.ts'
import {
  type StaleWindows,
  type StoredFreshness,
  forbidsStale,
  freshnessOf,
  heuristicLifetime,
  statedLifetime,
} from '../../src/http/lifetime.ts'
import { statedPolicy } from '../../src/http/targeted-fields.ts'
import { directiveField } from './directives.ts'

const NOW = Date.parse('Sun, 06 Nov 1994 08:49:37 GMT')
const DAY = 86_400

function httpDate(seconds: number): string {
  return new Date(NOW + seconds * 1000).toUTCString()
}

function reader(fields: Fields): (name: string) => Fields[string] {
  return (name) => fields[name]
}

describe('statedLifetime', () => {
  function lifetime(fields: Fields): number | undefined {
    return statedLifetime(statedPolicy(reader(fields), []), reader(fields), NOW)
  }
  const cc = (value: string, fields: Fields = {}): Fields => ({ 'cache-control': value, ...fields })

  const table: [what: string, fields: Fields, expected: number | undefined][] = [
    ['nothing', {}, undefined],
    ['max-age', cc('max-age=60'), 60],
    ['s-maxage over a shorter max-age', cc('max-age=1, s-maxage=60'), 60],
    ['s-maxage over a longer max-age', cc('s-maxage=1, max-age=60'), 1],
    ['s-maxage over Expires in the past', cc('s-maxage=60', { expires: httpDate(-10) }), 60],
    ['max-age over Expires in the past', cc('max-age=60', { expires: httpDate(-10) }), 60],
    ['max-age over an invalid Expires', cc('max-age=60', { expires: '0' }), 60],
    ['max-age=0 over Expires in the future', cc('max-age=0', { expires: httpDate(60) }), 0],
    [
      'an unreadable max-age over Expires in the future',
      cc('max-age=x', { expires: httpDate(9) }),
      0,
    ],
    ['an unreadable s-maxage over a good max-age', cc('s-maxage=x, max-age=9'), 0],
    ['Expires from Date on', { expires: httpDate(60), date: httpDate(20) }, 40],
    ['Expires from now on without a Date', { expires: httpDate(60) }, 60],
    ['Expires from now on with an invalid Date', { expires: httpDate(60), date: 'foo' }, 60],
    ['Expires before Date, both in the future', { expires: httpDate(300), date: httpDate(400) }, 0],
    ['Expires at Date', { expires: httpDate(0), date: httpDate(0) }, 0],
    ['Expires beyond 2038', { expires: httpDate(2 ** 31 + 2 ** 31), date: httpDate(0) }, 2 ** 32],
    ['Expires in the form of RFC 850', { expires: 'Sunday, 06-Nov-94 08:50:37 GMT' }, 60],
    ['Expires in the form of asctime', { expires: 'Sun Nov  6 08:50:37 1994' }, 60],
    ['Expires in another case', { expires: 'SUN, 06 NOV 1994 08:50:37 gMT' }, 60],
    ['no use of Pragma', { pragma: 'no-cache', 'cache-control': 'max-age=60' }, 60],
    ['no lifetime in directives without numbers', cc('public, must-revalidate'), undefined],
  ]
  for (const [what, fields, expected] of table) {
    it(`reads ${what}`, () => assert.equal(lifetime(fields), expected))
  }

  // RFC 9111 §5.3: "A cache recipient MUST interpret invalid date formats ... as ... already expired".
  const expired = [
    ...['0', '-1', '', 'never', '60'],
    ...['Thu, 18 Aug 2050 02:01:18 UTC', 'Thu, 18 Aug 2050 02:01:18 AEST'],
    ...['Thu, 18 Aug 50 02:01:18 GMT', 'Thu 18 Aug 2050 02:01:18 GMT'],
    ...['Thu, 18  Aug  2050 02:01:18 GMT', 'Thu, 18-Aug-2050 02:01:18 GMT'],
    ...['Thu, 18 Aug 2050 02.01.18 GMT', 'Thu, 18 Aug 2050 2:01:18 GMT'],
    ...['Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT'],
    ['Thu, 18 Aug 2050 02:01:18 GMT', 'Thu, 18 Aug 2050 02:01:18 GMT'],
  ]
  for (const expires of expired) {
    it(`takes ${JSON.stringify(expires)} in Expires for expired`, () => {
      assert.equal(lifetime({ expires }), 0)
    })
  }
})

describe('heuristicLifetime', () => {
  function lifetime(status: number, fields: Fields): number | undefined {
    const directives = parseCacheControl(fields['cache-control'])
    return heuristicLifetime(status, directives, reader(fields), NOW)
  }

  it('is a tenth of the time since the last modification', () => {
    assert.equal(lifetime(200, { 'last-modified': httpDate(-1000) }), 100)
    assert.equal(lifetime(200, { 'last-modified': httpDate(-1000), date: httpDate(500) }), 150)
  })

  it('is a day at most, and never less than nothing', () => {
    assert.equal(lifetime(200, { 'last-modified': httpDate(-1000 * DAY) }), DAY)
    assert.equal(lifetime(200, { 'last-modified': httpDate(1000) }), 0)
  })

  it('is nothing without a date to go by', () => {
    assert.equal(lifetime(200, {}), undefined)
    assert.equal(lifetime(200, { 'last-modified': 'yesterday' }), undefined)
  })

  // RFC 9110 §15.1
  const cacheable = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]
  const others = [201, 202, 206, 299, 302, 303, 304, 307, 400, 403, 500, 502, 503, 504, 599]
  it('exists for the statuses that are cacheable by default and for no others', () => {
    const fields = { 'last-modified': httpDate(-1000) }
    for (const status of cacheable) assert.equal(lifetime(status, fields), 100, String(status))
    for (const status of others) assert.equal(lifetime(status, fields), undefined, String(status))
  })

  it('exists for any status when the response is public', () => {
    const fields = { 'last-modified': httpDate(-1000), 'cache-control': 'public' }
    assert.equal(lifetime(599, fields), 100)
  })
})

describe('forbidsStale', () => {
  for (const name of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=60']) {
    it(`is what ${name} does`, () => {
      assert.equal(forbidsStale(parseCacheControl(`max-age=1, stale-if-error=9, ${name}`)), true)
    })
  }

  it('is not what others do, nor no-cache for some fields', () => {
    const field = 'public, max-age=1, immutable, no-cache="a"'
    assert.equal(forbidsStale(parseCacheControl(field)), false)
  })
})

describe('freshnessOf', () => {
  function of(field: string, lifetime: number | undefined, windows: StaleWindows = {}): number[] {
    const freshness = freshnessOf(parseCacheControl(field), lifetime, NOW, windows)
    assert.equal(freshness.storedAt, NOW)
    const { freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil } = freshness
    return [freshUntil, staleWhileRevalidateUntil, staleIfErrorUntil].map((at) => (at - NOW) / 1000)
  }
  const windows = { staleWhileRevalidate: 100, staleIfError: 1000 }

  it('has no windows unless something opens them', () => {
    assert.deepEqual(of('', 60), [60, 60, 60])
  })

  it('opens the windows that the response names, counted from the end of its lifetime', () => {
    const field = 'stale-while-revalidate=5, stale-if-error=9'
    assert.deepEqual(of(field, 60), [60, 65, 69])
    assert.deepEqual(of(field, 0), [0, 5, 9])
  })

  it('opens those of the route for what the response does not name', () => {
    assert.deepEqual(of('', 60, windows), [60, 160, 1060])
    assert.deepEqual(of('stale-while-revalidate=0', 60, windows), [60, 60, 1060])
    assert.deepEqual(of('stale-if-error=x', 60, windows), [60, 160, 60])
  })

  it('opens none of the route for a response that is stale from the start', () => {
    assert.deepEqual(of('', 0, windows), [0, 0, 0])
    assert.deepEqual(of('', undefined, windows), [0, 0, 0])
  })

  it('opens none at all where a directive forbids stale answers', () => {
    for (const name of ['must-revalidate', 'proxy-revalidate', 's-maxage=60']) {
      assert.deepEqual(of(`${name}, stale-while-revalidate=5`, 60, windows), [60, 60, 60], name)
    }
  })

  it('is stale at once with no-cache, whatever the lifetime', () => {
    assert.deepEqual(of('no-cache, stale-if-error=9', 60, windows), [0, 0, 0])
    assert.deepEqual(of('no-cache="a"', 60), [60, 60, 60])
  })

  it('tells whether a client may ask for it when it is stale', () => {
    const flag = (field: string, lifetime: number | undefined): boolean =>
      freshnessOf(parseCacheControl(field), lifetime, NOW, {}).mustRevalidate
    assert.equal(flag('', 60), false)
    assert.equal(flag('', 0), false)
    assert.equal(flag('must-revalidate', 60), true)
    assert.equal(flag('no-cache', 60), true)
    assert.equal(flag('', undefined), true)
  })

  it('is whole milliseconds, in their order, for any directives', () => {
    const numbers = fc.option(fc.nat({ max: 2 ** 31 }), { nil: undefined })
    const lifetimes = fc.option(fc.double({ min: 0, max: 2 ** 31, noNaN: true }), {
      nil: undefined,
    })
    const route = fc.record({ staleWhileRevalidate: numbers, staleIfError: numbers })
    fc.assert(
      fc.property(directiveField, lifetimes, route, (members, lifetime, windows) => {
        const directives = parseCacheControl(members.join(', '))
        const freshness: StoredFreshness = freshnessOf(directives, lifetime, NOW, windows)
        const { storedAt, freshUntil, mustRevalidate, ...until } = freshness
        assert.ok(storedAt <= freshUntil && Number.isInteger(freshUntil))
        for (const at of Object.values(until)) {
          assert.ok(mustRevalidate ? at === freshUntil : at >= freshUntil)
          assert.ok(Number.isInteger(at))
        }
      }),
    )
  })
})
