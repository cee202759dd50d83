import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Fleet } from './fleet.ts'
import { MODES, NAIVE } from './modes.ts'

const READS = 4000
/** On loopback a record takes a millisecond or so; this is what a busy machine may add. */
const EVENTUAL_MS = 250
/** Long enough for everything that is on its way to arrive. */
const QUIET_MS = 500

describe('four processes that read and write at random', () => {
  let fleet: Fleet
  before(async () => {
    fleet = await Fleet.start(4)
  })
  after(() => fleet?.stop())

  for (const mode of Object.keys(MODES)) {
    const strict = mode.startsWith('strict')
    const promise = strict
      ? 'give no old version to a request that began after the invalidation resolved'
      : `give no old version ${EVENTUAL_MS} ms after the invalidation resolved, nor after quiet`
    it(`${promise}: ${mode}`, async (t) => {
      const history = await fleet.load(mode, READS)
      await pause(QUIET_MS)
      const quiet = await fleet.readAll(mode)
      t.diagnostic(`${mode}: ${history.toString()}; after quiet ${quiet.old} old of ${quiet.reads}`)
      assert.ok(history.hits > READS / 20, 'the cache was of some use')
      assert.ok(history.writes > READS / 50, 'enough was written')
      assert.equal(history.staleBeyond(strict ? 0 : EVENTUAL_MS), 0)
      assert.equal(quiet.old, 0)
    })
  }

  it('are found out when they use a naive store with an index set per tag', async (t) => {
    let [strict, eventual] = [0, 0]
    for (let attempt = 0; attempt < 3 && (strict === 0 || eventual === 0); attempt++) {
      const history = await fleet.load(NAIVE, READS)
      await pause(QUIET_MS)
      const quiet = await fleet.readAll(NAIVE)
      t.diagnostic(
        `${NAIVE}: ${history.toString()}; after quiet ${quiet.old} old of ${quiet.reads}`,
      )
      strict += history.stale.length
      eventual += history.staleBeyond(EVENTUAL_MS) + quiet.old
    }
    assert.ok(strict > 0, 'it does what strict must not do')
    assert.ok(eventual > 0, 'it does what nobody must do')
  })
})
