import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { killCounting, killHolders } from './kill.ts'

const ROUNDS = 8

describe('processes that are killed at random points', { concurrency: 2 }, () => {
  it('lose nothing that a write-behind buffer has acknowledged, and repeat a batch under its id only', async (t) => {
    const report = await killCounting(ROUNDS)
    t.diagnostic(JSON.stringify(report))
    assert.equal(report.rounds, ROUNDS)
    assert.ok(report.done > 0)
  })

  it('leave a lock to others, and no two of its holders write unseen by each other', async (t) => {
    const report = await killHolders(ROUNDS)
    t.diagnostic(JSON.stringify(report))
    assert.equal(report.rounds, ROUNDS)
    assert.ok(report.done > 0)
  })
})
