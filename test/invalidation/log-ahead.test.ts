// An invalidation that Redis does not confirm, in a process that hears later of the others than they do.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Redis } from 'ioredis'

import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { KEYS, LogProcess, cutFollower } from './log-process.ts'

const PENDING = { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING' }

describe('an invalidation that is pending', () => {
  // Regression: it was noted half a step after the position of its own process, which may lag.
  it('holds for what others computed further ahead, at once and when this process has caught up', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const relay = await Relay.start(t, server.port)
    const late = server.client()
    const duplicate = late.duplicate.bind(late)
    const client = Object.create(late, {
      duplicate: { value: (override: object) => duplicate({ ...override, port: relay.port }) },
      // Scripts are not answered; questions are.
      evalsha: { value: () => new Promise(() => {}) },
    }) as Redis
    const [one, two] = [await LogProcess.start(client), await LogProcess.start(server.client())]
    t.after(() => Promise.all([one.close(), two.close()]))

    relay.holdUp()
    await two.invalidate('t:=other')
    const ahead = two.compute('t:=x')
    assert.ok(ahead.seq > one.log.position.seq)
    assert.equal(one.log.allows(ahead), true)
    await assert.rejects(one.invalidate('t:=x'), PENDING)
    assert.equal(one.log.allows(ahead), false)
    assert.equal(one.log.verdict(ahead), 'purged')
    relay.release()
    await eventually('it has caught up', () => {
      assert.equal(one.log.allows(ahead), false)
      return one.log.position.seq >= ahead.seq
    })
    assert.equal(one.log.allows(ahead), false)
    assert.equal(one.log.state().pendingInvalidations, 1)
    assert.equal(two.log.allows(ahead), true, 'nobody could have told')
  })

  // Regression: what was judged valid while the invalidation was under way stayed so, as the version
  // of the log did, and when it had been delivered it did not count until its record was read here.
  it('is over for nothing before its own record is known', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const relay = await Relay.start(t, server.port)
    const late = server.client()
    const duplicate = late.duplicate.bind(late)
    let isMute = true
    const client = Object.create(late, {
      duplicate: { value: (override: object) => duplicate({ ...override, port: relay.port }) },
      evalsha: {
        value: (...args: Parameters<Redis['evalsha']>) =>
          isMute ? new Promise(() => {}) : late.evalsha(...args),
      },
    }) as Redis
    const [one, two] = [await LogProcess.start(client), await LogProcess.start(server.client())]
    t.after(() => Promise.all([one.close(), two.close()]))

    relay.holdUp()
    await two.invalidate('t:=other')
    const ahead = two.compute('t:=x')
    const invalidating = one.invalidate('t:=x')
    const { version } = one.log
    assert.equal(one.log.allows(ahead), true)
    await assert.rejects(invalidating, PENDING)
    assert.equal(one.log.allows(ahead), false)
    assert.notEqual(one.log.version, version)

    isMute = false
    await eventually('it is delivered', () => one.log.state().pendingInvalidations === 0)
    assert.equal(one.log.allows(ahead), false)
    assert.equal((await two.uses(ahead, true)) || one.log.allows(ahead), false)
  })
})

