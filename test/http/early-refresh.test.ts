import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { earlyFrom, isDueEarly, jitteredLifetime } from '../../src/http/early-refresh.ts'

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
const milliseconds = fc.double({ min: 0.001, max: 1e9, noNaN: true })

describe('isDueEarly', () => {
  it('is never so for what took no time', () => {
    fc.assert(
      fc.property(milliseconds, random, (remaining, number) => {
        assert.equal(isDueEarly(remaining, 0, number), false)
      }),
    )
  })

  it('stays so when less time remains, when computing takes longer, and for a smaller number', () => {
    const factor = fc.double({ min: 0.01, max: 1, noNaN: true })
    fc.assert(
      fc.property(milliseconds, milliseconds, random, factor, (remaining, spread, number, less) => {
        if (!isDueEarly(remaining, spread, number)) return
        assert.ok(isDueEarly(remaining * less, spread, number))
        assert.ok(isDueEarly(remaining, spread / less, number))
        assert.ok(isDueEarly(remaining, spread, number * less))
      }),
    )
  })

  it('is so as often as e to the power of minus remaining by computing time', () => {
    // Evenly spread numbers in place of random ones: the share is the probability.
    const DRAWS = 10_000
    for (const [remaining, spread] of [
      [100, 1000],
      [1000, 1000],
      [3000, 1000],
    ] as const) {
      let due = 0
      for (let n = 0; n < DRAWS; n++) if (isDueEarly(remaining, spread, n / DRAWS)) due++
      assert.ok(Math.abs(due / DRAWS - Math.exp(-remaining / spread)) < 0.001)
    }
  })

  it('always is when nothing remains', () => {
    assert.equal(isDueEarly(0, 1, 0.5), true)
    assert.equal(isDueEarly(1000, 1, 0), true)
  })
})

describe('earlyFrom', () => {
  it('is an instant before which fewer than one draw in 20,000 would be due', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), random, (spread, number) => {
        const freshUntil = 2e12
        const before = earlyFrom(freshUntil, spread) - 1
        if (number > 1 / 20_000)
          assert.equal(isDueEarly(freshUntil - before, spread, number), false)
      }),
    )
  })

  it('is not reached while fresh by what took no time', () => {
    assert.equal(earlyFrom(2e12, 0), 2e12)
  })
})

describe('jitteredLifetime', () => {
  const seconds = fc.double({ min: 0.001, max: 315_576_000, noNaN: true })

  it('is never longer than the lifetime, and shorter by no more than the fraction', () => {
    fc.assert(
      fc.property(
        seconds,
        fc.double({ min: 0, max: 1, noNaN: true }),
        random,
        (ttl, part, number) => {
          const lifetime = jitteredLifetime(ttl, part, number)
          assert.ok(lifetime <= ttl)
          assert.ok(lifetime >= ttl * (1 - part))
          assert.ok(lifetime >= 0.001)
        },
      ),
    )
  })

  it('spreads evenly between the two', () => {
    assert.equal(jitteredLifetime(100, 0.2, 0), 100)
    assert.equal(jitteredLifetime(100, 0.2, 0.5), 90)
    assert.equal(jitteredLifetime(100, 0, 0.5), 100)
  })
})
