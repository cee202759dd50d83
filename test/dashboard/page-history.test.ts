import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  type Counted,
  type Counts,
  HISTORY_MS,
  OUTCOMES,
  TrafficHistory,
  hitRateOf,
  sumOf,
} from '../../src/dashboard/page/history.ts'
import { newRouteStats } from '../../src/telemetry.ts'

const NONE: Counts = { memory: 0, redis: 0, collapsed: 0, misses: 0, bypassed: 0 }

function tick(at: number, counts: Partial<Counts>, slow = 0): Counted {
  const { memory, redis, collapsed, misses, bypassed } = { ...NONE, ...counts }
  const stats = newRouteStats()
  stats.latency.miss.counts[5] = slow
  stats.latency.miss.count = slow
  return {
    at,
    stats: {
      ...stats,
      hitsByTier: { memory, redis },
      collapsed,
      misses,
      bypassed,
    },
  }
}

describe('the history of traffic', () => {
  it('has rates by outcome out of counters that grow', () => {
    const history = new TrafficHistory()
    history.add(tick(1000, { memory: 100, misses: 10 }))
    history.add(tick(2000, { memory: 150, misses: 12 }))
    history.add(tick(4000, { memory: 150, misses: 20 }))
    const { at, rates } = history.columns()
    assert.deepEqual(at, [1, 2, 4])
    assert.deepEqual(rates.memory, [null, 50, 0])
    assert.deepEqual(rates.misses, [null, 2, 4])
  })

  it('is never negative, whatever counters do', () => {
    const counts = fc.record({
      memory: fc.nat(50),
      redis: fc.nat(50),
      collapsed: fc.nat(50),
      misses: fc.nat(50),
      bypassed: fc.nat(50),
    })
    const step = fc.record({ ms: fc.integer({ min: 0, max: 90_000 }), counts, cut: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const history = new TrafficHistory()
        let at = 0
        for (const { ms, counts: each, cut } of steps) {
          if (cut) history.cut()
          history.add(tick((at += ms), each))
          const { rates, hitRate, at: instants } = history.columns()
          for (const outcome of OUTCOMES) {
            assert.equal(rates[outcome].length, instants.length)
            assert.ok(rates[outcome].every((rate) => rate === null || (rate >= 0 && rate < 1e6)))
          }
          assert.ok(hitRate.every((share) => share === null || (share >= 0 && share <= 1)))
          const recent = history.recent(60_000)
          assert.ok(recent === undefined || OUTCOMES.every((name) => recent.counts[name] >= 0))
        }
      }),
    )
  })

  it('begins anew when counters go back, and says so', () => {
    const history = new TrafficHistory()
    history.add(tick(1000, { memory: 100 }))
    assert.equal(history.add(tick(2000, { memory: 5 })), true)
    assert.equal(history.recent(60_000), undefined)
    assert.equal(history.add(tick(3000, { memory: 8 })), false)
    assert.deepEqual(history.columns().rates.memory, [null, null, 3])
  })

  it('does not compare with a process that is gone, although the new one has counted more', () => {
    const history = new TrafficHistory()
    history.add(tick(1000, { memory: 10 }))
    history.restart()
    assert.equal(history.add(tick(9000, { memory: 400 })), false)
    history.add(tick(10_000, { memory: 410 }))
    assert.deepEqual(history.columns().rates.memory, [null, null, 10])
    assert.equal(history.recent(60_000)?.counts.memory, 10)
  })

  it('breaks the line where a connection was lost, and counts on', () => {
    const history = new TrafficHistory()
    history.add(tick(1000, { memory: 10 }))
    history.cut()
    history.add(tick(21_000, { memory: 50 }))
    assert.deepEqual(history.columns().rates.memory, [null, null])
    assert.deepEqual(history.recent(60_000), {
      seconds: 20,
      counts: { ...NONE, memory: 40 },
      savedMs: 0,
    })
  })

  it('leaves out a tick right after another, whose rate would say nothing', () => {
    const history = new TrafficHistory()
    history.add(tick(1000, { memory: 10 }))
    history.add(tick(1020, { memory: 14 }))
    history.add(tick(2000, { memory: 20 }))
    assert.deepEqual(history.columns().rates.memory, [null, 10])
  })

  it('keeps five minutes, and a bounded number of ticks', () => {
    const history = new TrafficHistory()
    for (let at = 0; at <= 2 * HISTORY_MS; at += 1000) history.add(tick(at, { memory: at }))
    const { at } = history.columns()
    assert.equal(at.at(-1)! - at[0]!, HISTORY_MS / 1000)
    for (let more = 1; more < 4000; more++)
      history.add(tick(2 * HISTORY_MS + more, { redis: more }))
    assert.ok(history.columns().at.length <= 1500)
  })

  it('starts over when the clock of the server goes back', () => {
    const history = new TrafficHistory()
    history.add(tick(900_000, { memory: 1 }))
    history.add(tick(1000, { memory: 2 }))
    assert.deepEqual(history.columns().at, [1])
  })

  it('has the latencies of a window, and those since the start', () => {
    const history = new TrafficHistory()
    assert.equal(history.latencies(60_000), undefined)
    history.add(tick(0, {}, 5))
    history.add(tick(100_000, {}, 7))
    history.add(tick(130_000, {}, 10))
    assert.equal(history.latencies(60_000)!.miss.counts[5], 3)
    assert.equal(history.latencies(Infinity)!.miss.counts[5], 10)
  })

  it('has a hit rate of cacheable requests only', () => {
    assert.equal(hitRateOf({ memory: 6, redis: 2, collapsed: 1, misses: 1, bypassed: 90 }), 0.9)
    assert.equal(hitRateOf({ ...NONE, bypassed: 3 }), undefined)
    assert.equal(sumOf({ memory: 1, redis: 2, collapsed: 3, misses: 4, bypassed: 5 }), 15)
  })
})
