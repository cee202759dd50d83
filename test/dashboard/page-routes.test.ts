import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import type { RouteTick } from '../../src/dashboard/messages.ts'
import { rankReasons } from '../../src/dashboard/page/reasons.ts'
import { RouteBook, TREND_LENGTH } from '../../src/dashboard/page/route-book.ts'
import { ROUTE_COLUMNS, routeKey } from '../../src/dashboard/page/route-columns.ts'
import { type SortKey, nextOrder, sorted } from '../../src/dashboard/page/sorting.ts'
import { areaPath, linePath } from '../../src/dashboard/page/sparkline.ts'

function route(more: Partial<RouteTick>): RouteTick {
  return {
    ...{ hits: 0, stale: 0, collapsed: 0, misses: 0, bypassed: 0, stored: 0, notStored: 0 },
    ...{ savedMs: 0, missSeconds: 0, missCount: 0 },
    ...more,
  }
}

describe('the table of routes', () => {
  it('has a rate for routes that a tick does not tell of: nothing happened to them', () => {
    const book = new RouteBook()
    book.add(0, { '/a': route({ hits: 10 }), '/b': route({ hits: 5 }) })
    book.add(1000, { '/a': route({ hits: 14, misses: 2, missSeconds: 0.5, missCount: 2 }) })
    book.add(2000, {})
    const [a, b] = book.rows()
    assert.deepEqual(a!.trend, [6, 0])
    assert.equal(a!.perSecond, 3)
    assert.equal(a!.requests, 16)
    assert.equal(a!.hitRate, 14 / 16)
    assert.equal(a!.meanSeconds, 0.25)
    assert.deepEqual(b!.trend, [0, 0])
    assert.equal(b!.meanSeconds, undefined)
  })

  it('takes routes that appear later, and keeps a minute of ticks', () => {
    const book = new RouteBook()
    book.add(0, {})
    book.add(2000, { '/new': route({ bypassed: 8 }) })
    assert.deepEqual(book.rows()[0]!.trend, [4])
    assert.equal(book.rows()[0]!.hitRate, undefined)
    for (let second = 3; second < 200; second++) book.add(second * 1000, {})
    assert.equal(book.rows()[0]!.trend.length, TREND_LENGTH)
    assert.equal(book.size, 1)
    book.clear()
    assert.deepEqual(book.rows(), [])
  })

  it('is never negative when counters go back', () => {
    const book = new RouteBook()
    book.add(0, { '/a': route({ hits: 10 }) })
    book.add(1000, { '/a': route({ hits: 2 }) })
    assert.deepEqual(book.rows()[0]!.trend, [0])
  })

  it('shows every column as text, also of a route that nothing happened to', () => {
    const book = new RouteBook()
    book.add(0, { '/a': route({}) })
    const [row] = book.rows()
    const texts = Object.values(ROUTE_COLUMNS).map(({ textOf }) => textOf(row!))
    assert.deepEqual(new Set(texts), new Set(['–', '0']))
    assert.equal(routeKey('route')(row!), '/a')
    assert.equal(routeKey('misses')(row!), 0)
  })
})

const key: fc.Arbitrary<SortKey> = fc.oneof(fc.integer(), fc.constant(undefined))

describe('sorting', () => {
  it('orders by value in both directions, with what is not known at the end', () => {
    fc.assert(
      fc.property(fc.array(key), fc.constantFrom('ascending', 'descending'), (keys, direction) => {
        const result = sorted(keys, (each) => each, direction)
        const known = result.filter((each) => each !== undefined)
        const expected = keys.filter((each) => each !== undefined) as number[]
        expected.sort((a, b) => (direction === 'ascending' ? a - b : b - a))
        assert.deepEqual(known, expected)
        assert.ok(result.slice(known.length).every((each) => each === undefined))
      }),
    )
  })

  it('keeps the order of equal rows, and sorts numbers in texts as numbers', () => {
    const rows = [
      { name: 'b', count: 1 },
      { name: 'a', count: 1 },
    ]
    assert.deepEqual(
      sorted(rows, ({ count }) => count, 'descending'),
      rows,
    )
    assert.deepEqual(
      sorted(['/v10', '/v9', '/a'], (text) => text, 'ascending'),
      ['/a', '/v9', '/v10'],
    )
  })

  it('turns the order round when a column is pressed again, and begins with the most', () => {
    const first = nextOrder({ column: 'route', direction: 'ascending' }, 'hits', false)
    assert.deepEqual(first, { column: 'hits', direction: 'descending' })
    assert.equal(nextOrder(first, 'hits', false).direction, 'ascending')
    assert.equal(nextOrder(nextOrder(first, 'hits', false), 'hits', false).direction, 'descending')
    assert.equal(nextOrder(first, 'route', true).direction, 'ascending')
  })
})

describe('sparklines', () => {
  it('stay within their box', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 2 }),
        (values) => {
          const numbers = linePath(values, 72, 20)
            .match(/-?[\d.]+/g)!
            .map(Number)
          assert.equal(numbers.length, 2 * values.length)
          numbers.forEach((number, index) => {
            assert.ok(number >= 0 && number <= (index % 2 === 0 ? 72 : 20))
          })
        },
      ),
    )
  })

  it('lie at the bottom when nothing happens, and are nothing of one value', () => {
    assert.equal(linePath([0, 0], 10, 4), 'M0 4L10 4')
    assert.equal(areaPath([0, 2], 10, 4), 'M0 4L10 0L10 4L0 4Z')
    assert.equal(linePath([3], 10, 4), '')
    assert.equal(areaPath([], 10, 4), '')
  })
})

describe('reasons', () => {
  it('are ranked by how often they were met, with their shares', () => {
    assert.deepEqual(rankReasons({ stale: 1, 'uri-miss': 3, miss: 0, request: undefined }), [
      { reason: 'uri-miss', count: 3, share: 0.75 },
      { reason: 'stale', count: 1, share: 0.25 },
    ])
    assert.deepEqual(
      rankReasons({ b: 2, a: 2 }).map(({ reason }) => reason),
      ['a', 'b'],
    )
  })
})
