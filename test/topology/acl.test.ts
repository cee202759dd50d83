import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import {
  type BufferBatch,
  type CacheClient,
  BufferUnconfirmedError,
  RedisUnavailableError,
} from '../../src/index.ts'
import { PROBED_COMMANDS } from '../../src/redis-fitness.ts'
import { cutConnections } from '../invalidation/log-process.ts'
import { eventually } from '../support/clock.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { documentedRights, documentedUser } from './acl.ts'
import { openSite, shares } from './sharing.ts'

const USER = { username: 'cache', password: 'secret' }
const NAMESPACE = 'shop'
const OTHER_DATABASE = /add ([^.;]*?) for a database other than 0/
const FOR_LOCKS = /\[Locks\][^`]*(`[^`]+`), too/
const FOR_BUFFERS = /\[buffers\][^`]*(`[^`]+`)\./
const FOR_PROCESSES = /\[announced\][^`]*(`[^`]+`)\./
const IN_CLUSTER = /A Cluster client[^`]*((?:`[^`]+`[\s,and]*)+)/

describe('a user with the rights that docs/redis.md lists', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())
  const cut = (): Promise<void> => cutConnections(raw)
  const address = (): { host: string; port: number } => ({ host: '127.0.0.1', port: server.port })

  async function setUser(...changes: string[]): Promise<void> {
    await raw.flushall()
    await raw.call('ACL', 'SETUSER', USER.username, 'reset')
    await raw.call('ACL', ...documentedUser(USER.username, USER.password), ...changes)
  }

  it('is all that two applications need, with RESP2 and RESP3 and both versions of ioredis', async (t) => {
    await setUser()
    for (const protocol of [2, 3] as const) {
      const redis = (): Redis => new Redis({ ...address(), ...USER, protocol })
      await raw.flushall()
      await shares(t, { namespace: NAMESPACE, cut, redis })
    }
    await raw.flushall()
    const redis5 = (): Redis => new Redis5({ ...address(), ...USER }) as unknown as Redis
    await shares(t, { namespace: NAMESPACE, cut, redis: redis5 })
    await raw.flushall()
    await shares(t, { namespace: NAMESPACE, cut, redis: () => ({ ...address(), ...USER }) })
  })

  it('needs one more for another database', async (t) => {
    const more = documentedRights(OTHER_DATABASE)
    assert.deepEqual(more, ['+select'])
    await setUser(...more)
    const redis = { ...address(), ...USER, db: 4 }
    await shares(t, { namespace: NAMESPACE, cut, redis: () => redis })
  })

  it('needs more for locks and buffers, which say so without', async (t) => {
    const redis = { ...address(), ...USER }
    const sum = async (): Promise<number> => {
      let flushed = 0
      const { app } = await openSite(t, new Map(), { redis, namespace: NAMESPACE })
      const flush = ({ increments }: BufferBatch): void => void (flushed = increments.get('a')!)
      const views = app.cache.buffer('views', { flush })
      await app.cache.withLock('a', () => views.increment('a', 5))
      await views.flush()
      return flushed
    }
    await setUser()
    await assert.rejects(sum(), RedisUnavailableError)
    await setUser(...documentedRights(FOR_LOCKS))
    await assert.rejects(sum(), BufferUnconfirmedError)
    await setUser(...documentedRights(FOR_LOCKS), ...documentedRights(FOR_BUFFERS))
    assert.equal(await sum(), 5)
  })

  it('needs more to announce a process and to list those that are, which counts without', async (t) => {
    const open = async (name: string): Promise<CacheClient> => {
      const redis = { ...address(), ...USER }
      const options = { redis, namespace: NAMESPACE, announce: { name } }
      return (await openSite(t, new Map(), options)).app.cache
    }
    await setUser()
    const refused = await open('refused')
    assert.equal((await refused.processes()).length, 1)
    await eventually('it has tried', () => refused.stats().failures['announce'] === 1)
    assert.equal(refused.stats().failures['processes'], 1)
    await setUser(...documentedRights(FOR_PROCESSES))
    const [one] = [await open('one'), await open('other')]
    await eventually('both are seen', async () => (await one.processes()).length === 2)
    await one.close()
    assert.deepEqual(one.stats().failures, {})
  })

  it('has every right that is looked at when the log is loaded, and those alone', async () => {
    const rules = documentedUser(USER.username, USER.password)
    for (const command of PROBED_COMMANDS) assert.ok(rules.includes(`+${command}`), command)
    assert.ok(PROBED_COMMANDS.length > 15)
  })

  it('lacking one of them is told which, with the fix; the application goes on uncached', async (t) => {
    await setUser()
    const lacking = async (command: string): Promise<void> => {
      const user = { username: `no-${command}`, password: USER.password }
      const rules = documentedUser(user.username, user.password)
      await raw.call('ACL', ...rules, `-${command}`)
      const troubles: string[] = []
      const { get } = await openSite(t, new Map([['1', 1]]), {
        redis: { ...address(), ...user, enableReadyCheck: false },
        namespace: NAMESPACE,
        onError: (error) => troubles.push(error.message),
      })
      await eventually(`-${command} is told`, () =>
        troubles.some((each) => each.endsWith(`ACL SETUSER no-${command} +${command}`)),
      )
      for (let n = 0; n < 2; n++) assert.match((await get('/item/1')).status, /fwd=uri-miss/)
    }
    await Promise.all(PROBED_COMMANDS.map(lacking))
  })

  it('lacking the patterns of keys, or scripts, is told so', async (t) => {
    const changes: [string[], RegExp][] = [
      [['resetkeys', '~{shop}:*'], /key patterns of docs\/redis\.md/],
      [['-evalsha'], /evalsha.*docs\/redis\.md, ACL/],
    ]
    for (const [change, message] of changes) {
      await setUser(...change)
      const troubles: string[] = []
      const { get } = await openSite(t, new Map([['1', 1]]), {
        redis: { ...address(), ...USER },
        namespace: NAMESPACE,
        onError: (error) => troubles.push(error.message),
      })
      await eventually(String(message), () => troubles.some((each) => message.test(each)))
      assert.equal((await get('/item/1')).version, 1)
    }
  })

  it('is cached for as soon as the right is given', async (t) => {
    await setUser('-xadd')
    const { app, get } = await openSite(t, new Map([['1', 1]]), {
      redis: { ...address(), ...USER },
      namespace: NAMESPACE,
    })
    assert.equal(app.cache.stats().log.verified, false)
    await raw.call('ACL', 'SETUSER', USER.username, '+xadd')
    await eventually('a hit', async () => (await get('/item/1')).status.includes('; hit'))
  })

  it('is enough in a Cluster, with what is listed for that', async (t) => {
    const cluster = await startCluster()
    t.after(() => cluster.stop())
    const more = documentedRights(IN_CLUSTER)
    assert.ok(more.includes('+cluster|slots'))
    for (const node of cluster.nodes) {
      await node.client().call('ACL', ...documentedUser(USER.username, USER.password), ...more)
    }
    await shares(t, {
      namespace: NAMESPACE,
      cut: () => Promise.all(cluster.nodes.map((node) => cutConnections(node.client()))),
      redis: () => new Cluster(cluster.startupNodes, { redisOptions: USER }),
    })
  })
})
