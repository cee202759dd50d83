import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Database } from './database.ts'
import { Fleet } from './fleet.ts'
import { History } from './history.ts'

const MODE = 'eventual-memory'

describe('requests for one page at the same time', () => {
  let fleet: Fleet
  before(async () => {
    fleet = await Fleet.start(3)
  })
  after(() => fleet?.stop())

  it('share one handler run in one process, and one run per process in the fleet', async () => {
    fleet.database = new Database(10, 2)
    const history = new History()
    await Promise.all(Array.from({ length: 100 }, () => fleet.read(history, MODE, 1, 0)))
    assert.equal(fleet.database.reads, 1)
    await Promise.all(Array.from({ length: 150 }, (_, n) => fleet.read(history, MODE, 2, n % 3)))
    assert.ok(fleet.database.reads <= 1 + 3, `${fleet.database.reads} reads`)
  })

  for (const [mode, writer, who] of [
    [MODE, 0, 'by the same process'],
    ['strict-memory', 1, 'by another, in strict'],
    ['strict-redis', 1, 'by another, in strict without memory'],
  ] as const) {
    it(`never get a run that began before an invalidation that had resolved: ${who}`, async (t) => {
      fleet.database = new Database(10, 2)
      const history = new History()
      for (let round = 0; round < 40; round++) {
        const early = Array.from({ length: 10 }, () => fleet.read(history, mode, 3, 0))
        await pause(Math.random() * 5)
        await fleet.write(history, mode, fleet.database.writeItem(3), writer)
        const late = Array.from({ length: 10 }, () => fleet.read(history, mode, 3, 0))
        await Promise.all([...early, ...late])
      }
      t.diagnostic(history.toString())
      assert.equal(history.reads, 800)
      assert.equal(history.stale.length, 0)
    })
  }
})
