import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  formatAgo,
  formatBytes,
  formatClock,
  formatCount,
  formatLatency,
  formatRate,
  formatSeconds,
  formatShare,
  formatShortCount,
  formatSpan,
  plural,
} from '../../src/dashboard/page/format.ts'

function holds<Value>(format: (value: Value) => string, table: readonly [Value, string][]): void {
  for (const [value, text] of table) assert.equal(format(value), text)
}

describe('what the page shows of numbers', () => {
  it('shows rates with as many digits as say something', () => {
    holds(formatRate, [
      [undefined, '–'],
      [0, '0'],
      [0.01, '<0.1'],
      [0.5, '0.5'],
      [12.34, '12.3'],
      [99.96, '100'],
      [1234.5, '1,235'],
      [12_345, '12.3K'],
    ])
  })

  it('shows a share as all only when it is all, and as nothing only when it is nothing', () => {
    holds(formatShare, [
      [undefined, '–'],
      [0, '0%'],
      [0.000_001, '<0.1%'],
      [0.5, '50%'],
      [0.9234, '92.3%'],
      [0.999_99, '99.9%'],
      [1, '100%'],
    ])
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (share) => {
        const text = formatShare(share)
        assert.equal(text === '100%', share === 1)
        assert.equal(text === '0%', share === 0)
      }),
    )
  })

  it('shows bytes in units of 1024', () => {
    holds(formatBytes, [
      [0, '0 B'],
      [1, '1 B'],
      [1023, '1023 B'],
      [1024, '1 KiB'],
      [1536, '1.5 KiB'],
      [1024 * 1024 - 1, '1 MiB'],
      [38_412_330, '36.6 MiB'],
      [5 * 1024 ** 4, '5 TiB'],
      [5000 * 1024 ** 4, '5000 TiB'],
    ])
  })

  it('shows how long something took in the unit that fits', () => {
    holds(formatLatency, [
      [undefined, '–'],
      [0, '0 µs'],
      [0.000_012_34, '12.3 µs'],
      [0.000_999_9, '1 ms'],
      [0.0015, '1.5 ms'],
      [0.345, '345 ms'],
      [0.9999, '1 s'],
      [2.25, '2.25 s'],
      [90, '1 min 30 s'],
      [Infinity, 'more than measured'],
    ])
  })

  it('shows spans in their two largest units', () => {
    holds(formatSpan, [
      [-5, '0 s'],
      [999, '0 s'],
      [45_000, '45 s'],
      [60_000, '1 min'],
      [200_000, '3 min 20 s'],
      [7_500_000, '2 h 5 min'],
      [349_200_000, '4 d 1 h'],
    ])
    holds(formatSeconds, [
      [173, '2 min 53 s'],
      [-61, '−1 min 1 s'],
    ])
    holds(formatAgo, [
      [300, 'just now'],
      [4000, '4 s ago'],
    ])
  })

  it('shows counts with separators, long ones in short, and one thing as one', () => {
    assert.equal(formatCount(1_234_567), '1,234,567')
    assert.equal(formatShortCount(999_999), '999,999')
    assert.equal(formatShortCount(1_234_567), '1.2M')
    assert.equal(plural(1, 'entry', 'entries'), '1 entry')
    assert.equal(plural(2311, 'entry', 'entries'), '2,311 entries')
    assert.equal(plural(0, 'route'), '0 routes')
  })

  it('shows instants as the time of day', () => {
    assert.equal(formatClock(new Date(2026, 10, 21, 9, 5, 7).getTime()), '09:05:07')
  })
})
