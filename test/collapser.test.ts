import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Collapser, type Flight } from '../src/collapser.ts'

const WAIT_MS = 1000

describe('the flights of a process', () => {
  it('are so many and no more; one that nobody may wait for any longer makes room', () => {
    const collapser = new Collapser({ maxFlights: 2 })
    assert.ok(collapser.lead('a', 0, WAIT_MS))
    assert.ok(collapser.lead('b', 500, WAIT_MS))
    assert.equal(collapser.lead('c', 600, WAIT_MS), undefined)
    assert.ok(collapser.lead('c', 1000, WAIT_MS))
    assert.equal(collapser.flights, 2)
    assert.equal(collapser.join('a', 1000, WAIT_MS), undefined)
  })

  it('of handlers that never answer are forgotten when others begin', () => {
    const collapser = new Collapser()
    for (const key of ['a', 'b', 'c']) collapser.lead(key, 0, WAIT_MS)
    collapser.lead('long', 1, 9 * WAIT_MS)
    collapser.lead('d', WAIT_MS, WAIT_MS)
    assert.equal(collapser.flights, 2)
    assert.ok(collapser.join('long', WAIT_MS, 9 * WAIT_MS))
  })

  it('are joined by so many and no more', async () => {
    const collapser = new Collapser({ maxWaiters: 2 })
    const flight = collapser.lead('a', 0, WAIT_MS)!
    const waiting = [1, 2].map(() => {
      const joined: Flight = collapser.join('a', 1, WAIT_MS)!
      return collapser.wait(joined, WAIT_MS)
    })
    assert.equal(collapser.join('a', 1, WAIT_MS), undefined)
    collapser.settle('a', flight, 'unwaited', 2)
    assert.deepEqual(await Promise.all(waiting), [undefined, undefined])
  })

  it('leave so many marks of what could not be shared, the oldest of which go first', () => {
    const collapser = new Collapser({ maxFlights: 3, hitForMissMs: 100 })
    for (const [at, key] of ['a', 'b', 'c', 'd'].entries()) {
      collapser.settle(key, collapser.lead(key, at, WAIT_MS)!, 'uncacheable', at)
    }
    const leads = ['b', 'c', 'd', 'a'].map((key) => collapser.lead(key, 5, WAIT_MS) !== undefined)
    assert.deepEqual(leads, [false, false, false, true])
    assert.ok(collapser.lead('d', 103, WAIT_MS))
  })

  // Regression: the tables that a map has outgrown stay linked, and the young collection takes what
  // they hold for alive; by what it was to call, a flight held its request, reply and socket.
  it('that are over hold nothing of their request', () => {
    const collapser = new Collapser()
    const flight = collapser.lead('a', 0, WAIT_MS)!
    flight.onFirstWaiter = () => assert.fail('nobody waits')
    collapser.settle('a', flight, 'unwaited', 1)
    assert.equal(flight.onFirstWaiter, undefined)
  })

  // Regression: after the clock was set back a mark held for as long as it had gone back.
  it('forget a mark whose time has not come yet, as the clock was set back', () => {
    const collapser = new Collapser({ hitForMissMs: 100 })
    const at = 3_600_000
    collapser.settle('a', collapser.lead('a', at, WAIT_MS)!, 'uncacheable', at)
    assert.equal(collapser.lead('a', at + 50, WAIT_MS), undefined)
    assert.ok(collapser.lead('a', 50, WAIT_MS))
  })
})
