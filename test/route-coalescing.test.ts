import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { RouteCoalescing } from '../src/route-coalescing.ts'
import { type RouteStats, newRouteStats } from '../src/telemetry.ts'

function open(): {
  coalescing: RouteCoalescing
  stats: RouteStats
  end: (...all: string[]) => void
} {
  const stats = newRouteStats()
  const coalescing = new RouteCoalescing(stats)
  const end = (...all: string[]): void => {
    for (const outcome of all.join('')) coalescing.ended(outcome === 'c')
  }
  return { coalescing, stats, end }
}

const NOW = 1_700_000_000_000

describe('RouteCoalescing', () => {
  it('offers every run until many in a row were uncacheable', () => {
    const { coalescing, end } = open()
    end('u'.repeat(17))
    assert.equal(coalescing.suspended, false)
    assert.equal(coalescing.offers(NOW), true)
    end('u')
    assert.equal(coalescing.suspended, true)
  })

  it('offers one run in a while when suspended, and another one later', () => {
    const { coalescing, end } = open()
    coalescing.offered(NOW)
    end('u'.repeat(30))
    assert.equal(coalescing.offers(NOW + 4999), false)
    assert.equal(coalescing.offers(NOW + 5000), true)
    assert.equal(coalescing.offers(NOW + 5000), true, 'it was not taken yet')
    coalescing.offered(NOW + 5000)
    assert.equal(coalescing.offers(NOW + 5001), false)
    assert.equal(coalescing.offers(NOW + 10_000), true)
  })

  it('does not wait for a clock that was set back', () => {
    const { coalescing, end } = open()
    coalescing.offered(NOW)
    end('u'.repeat(30))
    assert.equal(coalescing.offers(NOW - 3_600_000), true)
  })

  it('resumes after a few cacheable outcomes, however long it was suspended', () => {
    const { coalescing, end } = open()
    end('u'.repeat(10_000), 'cc')
    assert.equal(coalescing.suspended, true)
    end('c')
    assert.equal(coalescing.suspended, false)
  })

  it('is not suspended while requests are answered by what is stored', () => {
    const { coalescing, stats, end } = open()
    for (let n = 0; n < 200; n++) {
      stats.hits++
      end('u')
    }
    assert.equal(coalescing.suspended, false)
  })

  it('resumes when requests are answered by what is stored or shared', () => {
    for (const name of ['hits', 'collapsed'] as const) {
      const { coalescing, stats, end } = open()
      end('u'.repeat(40))
      stats[name] += 10
      end('u')
      assert.equal(coalescing.suspended, false, name)
    }
  })

  it('is suspended after 18 uncacheable outcomes and not after 3 cacheable ones, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('c', 'u', 'u', 'u'), { maxLength: 300 }), (all) => {
        const { coalescing, end } = open()
        for (let at = 0; at < all.length; at++) {
          end(all[at]!)
          const last = all.slice(Math.max(0, at - 17), at + 1)
          if (last.length === 18 && !last.includes('c')) assert.ok(coalescing.suspended)
          if (last.slice(-3).every((outcome) => outcome === 'c')) assert.ok(!coalescing.suspended)
        }
      }),
    )
  })
})
