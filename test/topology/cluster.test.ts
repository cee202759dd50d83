import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster, type ClusterOptions } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'

import { cutConnections } from '../invalidation/log-process.ts'
import { eventually } from '../support/clock.ts'
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts'
import type { RedisServer } from '../support/redis.ts'
import { Load } from './load.ts'
import { shares } from './sharing.ts'

describe('in a Cluster of three masters with a replica each', () => {
  let cluster: RedisCluster
  before(async () => {
    cluster = await startCluster({ replicas: 1 })
  })
  after(() => cluster.stop())

  function openClient(t: TestContext, options: ClusterOptions = {}): Cluster {
    const client = new Cluster(cluster.startupNodes, options as object)
    client.on('error', () => {})
    t.after(() => client.disconnect())
    return client
  }

  /** The node that is master of the slot of a key, by the word of the others. */
  async function masterOf(key: string): Promise<RedisServer> {
    const client = cluster.nodes[5]!.client()
    const slot = await client.cluster('KEYSLOT', key)
    const ranges = (await client.cluster('SLOTS')) as unknown as [
      number,
      number,
      [string, number],
    ][]
    const range = ranges.find(([from, to]) => from <= slot && slot <= to)!
    return cluster.nodes.find((node) => node.port === range[2][1])!
  }

  it('two applications share, with clients of both versions', async (t) => {
    const cut = (): Promise<unknown> =>
      Promise.all(cluster.nodes.map((node) => cutConnections(node.client())))
    const options: object[] = [
      {},
      { enableAutoPipelining: true, enableOfflineQueue: false },
      { redisOptions: { commandTimeout: 450, socketTimeout: 450 } },
    ]
    for (const each of options) {
      const isPatient = !('redisOptions' in each)
      await shares(t, { cut, isPatient, redis: () => new Cluster(cluster.startupNodes, each) })
      const redis = (): Cluster => new Cluster5(cluster.startupNodes, each) as unknown as Cluster
      await shares(t, { cut, isPatient, redis })
    }
  })

  it('the slot of the control keys, and of all entries, moves to another master under load', async (t) => {
    const load = await Load.open(t, () => ({
      redis: openClient(t, { keyPrefix: '{all}:' }),
      namespace: 'moved',
    }))
    await load.under(() => load.caches())
    const source = await masterOf('{all}:')
    const target = cluster.nodes.slice(0, 3).find((node) => node !== source)!
    const epochs = load.sites.map(({ app }) => app.cache.stats().log.epoch)
    await load.under(async () => {
      const moved = await moveSlot(cluster, '{all}:', source, target)
      assert.ok(moved >= 5, `${moved} keys`)
      await load.caches()
      await load.delivers()
    })
    assert.equal(await masterOf('{all}:'), target)
    await load.assertQuiet(t)
    assert.equal(load.seen.staleStrict, 0)
    // Nothing was lost, so nothing had to be given up.
    assert.deepEqual(
      load.sites.map(({ app }) => app.cache.stats().log.epoch),
      epochs,
    )
  })

  it('a master that dies with the control keys costs no request; its replica takes over', async (t) => {
    const load = await Load.open(t, () => ({ redis: openClient(t), namespace: 'dying' }))
    await load.under(() => load.caches())
    const old = await masterOf('{dying}')
    await load.under(async () => {
      await old.kill()
      await eventually('a successor', async () => (await masterOf('{dying}')) !== old)
      await load.caches()
      await load.delivers()
    })
    await load.assertQuiet(t)
  })
})

/** Key by key, as redis-cli does; in between some of the control keys are here and some there. */
async function moveSlot(
  { nodes }: RedisCluster,
  key: string,
  source: RedisServer,
  target: RedisServer,
): Promise<number> {
  const [from, to] = [source.client(), target.client()]
  const slot = await from.cluster('KEYSLOT', key)
  const [fromId, toId] = [await from.cluster('MYID'), await to.cluster('MYID')] as [string, string]
  await to.cluster('SETSLOT', slot, 'IMPORTING', fromId)
  await from.cluster('SETSLOT', slot, 'MIGRATING', toId)
  let moved = 0
  for (;;) {
    const keys = (await from.cluster('GETKEYSINSLOT', slot, 1)) as string[]
    if (keys.length === 0) break
    await from.migrate('127.0.0.1', target.port, '', 0, 1000, 'KEYS', ...keys)
    moved++
    await pause(40)
  }
  for (const node of [target, source, ...nodes.slice(0, 3)]) {
    await node.client().cluster('SETSLOT', slot, 'NODE', toId)
  }
  return moved
}
