// The profiles of docker-compose.yml as processes of this machine: its files, commands and scripts,
// with other ports and folders.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import { readRedisSettings, redisFor } from '../../examples/demo/redis.ts'
import responseCache from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import {
  environmentOf,
  isHealthy,
  runScriptOf,
  serviceOf,
  startSentinelOf,
  startServer,
} from '../support/compose.ts'
import type { RedisServer } from '../support/redis.ts'

/** An application on the Redis that the variables of a demo name. */
async function openApp(t: TestContext, env: Record<string, string>): Promise<FastifyInstance> {
  const settings = readRedisSettings((name) => env[name])
  assert.ok(settings !== undefined)
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, {
    ...{ redis: redisFor(settings, app), namespace: 'shop', memory: false },
    defaults: { ttl: '1h', tags: ['products'] },
  })
  app.get('/products/:id', { config: { cache: true } }, () => ({ at: performance.now() }))
  await app.ready()
  return app
}

async function answer(app: FastifyInstance, path: string): Promise<[status: string, body: string]> {
  const { headers, body } = await app.inject(path)
  return [String(headers['cache-status']), body]
}

/** Every response is stored and is a hit, until it is invalidated. */
async function caches(app: FastifyInstance): Promise<void> {
  const paths = Array.from({ length: 30 }, (_, id) => `/products/${id}`)
  const hits = async (): Promise<string[]> => {
    await eventually('all are hits', async () => {
      const answers = await Promise.all(paths.map((path) => answer(app, path)))
      return answers.every(([status]) => status.includes('; hit'))
    })
    return Promise.all(paths.map(async (path) => (await answer(app, path))[1]))
  }
  for (const forget of [() => app.cache.invalidateTags(['products']), () => app.cache.clear()]) {
    const before = await hits()
    await forget()
    for (const [at, path] of paths.entries()) {
      const [status, body] = await answer(app, path)
      assert.doesNotMatch(status, /; hit/)
      assert.notEqual(body, before[at])
    }
  }
  await hits()
}

async function isConfigured(server: RedisServer): Promise<void> {
  const redis = server.client()
  assert.deepEqual(await redis.config('GET', 'maxmemory-policy'), [
    'maxmemory-policy',
    'volatile-ttl',
  ])
  await assert.rejects(redis.call('FLUSHALL'), /unknown command/)
}

describe('The profile sentinel', () => {
  it('runs, is healthy when the sentinels can agree, and fails over', async (t) => {
    const primary = await startServer('redis-primary')
    t.after(() => primary.stop())
    const address = { 'redis-primary': '127.0.0.1', '6379': String(primary.port) }
    const replica = await startServer('redis-replica', address)
    t.after(() => replica.stop())
    const sentinels = await Promise.all(
      [1, 2, 3].map((n) => startSentinelOf(`redis-sentinel-${n}`, primary)),
    )
    for (const sentinel of sentinels) t.after(() => sentinel.stop())
    for (const [at, { port }] of sentinels.entries()) {
      await eventually('the sentinel is healthy', () => isHealthy(`redis-sentinel-${at + 1}`, port))
    }
    for (const server of [primary, replica]) await isConfigured(server)
    await eventually('the replica has caught up', async () =>
      (await replica.client().info('replication')).includes('master_link_status:up'),
    )

    const list = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const demo = environmentOf(serviceOf('demo-sentinel'), { REDIS_SENTINELS: list })
    const app = await openApp(t, demo)
    await caches(app)

    const watcher = primary.client({ port: sentinels[0]!.port, password: undefined as never })
    await eventually('the sentinel knows the replica', async () =>
      watcher.call('SENTINEL', 'FAILOVER', demo['REDIS_SENTINEL_NAME']!).then(
        () => true,
        () => false,
      ),
    )
    await eventually(
      'the replica is master',
      async () => (await replica.client().info('replication')).includes('role:master'),
      30_000,
    )
    await primary.kill()
    await eventually('the cache follows the new master', async () => {
      const [status] = await answer(app, '/products/1')
      return status.includes('; hit') && app.cache.stats().log.verified
    })
    await caches(app)
  })
})

describe('The profile cluster', () => {
  it('runs: six nodes become three masters with a replica each, once', async (t) => {
    const nodes = await Promise.all(
      [1, 2, 3, 4, 5, 6].map((n) => startServer(`redis-cluster-${n}`)),
    )
    for (const node of nodes) t.after(() => node.stop())
    const list = nodes.map(({ port }) => `127.0.0.1:${port}`)
    const env = { REDIS_CLUSTER: list.join(',') }
    assert.match(await runScriptOf('redis-cluster-create', env), /the cluster is in order$/m)
    assert.equal(await runScriptOf('redis-cluster-create', env), 'the cluster is in order\n')

    const roles = await Promise.all(nodes.map((node) => node.client().info('replication')))
    assert.equal(roles.filter((info) => info.includes('role:master')).length, 3)
    assert.equal(roles.filter((info) => info.includes('role:slave')).length, 3)
    for (const [at, node] of nodes.entries()) {
      await isConfigured(node)
      assert.equal(await isHealthy(`redis-cluster-${at + 1}`, node.port), true)
    }

    const given = { REDIS_CLUSTER: list.slice(0, 3).join(',') }
    const app = await openApp(t, environmentOf(serviceOf('demo-cluster'), given))
    await eventually('the log is known', () => app.cache.stats().log.verified)
    await caches(app)
    await eventually('responses are spread over all nodes, replicas too', async () => {
      const sizes = await Promise.all(nodes.map((node) => node.client().dbsize()))
      return sizes.every((size) => size > 0)
    })
  })
})
