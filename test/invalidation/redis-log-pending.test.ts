import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, type RedisServerOptions, startRedis } from '../support/redis.ts'
import { KEYS, LogProcess, type LogProcessOptions, loadedAnew } from './log-process.ts'

const PENDING = { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING', statusCode: 503 }
/** Far more than the deadline of an invalidation, which is 1 s; far less than for ever. */
const BOUNDED_MS = 6000

interface Scene {
  server: RedisServer
  raw: Redis
  one: LogProcess
  two: LogProcess
}

async function scene(
  play: (scene: Scene) => Promise<void>,
  server: RedisServerOptions = {},
  log: LogProcessOptions = {},
): Promise<void> {
  const redis = await startRedis(server)
  const [one, two] = await Promise.all([
    LogProcess.start(redis.client(), log),
    LogProcess.start(redis.client(), log),
  ])
  try {
    await play({ server: redis, raw: redis.client(), one, two })
  } finally {
    await Promise.all([one.close(), two.close()])
    await redis.stop()
  }
}

/** A connection on which scripts are never answered; the follower's own is another one. */
function speechless(client: Redis, onScript = (): void => {}): Redis {
  const evalsha = (): Promise<never> => {
    onScript()
    return new Promise(() => {})
  }
  return Object.create(client, { evalsha: { value: evalsha } }) as Redis
}

describe('an invalidation that Redis does not confirm', { concurrency: true }, () => {
  const outages: [
    what: string,
    begin: (s: RedisServer) => unknown,
    end: (s: RedisServer) => unknown,
  ][] = [
    ['is down', (server) => server.kill(), (server) => server.restart()],
    ['is frozen', (server) => server.freeze(), (server) => server.thaw()],
  ]
  for (const [what, begin, end] of outages) {
    it(`is rejected in bounded time, takes effect here at once, and is delivered later: Redis ${what}`, () =>
      scene(async ({ server, one, two }) => {
        const old = one.compute('t:=x')
        await begin(server)
        const invalidation = one.invalidate('t:=x', 't:=y')
        assert.equal(one.log.allows(old), false)
        await inTime('a rejection', assert.rejects(invalidation, PENDING), BOUNDED_MS)
        assert.equal(one.log.state().pendingInvalidations, 2)
        assert.equal(await one.uses(old), false)
        await end(server)
        await eventually('delivered', () => one.log.state().pendingInvalidations === 0)
        await one.worksWith(two)
        assert.equal(await one.uses(old), false)
        assert.equal(await two.uses(old), false)
      }))
  }

  it('reaches the other processes from the queue, not only from what was on its way', () =>
    scene(async ({ raw, one, two }) => {
      const old = two.compute('t:=x')
      // No write is taken until a replica is there, and no strict read is confirmed.
      await raw.config('SET', 'min-replicas-to-write', '1')
      await assert.rejects(one.invalidate('t:=x'), PENDING)
      assert.equal(one.log.allows(old), false)
      assert.equal(two.log.allows(old), true, 'nobody has told the other')
      assert.equal(await two.uses(old, true), false)
      await raw.config('SET', 'min-replicas-to-write', '0')
      await eventually('the other process refuses it', async () => !(await two.uses(old)))
      await eventually('the queue is empty', () => one.log.state().pendingInvalidations === 0)
      assert.ok(Number(await raw.zscore(KEYS.tags, 't:=x')) >= 1)
    }))

  it('counts as pending until it is delivered, also while that is being tried', () =>
    scene(async ({ raw, one }) => {
      await raw.config('SET', 'min-replicas-to-write', '1')
      await assert.rejects(one.invalidate('t:=x'), PENDING)
      let least = Infinity
      let tries = one.troubles.length
      const end = tries + 2
      while (tries < end) {
        least = Math.min(least, one.log.state().pendingInvalidations)
        await new Promise((resolve) => setImmediate(resolve))
        tries = one.troubles.length
      }
      assert.equal(least, 1)
      await raw.config('SET', 'min-replicas-to-write', '0')
      await eventually('the queue is empty', () => one.log.state().pendingInvalidations === 0)
    }))

  it('still holds in this process after the log was loaded anew', () =>
    scene(async ({ raw, one, two }) => {
      const [old, other] = [one.compute('t:=x'), one.compute('t:=y')]
      one.client.disconnect()
      await assert.rejects(one.invalidate('t:=x'), PENDING)
      await loadedAnew(one, raw)
      assert.equal(one.log.allows(old), false)
      assert.equal(one.log.allows(other), true)
      await one.client.connect()
      await eventually('delivered', () => one.log.state().pendingInvalidations === 0)
      await two.worksWith(one)
      assert.equal(await two.uses(old), false)
    }))

  it('holds in this process from the call on, though the log is loaded anew while it waits', () =>
    scene(async ({ server, raw, two }) => {
      const one = await LogProcess.start(speechless(server.client()), { deadlineMs: 3000 })
      try {
        const old = one.compute('t:=x')
        const invalidation = assert.rejects(one.invalidate('t:=x'), PENDING)
        assert.equal(one.log.allows(old), false)
        await loadedAnew(one, raw)
        assert.equal(one.log.allows(old), false, 'while it waits')
        await invalidation
        assert.equal(one.log.allows(old), false, 'when it was rejected')
        assert.equal(await two.uses(old, true), true, 'nobody could have told')
      } finally {
        await one.close()
      }
    }))

  // Regression: only what still waited was forgotten by a table loaded while the rest was on its way.
  it('holds in this process though the log is loaded anew while it is being delivered', () =>
    scene(async ({ server, raw }) => {
      let scripts = 0
      const client = speechless(server.client(), () => scripts++)
      const one = await LogProcess.start(client, { deadlineMs: 3000 })
      try {
        const old = one.compute('t:=x')
        await assert.rejects(one.invalidate('t:=x'), PENDING)
        await eventually('it is being delivered', () => scripts === 2)
        await loadedAnew(one, raw, 3)
        await eventually('it is tried again', () => {
          assert.equal(one.log.allows(old), false)
          return scripts === 3
        })
      } finally {
        await one.close()
      }
    }))

  it('invalidates everything here and there when everything was pending', () =>
    scene(async ({ raw, one, two }) => {
      const old = two.compute('t:=any')
      await raw.config('SET', 'min-replicas-to-write', '1')
      await assert.rejects(one.invalidateAll(), PENDING)
      assert.equal(one.log.allows(old), false)
      assert.equal(one.log.state().pendingInvalidations, 1)
      await raw.config('SET', 'min-replicas-to-write', '0')
      await eventually('the other process refuses it', async () => !(await two.uses(old)))
      await one.worksWith(two)
    }))

  it('says what was not confirmed, and why', () =>
    scene(async ({ server, one }) => {
      await server.kill()
      await assert.rejects(
        one.invalidate('t:=x'),
        /invalidation of one tag is not confirmed by Redis/,
      )
      await assert.rejects(one.invalidate('t:=x', 't:=y'), /invalidation of 2 tags/)
      await assert.rejects(one.invalidateAll(), /invalidation of everything/)
    }))

  it('loses nothing of many that were made in one outage', () =>
    scene(
      async ({ raw, one, two }) => {
        const tags = Array.from({ length: 3000 }, (_, n) => `t:=${n}`)
        const old = [0, 1234, 2999].map((n) => two.compute(tags[n]!))
        await raw.config('SET', 'min-replicas-to-write', '1')
        const attempts = tags.map((tag) => assert.rejects(one.invalidate(tag), PENDING))
        await inTime('all are rejected', Promise.all(attempts), BOUNDED_MS)
        assert.equal(one.log.state().pendingInvalidations, 3000)
        await raw.config('SET', 'min-replicas-to-write', '0')
        for (const entry of old) {
          await eventually('the other process refuses it', async () => !(await two.uses(entry)))
        }
      },
      {},
      { maxTags: 10_000 },
    ))
})

describe('an invalidation when Redis has no memory left', () => {
  it('is confirmed all the same, and seen by the others', () =>
    scene(
      async ({ raw, one, two }) => {
        await raw.config('SET', 'maxmemory', '1')
        await assert.rejects(raw.set('anything', 'x'), /OOM/)
        const old = two.compute('t:=x')
        await one.invalidate('t:=x')
        assert.equal(await two.uses(old, true), false)
        await one.invalidateAll()
        await two.worksWith(one)
      },
      { args: ['--maxmemory-policy', 'noeviction'] },
    ))

  it('can be made by a process that starts only then', () =>
    scene(async ({ server, raw, one }) => {
      await raw.config('SET', 'maxmemory', '1')
      const three = await LogProcess.start(server.client())
      await three.worksWith(one)
      await three.close()
    }))
})
