import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Cluster } from 'ioredis'

import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisLeases } from '../../src/store/redis-lease.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { makeEntry } from '../store/entries.ts'
import { eventually } from '../support/clock.ts'
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts'
import { KEYS, LogProcess, NAMESPACE, cutConnections } from './log-process.ts'

describe('in a Redis Cluster', () => {
  let cluster: RedisCluster
  let one: LogProcess
  let two: LogProcess
  before(async () => {
    cluster = await startCluster()
    one = await LogProcess.start(cluster.client())
    two = await LogProcess.start(cluster.client())
  })
  after(async () => {
    await Promise.all([one?.close(), two?.close()])
    await cluster?.stop()
  })

  it('the five keys of the log are in one slot', async () => {
    const client = cluster.nodes[0]!.client()
    const slots = await Promise.all(
      Object.values(KEYS).map((key) => client.cluster('KEYSLOT', key)),
    )
    assert.equal(slots.length, 5)
    assert.equal(new Set(slots).size, 1)
  })

  it('an invalidation in one process is seen in another', async () => {
    await one.worksWith(two)
    await two.worksWith(one)
    const old = two.compute('t:=a')
    await one.invalidate('t:=a', 't:=b')
    assert.equal(await two.uses(old, true), false)
  })

  it('entries are spread over all nodes, each with a ttl, and are found again', async () => {
    const guard = new RedisGuard(one.client, {
      deadlineMs: 2000,
      breaker: false,
      onTrouble: () => {},
    })
    const store = new RedisStore(guard, NAMESPACE, () => {})
    const keys = Array.from({ length: 300 }, (_, n) => `entry${n}`)
    const stored = await Promise.all(
      keys.map((key) => store.set(key, makeEntry({ body: key }), 60_000)),
    )
    assert.ok(stored.every((each) => each))
    for (const node of cluster.nodes) {
      const client = node.client()
      const here = (await client.keys('*')).filter((key) => key.startsWith(`${NAMESPACE}#entry`))
      assert.ok(here.length > 50, `${here.length} entries on one node`)
      for (const key of here) assert.ok((await client.pttl(key)) > 0)
    }
    const found = await Promise.all(keys.map((key) => store.get(key)))
    assert.deepEqual(
      found.map((cached) => cached?.entry.body),
      keys,
    )
    await Promise.all(keys.map((key) => store.delete(key)))
    assert.equal(await store.get('entry7'), undefined)
  })

  it('leases are spread over all slots, and one of two processes has each', async () => {
    const options = { deadlineMs: 2000, breaker: false, onTrouble: () => {} } as const
    const [first, second] = [one, two].map(
      ({ client }) => new RedisLeases(new RedisGuard(client, options), NAMESPACE),
    )
    for (const key of Array.from({ length: 50 }, (_, n) => `lease${n}`)) {
      const taken = await Promise.all([
        first!.take(key, 'a', 60_000),
        second!.take(key, 'b', 60_000),
      ])
      assert.deepEqual(taken.toSorted(), ['held', 'mine'])
      const token = taken[0] === 'mine' ? 'a' : 'b'
      assert.equal(await second!.replace(key, token, { mark: 'mine', ttlMs: 1000 }), true)
      assert.equal(await second!.replace(key, token, {}), true)
      assert.equal(await first!.look(key, 'a'), 'free')
    }
  })

  it('a newer entry is not replaced by an older one', async () => {
    const guard = new RedisGuard(one.client, {
      deadlineMs: 2000,
      breaker: false,
      onTrouble: () => {},
    })
    const store = new RedisStore(guard, NAMESPACE, () => {})
    await store.set('newer', makeEntry({ seq: 2, body: 'new' }), 60_000)
    await store.set('newer', makeEntry({ seq: 1, body: 'old' }), 60_000)
    assert.equal((await store.get('newer'))?.entry.body, 'new')
  })

  it('the log goes on when all connections are cut', async () => {
    const old = two.compute('t:=cut')
    await Promise.all(cluster.nodes.map((node) => cutConnections(node.client())))
    await eventually('an invalidation is confirmed', () =>
      one.invalidate('t:=cut').then(
        () => true,
        () => false,
      ),
    )
    await eventually('it has arrived', async () => !(await two.uses(old)))
    await two.worksWith(one)
  })

  it('a Cluster client that was made by the user stays as it was', async () => {
    const user = new Cluster(cluster.startupNodes)
    await user.get('anything')
    const listeners = user.eventNames().map((name) => `${String(name)} ${user.listenerCount(name)}`)
    const three = await LogProcess.start(user)
    await three.worksWith(one)
    await three.close()
    assert.equal(await user.set('still', 'usable'), 'OK')
    assert.deepEqual(
      user.eventNames().map((name) => `${String(name)} ${user.listenerCount(name)}`),
      listeners,
    )
    user.disconnect()
  })
})
