import { after, before, describe, it } from 'node:test'
import { Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import { type ClientOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { cutConnections } from '../invalidation/log-process.ts'
import { type Given, shares } from './sharing.ts'

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
  ['limits that are shorter than a blocking read', { commandTimeout: 300, socketTimeout: 300 }],
]

const opened: { [by: string]: (options: RedisOptions) => Given } = {
  'opened by the plugin': (options) => options,
  'with a client of ioredis 6': (options) => new Redis(options as ClientOptions),
  'with a client of ioredis 5': (options) => new Redis5(options as never) as unknown as Redis,
}

describe('two applications share one server', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis({ unixSocket: true })
    raw = server.client()
  })
  after(() => server.stop())
  const cut = (): Promise<void> => cutConnections(raw)

  for (const [what, options, only] of OPTIONS) {
    for (const [by, open] of Object.entries(opened)) {
      if (only === 'ioredis 6' && by.endsWith('5')) continue
      it(`${what}, ${by}`, async (t) => {
        const address = { host: '127.0.0.1', port: server.port }
        await shares(t, { cut, redis: () => open({ ...address, ...options }) })
      })
    }
  }

  for (const [by, open] of Object.entries(opened)) {
    it(`a Unix socket, ${by}`, async (t) => {
      await shares(t, { cut, redis: () => open({ path: server.socket! }) })
    })
  }

  it('a URL of each kind', async (t) => {
    await shares(t, { cut, redis: () => server.url })
    await shares(t, { cut, redis: () => `${server.url}/2` })
    await shares(t, { cut, redis: () => server.socket! })
  })
})
