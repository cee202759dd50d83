import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { addHistogram, newHistogram, observe } from '../src/histogram.ts'

const bounds = fc
  .uniqueArray(fc.double({ noNaN: true, min: 0, max: 1000 }), { minLength: 1, maxLength: 20 })
  .map((list) => list.sort((one, other) => one - other))
const values = fc.array(fc.double({ noNaN: true, min: 0, max: 2000 }), { maxLength: 50 })

test('up to each bound as many are counted as there are values up to it', () => {
  fc.assert(
    fc.property(bounds, values, (limits, sizes) => {
      const histogram = newHistogram(limits)
      for (const size of sizes) observe(histogram, size)
      let counted = 0
      for (const [bucket, limit] of limits.entries()) {
        counted += histogram.counts[bucket]!
        assert.equal(counted, sizes.filter((size) => size <= limit).length)
      }
      assert.equal(counted + histogram.counts.at(-1)!, sizes.length)
      assert.equal(histogram.count, sizes.length)
      assert.equal(
        histogram.sum,
        sizes.reduce((sum, size) => sum + size, 0),
      )
    }),
  )
})

test('two histograms added up are the histogram of all their values', () => {
  const whole = fc.array(fc.nat(2000), { maxLength: 50 })
  fc.assert(
    fc.property(bounds, whole, whole, (limits, some, others) => {
      const [together, one, other] = [limits, limits, limits].map(newHistogram)
      for (const size of some) observe(one!, size)
      for (const size of others) observe(other!, size)
      for (const size of [...some, ...others]) observe(together!, size)
      addHistogram(one!, other!)
      assert.deepEqual(one, together)
    }),
  )
})

test('what is no number is above all bounds', () => {
  const histogram = newHistogram([1, 2])
  observe(histogram, Number.NaN)
  assert.deepEqual(histogram.counts, [0, 0, 1])
})
