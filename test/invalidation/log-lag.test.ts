// A process that hears of the log later than it asks for it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import { startRedis } from '../support/redis.ts'
import { LogProcess } from './log-process.ts'

const LAG_MS = 60
/** Of the lease. */
const LEASE_MS = 2000

describe('a process that hears of the log later than it asks for it', () => {
  // Regression: each answer took the place of the one that was waited for, which was never reached
  // where many asked and much was invalidated; from the end of a lease on nothing was trusted.
  it('trusts its table while many ask and much is invalidated', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const given = server.client()
    const duplicate = given.duplicate.bind(given)
    const client = Object.create(given, {
      duplicate: {
        value(override: object) {
          const follower = duplicate(override)
          const xread = follower.xread.bind(follower) as (...args: unknown[]) => Promise<unknown>
          return Object.assign(follower, {
            xread: async (...args: unknown[]) => {
              const answer = await xread(...args)
              await pause(LAG_MS)
              return answer
            },
          })
        },
      },
    }) as Redis
    const [late, other] = [await LogProcess.start(client), await LogProcess.start(server.client())]
    t.after(() => Promise.all([late.close(), other.close()]))

    const outcomes = { confirmed: 0, refused: 0 }
    const endsAt = performance.now() + 2 * LEASE_MS
    const writing = (async () => {
      while (performance.now() < endsAt) await Promise.all([other.invalidate('t:=x'), pause(4)])
    })()
    const asking: Promise<unknown>[] = []
    while (performance.now() < endsAt) {
      // As requests do it that do not wait for each other.
      const asked = late.log.confirm()
      asking.push(asked.then((isSure) => outcomes[isSure ? 'confirmed' : 'refused']++))
      await pause(1)
    }
    await Promise.all([writing, ...asking])
    t.diagnostic(JSON.stringify(outcomes))
    assert.ok(outcomes.refused < outcomes.confirmed / 10, JSON.stringify(outcomes))
  })
})
