// A master dies that had confirmed what its replica never got, and the replica takes its place.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import { Redis } from 'ioredis'

import type { Fenced } from '../../src/invalidation/log.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { LogProcess } from './log-process.ts'

interface Scene {
  one: LogProcess
  two: LogProcess
  /** Computed at position 5, of tags `x` and `y`: before the invalidation that the replica lacks. */
  x: Fenced
  y: Fenced
  /** The master dies, and the replica is one; nobody is connected to it. */
  promote: () => Promise<void>
  /** Another process, connected to the new master. */
  openThird: () => Promise<LogProcess>
  /** The address of the master is that of the new one. */
  moveAddress: () => void
}

async function failover(t: TestContext): Promise<Scene> {
  const [master, replica] = [await startRedis(), await startRedis()]
  t.after(() => Promise.all([master.stop(), replica.stop()]))
  const relay = await Relay.start(t, master.port)
  const logs: LogProcess[] = []
  const clients: Redis[] = []
  t.after(async () => {
    await Promise.all(logs.map((log) => log.close()))
    for (const client of clients) client.disconnect()
  })
  const open = async (port: number): Promise<LogProcess> => {
    const client = new Redis({ port, retryStrategy: () => 5 }).on('error', () => {})
    clients.push(client)
    const log = await LogProcess.start(client)
    logs.push(log)
    return log
  }
  const [one, two] = [await open(relay.port), await open(relay.port)]
  for (let n = 1; n <= 5; n++) await one.invalidate(`t:=${n}`)
  await eventually('both are there', () => two.log.position.seq === 5)
  const raw = replica.client()
  await raw.replicaof('127.0.0.1', master.port)
  await eventually('the replica has everything', async () => {
    return (await raw.get('{shop}:seq')) === '5' && (await raw.info()).includes('link_status:up')
  })
  await raw.replicaof('127.0.0.1', 1) // it keeps what it has, and gets nothing any more
  const [x, y] = [one.compute('t:=x'), one.compute('t:=y')]
  await one.invalidate('t:=x')
  await eventually('both have heard', () => two.log.position.seq === 6)
  assert.equal(await one.uses(x), false)
  assert.equal(await one.uses(y), true)
  return {
    ...{ one, two, x, y },
    promote: async () => {
      await master.kill()
      await raw.replicaof('NO', 'ONE')
    },
    openThird: () => open(replica.port),
    moveAddress: () => relay.leadTo(replica.port),
  }
}

/** From now on until all is well again, nobody uses what was invalidated. */
async function assertNeverUsed(scene: Scene, third?: LogProcess): Promise<void> {
  const { one, two, x, y } = scene
  const { epoch } = one.log.position
  const refuse = async (): Promise<void> => {
    for (const process of [one, two]) {
      for (const strict of [true, false]) assert.equal(await process.uses(x, strict), false)
      // The third has invalidated it since, which only the lease may hide.
      if (third !== undefined) assert.equal(await process.uses(y, true), false)
    }
  }
  await eventually('another epoch', async () => {
    await refuse()
    return [one, two].every(({ log }) => log.position.epoch !== epoch && log.verified())
  })
  await refuse()
  await one.worksWith(two)
  await two.worksWith(third ?? one)
  for (const process of [one, two, ...(third ? [third] : [])]) {
    assert.equal(await process.uses(x), false)
    assert.equal(await process.uses(y), false)
  }
}

describe('a log whose master died before its replica had the end', { concurrency: true }, () => {
  it('is given up as soon as anyone who knew the end sees that it went back', async (t) => {
    const scene = await failover(t)
    await scene.promote()
    scene.moveAddress()
    await assertNeverUsed(scene)
  })

  // Regression: the numbers alone said that nothing was missing, and what was lost was valid again.
  for (const [what, count] of [
    ['has caught up with', 1],
    ['is ahead of', 3],
  ] as const) {
    it(`is given up although its clock ${what} the one that was lost`, async (t) => {
      const scene = await failover(t)
      await scene.promote()
      const third = await scene.openThird()
      await third.invalidate('t:=y')
      for (let n = 1; n < count; n++) await third.invalidate('t:=z')
      scene.moveAddress()
      await assertNeverUsed(scene, third)
    })
  }
})
