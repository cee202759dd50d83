import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  added,
  edgesOf,
  meanOf,
  occupied,
  quantile,
  sharesOf,
  together,
} from '../../src/dashboard/page/distribution.ts'
import { type Histogram, addHistogram, newHistogram, observe } from '../../src/histogram.ts'

const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.1, 1]

function of(values: readonly number[]): Histogram {
  const histogram = newHistogram(BOUNDS)
  for (const value of values) observe(histogram, value)
  return histogram
}

const values = fc.array(fc.double({ min: 1e-6, max: 20, noNaN: true }), { maxLength: 60 })
const some = fc.array(fc.double({ min: 0.0005, max: 1, noNaN: true }), {
  minLength: 1,
  maxLength: 60,
})

describe('distributions out of histograms', () => {
  it('tells what came to a histogram within a window', () => {
    fc.assert(
      fc.property(values, values, (before, since) => {
        const earlier = of(before)
        const later = of(before)
        addHistogram(later, of(since))
        assert.deepEqual(added(later, earlier).counts, of(since).counts)
        assert.equal(added(later, earlier).count, since.length)
      }),
    )
  })

  it('takes all of a histogram whose counting began anew, and is never negative', () => {
    fc.assert(
      fc.property(values, values, (one, other) => {
        assert.ok(added(of(one), of(other)).counts.every((count) => count >= 0))
      }),
    )
    assert.deepEqual(added(of([0.002]), of([0.5, 0.5])).counts, of([0.002]).counts)
  })

  it('shares what lies in each bucket; nothing is shared by nothing', () => {
    const sum = (shares: number[]): number => shares.reduce((all, share) => all + share, 0)
    assert.ok(Math.abs(sum(sharesOf(of([0.002, 0.5, 5]))) - 1) < 1e-9)
    assert.equal(sum(sharesOf(of([]))), 0)
  })

  it('finds a quantile within the bucket where it lies', () => {
    fc.assert(
      fc.property(some, fc.double({ min: 0.01, max: 1, noNaN: true }), (list, share) => {
        const exact = list.toSorted((a, b) => a - b)[Math.ceil(share * list.length - 1e-9) - 1]!
        const found = quantile(of(list), share)!
        const edges = edgesOf(BOUNDS)
        const bucket = BOUNDS.findIndex((bound) => exact <= bound)
        assert.ok(found >= edges[bucket]! * 0.999_999)
        assert.ok(found <= edges[bucket + 1]! * 1.000_001)
      }),
    )
  })

  it('grows with the share that is asked for', () => {
    fc.assert(
      fc.property(some, (list) => {
        const found = [0.1, 0.5, 0.9, 0.99].map((share) => quantile(of(list), share)!)
        assert.deepEqual(
          found,
          found.toSorted((a, b) => a - b),
        )
      }),
    )
  })

  it('has no quantile of nothing, and none but infinity above all bounds', () => {
    assert.equal(quantile(of([]), 0.5), undefined)
    assert.equal(quantile(of([5, 6, 7]), 0.5), Infinity)
    assert.equal(quantile(of([0.5, 7]), 1), Infinity)
  })

  it('adds up histograms, has their mean, and knows which buckets have something', () => {
    const both = together([of([0.002, 0.004]), of([0.05])])
    assert.equal(both.count, 3)
    assert.ok(Math.abs(meanOf(both)! - 0.056 / 3) < 1e-9)
    assert.equal(meanOf(of([])), undefined)
    assert.deepEqual(occupied([of([0.002]), of([0.05])]), [1, 4])
    assert.equal(occupied([of([])]), undefined)
    assert.deepEqual(together([]).counts, [0])
    assert.deepEqual(edgesOf([]), [])
  })
})
