import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Fleet } from './fleet.ts'
import { History } from './history.ts'

/** Longer than the lease of 2 s. */
const STALL_MS = 3000
const IDS = [0, 1, 2, 3, 4, 5, 6, 7]

describe('a process whose event loop stood still for longer than its lease', () => {
  let fleet: Fleet
  before(async () => {
    fleet = await Fleet.start(2)
  })
  after(() => fleet?.stop())

  for (const mode of ['eventual-memory', 'strict-memory', 'eventual-redis']) {
    it(`serves nothing that was invalidated meanwhile: ${mode}`, async (t) => {
      const history = new History()
      const [awake, asleep] = [0, 1]
      for (const id of IDS) {
        await fleet.read(history, mode, id, asleep)
        await fleet.read(history, mode, id, asleep)
      }
      assert.ok(history.hits >= IDS.length)
      const { process } = fleet.workers[asleep]!
      process.freeze()
      for (const id of IDS) {
        await fleet.write(history, mode, fleet.database.writeItem(id), awake)
      }
      // Some requests wait at the door while it sleeps, and some come when it has just woken up.
      const waiting = IDS.map((id) => fleet.read(history, mode, id, asleep))
      await pause(STALL_MS)
      process.thaw()
      const woken = IDS.map((id) => fleet.read(history, mode, id, asleep))
      await Promise.all([...waiting, ...woken])
      for (const id of IDS) await fleet.read(history, mode, id, asleep)
      t.diagnostic(`${mode}: ${history.toString()}`)
      assert.equal(history.stale.length, 0)
      await fleet.verified()
    })
  }
})
