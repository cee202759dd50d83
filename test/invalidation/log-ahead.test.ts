// An invalidation that Redis does not confirm, in a process that hears later of the others than they do.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Redis } from 'ioredis'

import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { LogProcess } from './log-process.ts'

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
})
