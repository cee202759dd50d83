// What cannot work is refused at start with the reason: by an error where options show it, by one
// trouble with advice where only the server can tell; the application then goes on uncached.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Fastify from 'fastify'
import { Cluster, type ClusterOptions, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import responseCache from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts'
import { startSentinel } from '../support/redis-sentinel.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Given, openSite, shares } from './sharing.ts'

const NOWHERE = [{ host: '127.0.0.1', port: 1 }]
const lazy = { lazyConnect: true }

async function assertRefused(redis: unknown, reason: RegExp): Promise<void> {
  const app = Fastify()
  await assert.rejects(
    async () => app.register(responseCache, { redis: redis as Given, namespace: 'shop' }),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'FST_RESPONSE_CACHE_INVALID_OPTION')
      assert.match(error.message, /^fastify-response-cache\.redis: /)
      assert.match(error.message, reason)
      return true
    },
  )
  await app.close()
}

function lazyCluster(options: ClusterOptions): Cluster {
  return new Cluster(NOWHERE, { ...lazy, ...options } as never)
}

describe('at registration', () => {
  const REFUSED: [what: string, redis: () => unknown, reason: RegExp][] = [
    ['a list of nodes', () => NOWHERE, /new Cluster/],
    ['nodes', () => ({ nodes: NOWHERE }), /new Cluster/],
    ['options of node-redis', () => ({ socket: { host: 'redis' } }), /socket.*node-redis/],
    // Regression: a URL object has no properties of its own, so the client went to localhost:6379.
    ['a URL object', () => new URL('redis://redis:6380'), /URL object.*redis: url\.href/],
    ['a client in options', () => ({ client: new Redis(lazy) }), /redis: client/],
    [
      'a client of node-redis',
      () => ({ isOpen: true, sendCommand: () => {}, duplicate: () => {}, get: () => {} }),
      /node-redis.*ioredis/,
    ],
    ['readOnly: true in options', () => ({ readOnly: true }), /readOnly/],
    ['a client with readOnly: true', () => new Redis({ ...lazy, readOnly: true }), /readOnly/],
    ['a client that monitors', () => ({ monitor: true }), /monitor/],
    [
      'replicas by Sentinel',
      () => new Redis({ ...lazy, sentinels: NOWHERE, name: 'cache', role: 'slave' }),
      /role: 'slave'/,
    ],
    ["scaleReads: 'slave'", () => lazyCluster({ scaleReads: 'slave' }), /scaleReads: 'master'/],
    ["scaleReads: 'all'", () => lazyCluster({ scaleReads: 'all' }), /scaleReads: 'master'/],
    [
      'a function as scaleReads',
      () => lazyCluster({ scaleReads: (nodes: Redis[]) => nodes[0] }),
      /scaleReads: 'master'/,
    ],
    [
      'a database in a Cluster',
      () => lazyCluster({ redisOptions: { db: 2 } }),
      /database 0, not 2/,
    ],
    ["keyPrefix '{}' in a Cluster", () => lazyCluster({ keyPrefix: 'a{}' }), /'a\{\}' scatters/],
    [
      "keyPrefix '{}' in redisOptions",
      () => lazyCluster({ redisOptions: { keyPrefix: '{}a{b}' } }),
      /'\{\}a\{b\}' scatters/,
    ],
  ]
  for (const [what, redis, reason] of REFUSED) {
    it(`${what} is refused with the reason`, () => assertRefused(redis(), reason))
  }
})

describe('a client in a state where it takes no commands', () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())

  it('is told of at once when it has been closed; it may also have given up by itself', async (t) => {
    for (const Client of [Redis, Redis5 as unknown as typeof Redis]) {
      const closed = new Client(server.url)
      await closed.ping()
      await closed.quit()
      await eventually('closed', () => closed.status === 'end')
      const troubles: string[] = []
      const { get } = await openSite(t, new Map([['1', 1]]), {
        redis: closed,
        namespace: 'shop',
        onError: (error) => troubles.push(error.message),
      })
      assert.match(troubles[0]!, /closed or gave up; it works again after connect\(\)/)
      assert.equal((await get('/item/1')).version, 1)
    }
  })

  it('is refused when it subscribes with RESP2', async () => {
    const subscriber = new Redis({ host: '127.0.0.1', port: server.port, protocol: 2 })
    await subscriber.subscribe('news')
    await assertRefused(subscriber, /subscriber mode/)
    subscriber.disconnect()
  })

  it('works while it subscribes with RESP3', async (t) => {
    const subscriber = new Redis({ host: '127.0.0.1', port: server.port })
    t.after(() => subscriber.disconnect())
    await subscriber.subscribe('news')
    const { app, get } = await openSite(t, new Map(), { redis: subscriber, namespace: 'shop' })
    await eventually('a hit', async () => (await get('/item/1')).status.includes('; hit'))
    assert.deepEqual(app.cache.stats().failures, {})
  })
})

