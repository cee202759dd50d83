import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import { eventually } from '../support/clock.ts'
import { type ClientOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { cutConnections } from '../invalidation/log-process.ts'
import { type Given, openSite, shares } from './sharing.ts'

/** Options that users of ioredis have for reasons of their own. */
const OPTIONS: [what: string, options: RedisOptions, only?: 'ioredis 6'][] = [
  ['no options', {}],
  ['db', { db: 3 }],
  ['keyPrefix', { keyPrefix: 'app:' }],
  ['keyPrefix with braces', { keyPrefix: '{app}:' }],
  ['protocol: 2', { protocol: 2 }],
  ['protocol: 3', { protocol: 3 }, 'ioredis 6'],
  ["replyMapping: 'resp3'", { protocol: 3, replyMapping: 'resp3' } as RedisOptions, 'ioredis 6'],
  ['stringNumbers', { stringNumbers: true }],
  ['enableOfflineQueue: false', { enableOfflineQueue: false }],
  ['lazyConnect', { lazyConnect: true }],
  ['enableAutoPipelining', { enableAutoPipelining: true }],
  ['maxRetriesPerRequest: null, as BullMQ asks for', { maxRetriesPerRequest: null }],
  [
    'the same without a ready check',
    { maxRetriesPerRequest: null, enableReadyCheck: false, enableOfflineQueue: false },
  ],
  ['limits that are shorter than a blocking read', { commandTimeout: 450, socketTimeout: 450 }],
]

const opened: { [by: string]: (options: RedisOptions) => Given } = {
  'opened by the plugin': (options) => options,
  'with a client of ioredis 6': (options) => new Redis(options as ClientOptions),
  'with a client of ioredis 5': (options) => new Redis5(options as never) as unknown as Redis,
}

async function loadsOf(raw: Redis): Promise<number> {
  return Number(/cmdstat_zscan:calls=(\d+)/.exec(await raw.info('commandstats'))?.[1])
}

// Each test has a server of its own, because it cuts all connections of one.
describe('two applications share one server', { concurrency: 4 }, () => {
  async function start(t: TestContext): Promise<{
    server: RedisServer
    raw: Redis
    cut: () => Promise<void>
  }> {
    const server = await startRedis({ unixSocket: true })
    t.after(() => server.stop())
    const raw = server.client()
    return { server, raw, cut: () => cutConnections(raw) }
  }

  for (const [what, options, only] of OPTIONS) {
    for (const [by, open] of Object.entries(opened)) {
      if (only === 'ioredis 6' && by.endsWith('5')) continue
      it(`${what}, ${by}`, async (t) => {
        const { server, cut } = await start(t)
        const address = { host: '127.0.0.1', port: server.port }
        const isPatient = options.commandTimeout === undefined
        await shares(t, { cut, isPatient, redis: () => open({ ...address, ...options }) })
      })
    }
  }

  for (const options of [
    { commandTimeout: 200, socketTimeout: 200, blockingTimeout: 100, blockingTimeoutGrace: 1 },
    { protocol: 3, replyMapping: 'resp3' },
  ]) {
    it(`${JSON.stringify(options)}: the log is followed, and not loaded again and again`, async (t) => {
      const { server, raw } = await start(t)
      const address = { host: '127.0.0.1', port: server.port }
      const redis = { ...address, ...options } as RedisOptions
      const { app } = await openSite(t, new Map(), { redis, namespace: 'followed' })
      await eventually('the log is loaded', () => app.cache.stats().log.verified)
      const loads = await loadsOf(raw)
      for (let n = 0; n < 3; n++) await app.cache.invalidateTags(['a']).catch(() => {})
      await pause(700) // longer than a read of the follower blocks
      assert.equal(await loadsOf(raw), loads)
      assert.equal(app.cache.stats().failures['follow'], undefined)
    })
  }

  for (const [by, open] of Object.entries(opened)) {
    it(`a Unix socket, ${by}`, async (t) => {
      const { server, cut } = await start(t)
      await shares(t, { cut, redis: () => open({ path: server.socket! }) })
    })
  }

  it('a URL of each kind', async (t) => {
    const { server, cut } = await start(t)
    await shares(t, { cut, redis: () => server.url })
    await shares(t, { cut, redis: () => `${server.url}/2` })
    await shares(t, { cut, redis: () => server.socket! })
  })
})