describe('a table that is loaded again', () => {
  // Regression: what was confirmed after the beginning of the load and before its end was not in it.
  it('knows what was invalidated here while it was loaded', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const given = server.client()
    const duplicate = given.duplicate.bind(given)
    const gate = { isOpen: true, reads: 0, wait: undefined as (() => void) | undefined }
    const client = Object.create(given, {
      duplicate: {
        value(override: object) {
          const follower = duplicate(override)
          const [mget, xread] = [follower.mget.bind(follower), follower.xread.bind(follower)]
          return Object.assign(follower, {
            mget: async (...keys: string[]) => {
              const answer = await mget(...keys)
              if (!gate.isOpen) await new Promise<void>((resolve) => (gate.wait = resolve))
              return answer
            },
            xread: async (...args: Parameters<Redis['xread']>) => {
              gate.reads++
              return gate.isOpen ? xread(...args) : new Promise(() => {})
            },
          })
        },
      },
    }) as Redis
    const log = await LogProcess.start(client, { deadlineMs: 50 })
    t.after(() => log.close())
    await log.invalidate('t:=known')
    const old = [log.compute('t:=x'), log.compute('t:=y')] as const

    gate.isOpen = false
    await cutFollower(server.client())
    await eventually('the tags are read', () => gate.wait !== undefined)
    await log.invalidate('t:=x')
    await log.log.invalidate({ tags: ['t:=y'], mode: 'soft' })
    const { reads } = gate
    gate.wait!()
    await eventually('it is loaded', () => gate.reads > reads)
    assert.equal(await log.uses(old[0]), false)
    assert.equal(log.log.verdict(old[0]), 'expired')
    assert.equal(log.log.verdict(old[1]), 'softened')
    gate.isOpen = true
    await log.worksWith(log)
  })

  // Regression: what was under way was noted half a step after the log that was loaded, which had it
  // already. Where no record followed, nothing that depended on it was valid ever again.
  it('keeps what is computed after an invalidation whose record was in it before its answer', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const { client, answers } = heldBack(server)
    const log = await LogProcess.start(client, { deadlineMs: 10_000 })
    t.after(() => log.close())
    const raw = server.client()

    const old = log.compute('t:=x')
    answers.hold()
    const invalidation = log.invalidate('t:=x')
    await eventually('it is written', async () => (await raw.get(KEYS.seq)) === '1')
    await cutFollower(raw)
    await eventually('its record is loaded', () => log.log.verdict(old) === 'purged')
    assert.equal(log.log.allows(old), false)
    answers.release()
    await invalidation
    assert.equal(log.log.allows(old), false)
    assert.equal(await log.uses(log.compute('t:=x')), true)
    assert.equal(log.log.position.seq, 1)
  })

  it('keeps what is computed after one that is delivered, its record in it before its answer', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const { client, answers } = heldBack(server)
    const log = await LogProcess.start(client, { deadlineMs: 10_000 })
    t.after(() => log.close())
    const raw = server.client()

    const old = log.compute('t:=x')
    answers.refuse()
    await assert.rejects(log.invalidate('t:=x'), PENDING)
    answers.hold()
    await eventually('it is written', async () => (await raw.get(KEYS.seq)) === '1')
    await cutFollower(raw)
    await eventually('its record is loaded', () => log.log.verdict(old) === 'purged')
    assert.equal(log.log.allows(old), false)
    answers.release()
    await eventually('it is delivered', () => log.log.state().pendingInvalidations === 0)
    await eventually('the log is trusted', () => log.log.verified())
    assert.equal(log.log.allows(old), false)
    assert.equal(await log.uses(log.compute('t:=x')), true)
    assert.equal(log.log.position.seq, 1)
  })

  // Regression: what was pending was noted beside the table, and nowhere any more once the epoch had
  // been removed in its place: until that was noticed it was valid in the process that had said it.
  it('knows what is delivered by removing the epoch', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const { client, answers } = heldBack(server)
    const [log, other] = [await LogProcess.start(client), await LogProcess.start(server.client())]
    t.after(() => Promise.all([log.close(), other.close()]))
    const raw = server.client()

    const old = log.compute('t:=x')
    answers.refuse()
    await assert.rejects(log.invalidate('t:=x'), PENDING)
    await other.invalidate('t:=y')
    await eventually('it has heard of that', () => log.log.position.seq === 1)
    answers.forbid()
    await cutFollower(raw)
    await eventually('it is delivered', () => {
      assert.equal(log.log.allows(old), false)
      return log.log.state().pendingInvalidations === 0
    })
    await eventually('the log is trusted', () => {
      assert.equal(log.log.allows(old), false)
      return log.log.verified() && log.log.position.epoch !== old.epoch
    })
    answers.release()
    await log.worksWith(other)
  })
})

/** A client whose scripts are refused, or done and their answers held back, until it is told otherwise. */
function heldBack(server: RedisServer): {
  client: Redis
  answers: Record<'hold' | 'refuse' | 'forbid' | 'release', () => void>
} {
  const client = server.client()
  let isRefused = false
  let isForbidden = false
  let holding: Promise<void> | undefined
  let release = (): void => {}
  const held =
    <Args extends unknown[]>(run: (...args: Args) => Promise<unknown>) =>
    async (...args: Args): Promise<unknown> => {
      if (isForbidden) throw Object.assign(new Error('ERR no way'), { name: 'ReplyError' })
      if (isRefused) throw new Error('no way')
      const answer = await run(...args)
      await holding
      return answer
    }
  return {
    client: Object.create(client, {
      evalsha: { value: held(client.evalsha.bind(client)) },
      eval: { value: held(client.eval.bind(client)) },
    }) as Redis,
    answers: {
      hold() {
        isRefused = false
        holding = new Promise((resolve) => (release = resolve))
      },
      refuse: () => (isRefused = true),
      forbid: () => (isForbidden = true),
      release() {
        isForbidden = isRefused = false
        release()
      },
    },
  }
}