/** Told what is wrong, and answering every request without the cache. */
async function assertUncached(t: it.TestContext, redis: Given, advice: RegExp): Promise<void> {
  const troubles: string[] = []
  const { app, get } = await openSite(t, new Map([['1', 1]]), {
    redis,
    namespace: 'shop',
    onError: (error) => troubles.push(error.message),
  })
  await eventually(String(advice), () => troubles.some((each) => advice.test(each)))
  for (let n = 0; n < 3; n++) {
    const { version, status } = await get('/item/1')
    assert.equal(version, 1)
    assert.doesNotMatch(status, /; hit/)
  }
  assert.equal(app.cache.stats().hits, 0)
  assert.equal(app.cache.stats().log.verified, false)
}

describe('what only the server can tell', () => {
  it('a replica: the master is asked for; when it is promoted, caching begins', async (t) => {
    const master = await startRedis()
    const replica = await startRedis({ args: ['--replicaof', `127.0.0.1 ${master.port}`] })
    t.after(() => Promise.all([master.stop(), replica.stop()]))
    await assertUncached(t, replica.client(), /replica.*address of the master/)
    const { get } = await openSite(t, new Map(), { redis: replica.url, namespace: 'other' })
    await replica.client().replicaof('NO', 'ONE')
    await eventually('a hit', async () => (await get('/item/1')).status.includes('; hit'))
  })

  it('a replica that takes writes, which are lost when it copies its master again', async (t) => {
    const master = await startRedis()
    const args = ['--replicaof', `127.0.0.1 ${master.port}`, '--replica-read-only', 'no']
    const replica = await startRedis({ args })
    t.after(() => Promise.all([master.stop(), replica.stop()]))
    await assertUncached(t, replica.client(), /replica.*address of the master/)
  })

  it('a Sentinel: it goes into sentinels', async (t) => {
    const sentinel = await startSentinel({ replicas: 0, sentinels: 1 })
    t.after(() => sentinel.stop())
    await assertUncached(t, sentinel.sentinels[0]!, /Sentinel.*sentinels: \[/)
  })

  it('a single client to a Cluster, and a Cluster client to a single server', async (t) => {
    const cluster = await startCluster()
    const single = await startRedis()
    const wrong = new Cluster([{ host: '127.0.0.1', port: single.port }])
    t.after(async () => {
      wrong.disconnect()
      await Promise.all([cluster.stop(), single.stop()])
    })
    wrong.on('error', () => {})
    const clients = cluster.nodes.map((node) => node.client())
    const slot = await clients[0]!.cluster('KEYSLOT', '{shop}')
    const at = Math.floor((slot * 3) / 16_384)
    await assertUncached(t, clients[(at + 1) % 3]!, /^MOVED.*new Cluster/)
    await assertUncached(t, wrong, /cluster support disabled.*Redis is no Cluster/)
  })

  it('a server that may evict the control keys: a warning, and it works', async (t) => {
    const args = ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru']
    const server = await startRedis({ args })
    t.after(() => server.stop())
    const lines: string[] = []
    const app = Fastify({
      logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } },
    })
    t.after(() => app.close())
    await app.register(responseCache, { redis: server.url, namespace: 'shop' })
    await app.ready()
    await eventually('loaded', () => app.cache.stats().log.verified)
    await server.client().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await app.cache.set('key', 1, { ttl: 60 }).catch(() => {})
    await eventually('loaded again', () => app.cache.stats().log.verified)
    const warnings = lines.filter((line) => line.includes('maxmemory-policy'))
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /allkeys-lru.*volatile-ttl/)
  })

  it('a server that evicts what has a lifetime, or has no limit, is none to warn of', async (t) => {
    for (const policy of [
      ['50mb', 'volatile-ttl'],
      ['0', 'allkeys-lru'],
    ]) {
      const [limit, name] = policy as [string, string]
      const server = await startRedis({ args: ['--maxmemory', limit, '--maxmemory-policy', name] })
      t.after(() => server.stop())
      const lines: string[] = []
      const app = Fastify({
        logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } },
      })
      t.after(() => app.close())
      await app.register(responseCache, { redis: server.url, namespace: 'shop' })
      await app.ready()
      await eventually('loaded', () => app.cache.stats().log.verified)
      assert.deepEqual(lines, [])
    }
  })
})

describe('a keyPrefix with braces in a Cluster', () => {
  let cluster: RedisCluster
  before(async () => {
    cluster = await startCluster()
  })
  after(() => cluster.stop())
  const cut = (): Promise<unknown> =>
    Promise.all(
      cluster.nodes.map((node) =>
        node.client().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
      ),
    )

  for (const keyPrefix of ['app:', '{', '}', 'a{b', '}{', '{app}:']) {
    it(`'${keyPrefix}' leaves the control keys in one slot`, async (t) => {
      const redis = (): Cluster => new Cluster(cluster.startupNodes, { keyPrefix })
      await shares(t, { cut, redis })
    })
  }

  it("'{app}:' is warned of, since one node then holds everything", async (t) => {
    const lines: string[] = []
    const app = Fastify({
      logger: { level: 'warn', stream: { write: (line: string) => void lines.push(line) } },
    })
    const redis = new Cluster(cluster.startupNodes, { keyPrefix: '{app}:' })
    t.after(async () => {
      await app.close()
      redis.disconnect()
    })
    await app.register(responseCache, { redis, namespace: 'shop' })
    await app.ready()
    await eventually('warned', () => lines.some((line) => line.includes("Cluster slot of 'app'")))
  })
})
