import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { Stats } from '../../src/index.ts'
import { everyFault } from './faults.ts'
import { Fleet } from './fleet.ts'
import { Load } from './load.ts'
import { MODES, NAIVE } from './modes.ts'

/** In each of the two topologies, in all modes together. */
const REQUESTS = 25_000
/** While all is well; on loopback a record takes a millisecond or so, and a machine may be busy. */
const DELIVERED_MS = 250
const CALM_MS = 2000
const CACHED = Object.keys(MODES)
/** Long enough for everything that is on its way to arrive. */
const QUIET_MS = 500

describe('four processes that read and write at random while everything goes wrong', () => {
  for (const cluster of [false, true]) {
    const topology = cluster ? 'a Cluster of three nodes' : 'one Redis'
    describe(topology, () => {
      const modes = [...CACHED, ...(cluster ? [] : [NAIVE])]
      let fleet: Fleet
      let load: Load
      const old = new Map<string, number>()
      let [boundMs, faultsAt] = [0, 0]
      before(async () => {
        fleet = await Fleet.start(4, { cluster })
        load = new Load(fleet, modes)
        boundMs = (await fleet.workers[0]!.process.ask<Stats>('stats', 'eventual-memory'))
          .stalenessBoundMs
        load.start()
        await pause(CALM_MS)
        faultsAt = performance.now()
        do await everyFault(fleet)
        while (load.requestsOf(CACHED) < REQUESTS)
        await load.end()
        await fleet.verified()
        await pause(QUIET_MS)
        for (const mode of CACHED) await fleet.cachedAgain(mode)
        for (const mode of modes) old.set(mode, (await load.readAll(mode)).old)
      })
      after(async () => {
        load?.giveUp()
        await fleet?.stop()
      })

      const tell = (t: TestContext, mode: string): void => {
        t.diagnostic(
          `${topology}, ${mode}: ${load.histories.get(mode)!.toString()}; after quiet ${old.get(mode)} old`,
        )
      }

      for (const mode of CACHED) {
        const strict = mode.startsWith('strict')
        const promise = strict
          ? 'give no old version to a request that began after the invalidation resolved'
          : 'give no old version after the stated bound, nor after quiet'
        it(`${promise}: ${mode}, ${topology}`, (t) => {
          tell(t, mode)
          const history = load.histories.get(mode)!
          assert.ok(history.hits > history.reads / 50, 'the cache was of some use')
          assert.equal(history.staleBeyond(strict ? 0 : boundMs), 0)
          assert.equal(
            history.staleBeyond(strict ? 0 : DELIVERED_MS, faultsAt),
            0,
            'while all was well',
          )
          assert.equal(history.forgetful, 0, 'what a process was told itself')
          assert.equal(old.get(mode), 0, 'after quiet')
        })
      }

      it(`fail no request: ${topology}`, (t) => {
        const requests = load.requestsOf(CACHED)
        t.diagnostic(
          `${topology}: ${requests} requests, ${load.failed.length} failed, ` +
            `${fleet.resent} sent again`,
        )
        assert.deepEqual(load.failed, [])
        assert.ok(requests >= REQUESTS)
      })

      if (cluster) return
      it('are found out when they use a naive store with an index set per tag', async (t) => {
        tell(t, NAIVE)
        const history = load.histories.get(NAIVE)!
        let stale = history.stale.length
        // What it left behind is overwritten soon under load, so it gets a few more chances.
        let found = history.staleBeyond(boundMs) + old.get(NAIVE)!
        for (let attempt = 0; attempt < 10 && (stale === 0 || found === 0); attempt++) {
          const more = new Load(fleet, [NAIVE])
          more.start()
          await pause(CALM_MS / 2)
          await more.end()
          await pause(QUIET_MS)
          stale += more.histories.get(NAIVE)!.stale.length
          found += (await more.readAll(NAIVE)).old
        }
        assert.ok(stale > 0, 'it does what strict must not do')
        assert.ok(found > 0, 'it does what nobody must do')
      })
    })
  }
})
