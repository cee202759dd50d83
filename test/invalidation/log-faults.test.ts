import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { newEpoch } from '../../src/invalidation/local-log.ts'
import type { Fenced } from '../../src/invalidation/log.ts'
import { CONTROL_SCRIPTS, controlKeyList } from '../../src/invalidation/redis-scripts.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { KEYS, LogProcess, cutConnections, killFollowers } from './log-process.ts'

interface Scene {
  server: RedisServer
  raw: Redis
  one: LogProcess
  two: LogProcess
  /** Computed before the fault, of tag `x`. */
  old: Fenced
  /** Computed before everything was invalidated. */
  ancient: Fenced
}

/** Two processes at position 5 of a log, and an entry; afterwards everything is closed. */
async function scene(play: (scene: Scene) => Promise<void>): Promise<void> {
  const server = await startRedis()
  const raw = server.client()
  const [one, two] = await Promise.all([
    LogProcess.start(server.client()),
    LogProcess.start(server.client()),
  ])
  try {
    const ancient = one.compute('t:=ancient')
    await one.invalidateAll()
    for (let n = 2; n <= 5; n++) await one.invalidate(`t:=${n}`)
    await eventually('both are there', () => two.log.position.seq === 5)
    const old = one.compute('t:=x')
    assert.equal(await two.uses(old), true)
    await play({ server, raw, one, two, old, ancient })
  } finally {
    await Promise.all([one.close(), two.close()])
    await server.stop()
  }
}

/** The commands of an invalidation, for a transaction: what the followers see comes after all of it. */
function scriptArgs(...tags: string[]): [string, number, ...(string | number)[]] {
  const keys = controlKeyList(KEYS)
  const args = [newEpoch(), 'expire', 1000, 10_000, ...tags]
  return [CONTROL_SCRIPTS.invalidate.sha, keys.length, ...keys, ...args]
}

