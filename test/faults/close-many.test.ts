import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import Fastify from 'fastify'
import { Redis } from 'ioredis'

import responseCache from '../../src/index.ts'
import type { RedisClient } from '../../src/store/redis-guard.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'

/** An application that opens, works and closes. */
async function live(redis: RedisClient | string): Promise<void> {
  const app = Fastify()
  await app.register(responseCache, { redis, namespace: 'shop', defaults: { ttl: '1h' } })
  app.get('/', { config: { cache: true } }, async () => 'answered')
  assert.equal((await app.inject('/')).body, 'answered')
  await app.cache.invalidateTags(['x'])
  await app.close()
}

function listeners(client: RedisClient): Record<string, number> {
  return Object.fromEntries(
    client.eventNames().map((name) => [String(name), client.listenerCount(name)]),
  )
}

async function connections(servers: readonly RedisServer[]): Promise<number> {
  let count = 0
  for (const server of servers) {
    const raw = server.client()
    count += ((await raw.call('CLIENT', 'LIST', 'TYPE', 'normal')) as string)
      .trim()
      .split('\n').length
    raw.disconnect()
  }
  return count
}

async function assertLeavesNothing(
  t: TestContext,
  servers: readonly RedisServer[],
  redis: RedisClient | string,
  times: number,
): Promise<void> {
  if (typeof redis !== 'string') {
    await eventually('the client is connected', () => redis.status === 'ready')
  }
  await live(redis) // what a client opens when it is first needed stays open
  const before = await connections(servers)
  const heard = typeof redis === 'string' ? {} : listeners(redis)
  const warnings: Error[] = []
  const listen = (warning: Error): void => void warnings.push(warning)
  process.on('warning', listen)
  for (let n = 0; n < times; n++) await live(redis)
  process.off('warning', listen)
  await eventually('as many connections as before', async () => {
    return (await connections(servers)) === before
  })
  assert.deepEqual(warnings, [], 'too many listeners, for one')
  if (typeof redis === 'string') return
  assert.deepEqual(listeners(redis), heard)
  assert.equal(await redis.set('key', 'value'), 'OK')
  assert.equal(await redis.get('key'), 'value')
  t.diagnostic(`${times} applications, ${before} connections before and after`)
}

describe('applications that are opened and closed', { concurrency: true }, () => {
  it('leave a client of the application usable, with the same listeners and connections, 50 times', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const client = new Redis(server.port)
    t.after(() => client.disconnect())
    await assertLeavesNothing(t, [server], client, 50)
  })

  it('leave a Cluster of the application usable, with the same listeners and connections', async (t) => {
    const cluster = await startCluster()
    t.after(() => cluster.stop())
    await assertLeavesNothing(t, cluster.nodes, cluster.client(), 10)
  })

  it('leave no connection that the plugin opened', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    await assertLeavesNothing(t, [server], server.url, 10)
  })
})
