// Two processes, and an invalidation that one of them makes while Redis is away: over HTTP.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import type { Stats } from '../../src/index.ts'
import { Fleet } from '../fleet/fleet.ts'
import { History } from '../fleet/history.ts'
import { eventually } from '../support/clock.ts'
import type { RedisServer } from '../support/redis.ts'

const MODES = ['eventual-memory', 'strict-memory'] as const
const [WRITER, OTHER] = [0, 1]
/** An invalidation has a second; the rest is for a busy machine. */
const REJECTED_MS = 1000 + 4000
const IDS = [0, 1, 2, 3]

async function start(t: TestContext): Promise<{ fleet: Fleet; redis: RedisServer }> {
  const fleet = await Fleet.start(2)
  t.after(() => fleet.stop())
  for (const mode of MODES) await cached(fleet, mode)
  return { fleet, redis: fleet.servers[0]! }
}

/** Resolves when both processes answer from the cache. */
async function cached(fleet: Fleet, mode: string): Promise<void> {
  for (const worker of [WRITER, OTHER]) {
    const history = new History()
    await eventually(`${mode} is served from the cache`, async () => {
      const { hits } = history
      for (const id of IDS) await fleet.read(history, mode, id, worker)
      return history.hits === hits + IDS.length
    })
  }
}

const statsOf = (fleet: Fleet, mode: string, worker = WRITER): Promise<Stats> =>
  fleet.workers[worker]!.process.ask<Stats>('stats', mode)

/** Invalidates in the process that writes; false when that was rejected. */
async function invalidate(fleet: Fleet, mode: string, tags: string[]): Promise<boolean> {
  const { port } = fleet.workers[WRITER]!
  const headers = { 'content-type': 'application/json' }
  const url = `http://127.0.0.1:${port}/${mode}/invalidate`
  const startedAt = performance.now()
  const { status } = await fetch(url, { method: 'POST', headers, body: JSON.stringify(tags) })
  assert.ok(performance.now() - startedAt < REJECTED_MS)
  assert.ok(status === 202 || status === 204, String(status))
  return status === 204
}

const delivered = (fleet: Fleet, mode: string): Promise<void> =>
  eventually('it is delivered', async () => (await statsOf(fleet, mode)).pendingInvalidations === 0)

describe(
  'an invalidation of one process of a fleet while Redis is away',
  { concurrency: 2 },
  () => {
    const outages: [
      what: string,
      begin: (s: RedisServer) => unknown,
      end: (s: RedisServer) => unknown,
    ][] = [
      ['is frozen', (server) => server.freeze(), (server) => server.thaw()],
      ['is down and comes back empty', (server) => server.kill(), (server) => server.restart()],
    ]
    for (const [what, begin, end] of outages) {
      it(`rejects in bounded time, holds in its own process at once, and is delivered to the other: Redis ${what}`, async (t) => {
        const { fleet, redis } = await start(t)
        await begin(redis)
        const versions = new Map<string, number>()
        for (const mode of MODES) {
          const { tag, version } = fleet.database.writeItem(1)
          assert.equal(await invalidate(fleet, mode, [tag]), false)
          versions.set(mode, version)
          assert.equal((await fleet.read(new History(), mode, 1, WRITER)).version, version)
          assert.equal((await statsOf(fleet, mode)).pendingInvalidations, 1)
        }
        await end(redis)
        for (const mode of MODES) {
          await delivered(fleet, mode)
          const read = async (): Promise<boolean> =>
            (await fleet.read(new History(), mode, 1, OTHER)).version >= versions.get(mode)!
          if (mode === 'strict-memory') assert.equal(await read(), true)
          await eventually('the other process has it', read)
          await cached(fleet, mode)
        }
      })
    }

    it('is kept once, however often it is made, and applied twice without harm', async (t) => {
      const { fleet, redis } = await start(t)
      const [mode] = MODES
      const { seq } = (await statsOf(fleet, mode)).log
      redis.freeze() // what was sent waits in its socket, and is sent again from the queue
      const { tag, version } = fleet.database.writeItem(1)
      const all = await Promise.all(
        Array.from({ length: 20 }, () => invalidate(fleet, mode, [tag])),
      )
      assert.deepEqual([...new Set(all)], [false])
      assert.equal((await statsOf(fleet, mode)).pendingInvalidations, 1)
      redis.thaw()
      await delivered(fleet, mode)
      await cached(fleet, mode)
      assert.ok((await statsOf(fleet, mode)).log.seq > seq + 1, 'more than once')
      assert.equal((await fleet.read(new History(), mode, 1, OTHER)).version, version)
    })

    it('turns into one of everything when there are more than the queue holds', async (t) => {
      const { fleet, redis } = await start(t)
      const [mode] = MODES
      await redis.kill()
      const tags = Array.from({ length: 5001 }, (_, n) => `none:${n}`)
      await invalidate(fleet, mode, tags)
      assert.equal((await statsOf(fleet, mode)).pendingInvalidations, tags.length)
      await invalidate(
        fleet,
        mode,
        tags.map((tag) => `${tag}:too`),
      )
      assert.equal((await statsOf(fleet, mode)).pendingInvalidations, 1)
      await redis.restart()
      await delivered(fleet, mode)
      await cached(fleet, mode)
      assert.ok((await statsOf(fleet, mode)).log.floor > 0, 'everything was invalidated')
    })

    it('is never forgotten by the process that made it, from the rejection until all is well again', async (t) => {
      const { fleet, redis } = await start(t)
      for (const round of ['frozen', 'cut off']) {
        const histories = new Map(MODES.map((mode) => [mode, new History()]))
        let over = false
        const reader = async (mode: string, history: History): Promise<void> => {
          while (!over) {
            for (const worker of [WRITER, OTHER]) await fleet.read(history, mode, 2, worker)
          }
        }
        const readers = [...histories].map(([mode, history]) => reader(mode, history))
        if (round === 'frozen') redis.freeze()
        else await redis.kill()
        const write = fleet.database.writeItem(2)
        const writes = [...histories].map(([mode, history]) =>
          fleet.write(history, mode, write, WRITER),
        )
        // The lease has run out: what is trusted afterwards was loaded anew.
        for (const mode of MODES) {
          await eventually('nothing is trusted', async () => {
            const { log, pendingInvalidations } = await statsOf(fleet, mode)
            return !log.verified && pendingInvalidations > 0
          })
        }
        if (round === 'frozen') redis.thaw()
        else await redis.restart()
        await Promise.all(writes)
        for (const mode of MODES) await cached(fleet, mode)
        over = true
        await Promise.all(readers)
        for (const [mode, history] of histories) {
          t.diagnostic(`${round}, ${mode}: ${history.toString()}`)
          assert.equal(history.pending, 1)
          assert.equal(history.forgetful, 0, 'in the process that made it')
          if (mode === 'strict-memory')
            assert.equal(history.stale.length, 0, 'since it was delivered')
        }
      }
    })
  },
)