// Each one plays on a server of its own, most of the time waiting: all at once.
describe('a log with something wrong in it', { concurrency: true }, () => {
  const lost: [what: string, lose: (transaction: ReturnType<Redis['multi']>) => void][] = [
    ['trimmed away', (transaction) => void transaction.xtrim(KEYS.log, 'MAXLEN', 0)],
    ['deleted with the whole stream', (transaction) => void transaction.del(KEYS.log)],
    [
      'trimmed away, with another one behind it',
      (transaction) => {
        transaction.xtrim(KEYS.log, 'MAXLEN', 0).evalsha(...scriptArgs('t:=other'))
      },
    ],
  ]
  for (const [what, lose] of lost) {
    it(`notices that a record was ${what} before it was read, and loads what it said`, () =>
      scene(async ({ raw, one, two, old }) => {
        const transaction = raw.multi().evalsha(...scriptArgs('t:=x'))
        lose(transaction)
        await transaction.exec()
        await eventually('the old entry is refused', async () => {
          return !(await one.uses(old)) && !(await two.uses(old))
        })
        assert.equal(await one.uses(old, true), false)
        await one.worksWith(two)
      }))
  }

  const emptied: [what: string, empty: (raw: Redis) => Promise<unknown>][] = [
    ['the epoch was deleted', (raw) => raw.del(KEYS.epoch)],
    ['the clock was deleted', (raw) => raw.del(KEYS.seq)],
    ['all keys were deleted', (raw) => raw.del(...Object.values(KEYS))],
    ['the server was flushed', (raw) => raw.flushall()],
    ['the clock was set back', (raw) => raw.set(KEYS.seq, 2)],
    ['the clock was set to nothing', (raw) => raw.set(KEYS.seq, 0)],
    ['the epoch is another one', (raw) => raw.set(KEYS.epoch, newEpoch())],
  ]
  for (const [what, empty] of emptied) {
    it(`refuses everything from before, and goes on by itself, when ${what}`, () =>
      scene(async ({ raw, one, two, old }) => {
        await empty(raw)
        await eventually('the old entry is refused', async () => {
          return !(await one.uses(old)) && !(await two.uses(old))
        })
        await one.worksWith(two)
        await two.worksWith(one)
        assert.equal(await one.uses(old), false)
      }))
  }

  const silent: [what: string, empty: (raw: Redis) => Promise<unknown>][] = [
    ['the set of tags was deleted', (raw) => raw.del(KEYS.tags)],
    ['the floor was deleted', (raw) => raw.del(KEYS.floor)],
  ]
  for (const [what, empty] of silent) {
    it(`does not take what is left for all there was, in a new process, when ${what}`, () =>
      scene(async ({ server, raw, one, two, old, ancient }) => {
        await one.invalidate('t:=x')
        await empty(raw)
        const three = await LogProcess.start(server.client())
        assert.equal(await three.uses(old), false)
        assert.equal(await three.uses(ancient), false)
        await three.worksWith(one)
        await two.worksWith(three)
        await three.close()
      }))
  }

  it('goes on when the server has forgotten the scripts', () =>
    scene(async ({ raw, one, two, old }) => {
      await raw.script('FLUSH')
      await one.invalidate('t:=x')
      assert.equal(await two.uses(old, true), false)
      await two.worksWith(one)
    }))

  it('goes on when its connection is cut, and misses nothing of that time', () =>
    scene(async ({ raw, one, two, old }) => {
      for (let round = 0; round < 3; round++) {
        await cutConnections(raw)
        await raw.evalsha(...scriptArgs('t:=x'))
        await eventually('the old entry is refused', async () => {
          return !(await one.uses(old)) && !(await two.uses(old))
        })
        await one.worksWith(two)
      }
    }))

  it('goes on when nothing but its follower is killed, and misses nothing of that time', () =>
    scene(async ({ raw, one, two, old }) => {
      await killFollowers(raw)
      await raw.evalsha(...scriptArgs('t:=x'))
      assert.equal(await one.uses(old, true), false)
      await eventually('the old entry is refused', async () => !(await two.uses(old)))
      await one.worksWith(two)
    }))

  it('refuses everything from before when the server comes back empty', () =>
    scene(async ({ server, one, two, old }) => {
      await server.kill()
      await eventually('the lease is over', async () => !(await one.uses(old)))
      await server.restart()
      await one.worksWith(two)
      await two.worksWith(one)
      assert.equal(await one.uses(old), false)
      assert.equal(await two.uses(old), false)
    }))

  it('uses nothing once its lease is over while the server is frozen, and everything again after', () =>
    scene(async ({ server, one, two, old }) => {
      server.freeze()
      await eventually(
        'nothing is used',
        async () => !(await one.uses(old)) && !(await two.uses(old)),
      )
      assert.equal(await one.uses(old, true), false)
      server.thaw()
      await eventually('it is used again', async () => (await one.uses(old)) && two.uses(old))
      await one.worksWith(two)
    }))

  it('does not confirm anything when the answer shows that the clock went back', () =>
    scene(async ({ raw, one, old }) => {
      // A failover lost the last records; an invalidation since then has a number that was used before.
      await raw
        .multi()
        .set(KEYS.seq, 3)
        .del(KEYS.log)
        .evalsha(...scriptArgs('t:=x'))
        .exec()
      assert.equal(await one.uses(old, true), false)
    }))

  it('refuses what a lost part of the log makes doubtful, though the clock has caught up again', () =>
    scene(async ({ raw, one, two, old }) => {
      // Positions 4 and 5 were lost and given anew: the tag is invalid since a position that `old` has seen.
      const fork = raw.multi().set(KEYS.seq, 3)
      await fork
        .evalsha(...scriptArgs('t:=x'))
        .evalsha(...scriptArgs('t:=y'))
        .exec()
      await eventually(
        'the old entry is refused',
        async () => {
          return !(await one.uses(old)) && !(await two.uses(old))
        },
        5000,
      )
      await one.worksWith(two)
    }))
})

describe('a log with garbage in its keys', { concurrency: true }, () => {
  const keys = Object.entries(KEYS) as [keyof typeof KEYS, string][]
  const garbage: [what: string, put: (raw: Redis, key: string) => Promise<unknown>][] = [
    ['text', (raw, key) => raw.set(key, 'garbage')],
    ['an empty string', (raw, key) => raw.set(key, '')],
    [
      'a hash',
      async (raw, key) => {
        await raw.del(key)
        await raw.hset(key, 'a', 'b')
      },
    ],
  ]
  for (const [name, key] of keys) {
    for (const [what, put] of garbage) {
      it(`uses nothing that was invalidated, and recovers by itself, with ${what} at ${name}`, () =>
        scene(async ({ server, raw, one, two, old, ancient }) => {
          await put(raw, key)
          await one.invalidate('t:=x').catch((error: { code?: string }) => {
            assert.equal(error.code, 'FST_RESPONSE_CACHE_INVALIDATION_PENDING')
          })
          assert.equal(await one.uses(old), false)
          const three = await LogProcess.start(server.client()).catch(() => undefined)
          try {
            if (three) assert.equal(await three.uses(ancient), false)
            await one.worksWith(two)
            assert.equal(await two.uses(old), false)
            assert.ok(three, 'a new process can start')
          } finally {
            await three?.close()
          }
        }))
    }
  }
})
