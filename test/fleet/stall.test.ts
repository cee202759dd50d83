import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { eventually } from '../support/clock.ts'
import { Fleet } from './fleet.ts'
import { History } from './history.ts'
import { MODES } from './modes.ts'

/** Longer than the lease of 2 s. */
const STALL_MS = 3000
const IDS = [0, 1, 2, 3, 4, 5, 6, 7]
const [AWAKE, ASLEEP] = [0, 1]

describe('a process whose event loop stood still for longer than its lease', () => {
  let fleet: Fleet
  before(async () => {
    fleet = await Fleet.start(2)
  })
  after(() => fleet?.stop())

  it('serves nothing that was invalidated meanwhile, to those who waited and those who come', async (t) => {
    const histories = new Map(Object.keys(MODES).map((mode) => [mode, new History()]))
    const readAll = (worker: number): Promise<unknown>[] =>
      [...histories].flatMap(([mode, history]) =>
        IDS.map((id) => fleet.read(history, mode, id, worker)),
      )
    await eventually('everything is served from the cache', async () => {
      const before = new Map([...histories].map(([mode, { hits }]) => [mode, hits]))
      await Promise.all(readAll(ASLEEP))
      return [...histories].every(([mode, { hits }]) => hits === before.get(mode)! + IDS.length)
    })

    const { process } = fleet.workers[ASLEEP]!
    process.freeze()
    for (const id of IDS) {
      const write = fleet.database.writeItem(id)
      for (const [mode, history] of histories) await fleet.write(history, mode, write, AWAKE)
    }
    const waiting = readAll(ASLEEP)
    await pause(STALL_MS)
    process.thaw()
    await Promise.all([...waiting, ...readAll(ASLEEP)])
    await Promise.all(readAll(ASLEEP))
    for (const [mode, history] of histories) {
      t.diagnostic(`${mode}: ${history.toString()}`)
      assert.equal(history.stale.length, 0, mode)
    }
    await fleet.verified()
  })
})
