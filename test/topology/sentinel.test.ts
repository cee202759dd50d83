import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import { cutConnections } from '../invalidation/log-process.ts'
import { type RedisSentinel, startSentinel } from '../support/redis-sentinel.ts'
import { Load } from './load.ts'
import { shares } from './sharing.ts'

const RETRY = { retryStrategy: () => 50, sentinelRetryStrategy: () => 50 }

describe('behind Sentinel', () => {
  let sentinel: RedisSentinel
  before(async () => {
    sentinel = await startSentinel()
  })
  after(() => sentinel.stop())
  const options = (): RedisOptions => ({ sentinels: sentinel.sentinels, name: sentinel.name })

  it('two applications share, with options, and with clients of both versions', async (t) => {
    const raw = sentinel.nodes[0]!.client()
    const cut = (): Promise<void> => cutConnections(raw)
    await shares(t, { cut, redis: options })
    await shares(t, { cut, redis: () => new Redis(options() as object) })
    await shares(t, { cut, redis: () => new Redis5(options() as object) as unknown as Redis })
  })

  it('a master that is killed under load costs no request, and nothing is stale when all is quiet', async (t) => {
    const load = await Load.open(t, () => ({
      redis: { ...options(), ...RETRY },
      namespace: 'failover',
    }))
    await load.under(() => load.caches())
    const old = await sentinel.master()
    await load.under(async () => {
      await old.kill()
      await sentinel.failedOverFrom(old)
      await load.caches()
      await load.delivers()
    })
    assert.ok(load.seen.rejected > 0)
    await load.assertQuiet(t)
  })
})
