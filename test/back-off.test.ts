import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import fc from 'fast-check'

import { BackOff } from '../src/back-off.ts'

const open = (maxKeys = 10): BackOff => new BackOff({ maxKeys, firstMs: 1000, maxMs: 60_000 })

describe('BackOff', () => {
  it('leaves a key alone for a second after its first failure, and no other key', () => {
    const backOff = open()
    assert.equal(backOff.failed('a', 5000), 1000)
    assert.equal(backOff.holds('a', 5000), true)
    assert.equal(backOff.holds('a', 5999), true)
    assert.equal(backOff.holds('a', 6000), false)
    assert.equal(backOff.holds('b', 5000), false)
  })

  it('doubles the time with every failure, up to a minute', () => {
    const backOff = open()
    const delays = Array.from({ length: 9 }, (_, index) => backOff.failed('a', index * 100_000))
    assert.deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
  })

  it('begins anew after a success', () => {
    const backOff = open()
    backOff.failed('a', 0)
    backOff.failed('a', 0)
    backOff.succeeded('a')
    assert.equal(backOff.holds('a', 1), false)
    assert.equal(backOff.failed('a', 2), 1000)
  })

  it('remembers a bounded number of keys, those that were asked for last', () => {
    const backOff = open(2)
    backOff.failed('a', 0)
    backOff.failed('b', 0)
    assert.equal(backOff.holds('a', 1), true)
    backOff.failed('c', 0)
    assert.equal(backOff.holds('a', 1), true)
    assert.equal(backOff.holds('b', 1), false)
    assert.equal(backOff.holds('c', 1), true)
  })

  it('holds nothing longer than its time, whatever the clock does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0 }), fc.integer({ min: 0 }), (failedAt, askedAt) => {
        const backOff = open()
        const delayMs = backOff.failed('a', failedAt)
        const isWithin = askedAt >= failedAt && askedAt < failedAt + delayMs
        assert.equal(backOff.holds('a', askedAt), isWithin)
      }),
    )
  })
})
