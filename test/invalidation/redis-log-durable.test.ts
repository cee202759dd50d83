// Invalidations that replicas must have: one master and its replicas, which die, freeze and take over.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import type { RedisClient } from '../../src/store/redis-guard.ts'
import { eventually, inTime } from '../support/clock.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { documentedUser, section } from '../topology/acl.ts'
import { KEYS, LogProcess } from './log-process.ts'

/** For a replica that is well, on a machine that is not; and for one that is not. */
const PATIENT = { durability: { replicas: 1, timeoutMs: 5000 } }
const IMPATIENT = { durability: { replicas: 1, timeoutMs: 300 } }

interface Scene {
  master: RedisServer
  replica: RedisServer
  raw: Redis
  one: LogProcess
  two: LogProcess
}

async function startReplica(master: RedisServer): Promise<RedisServer> {
  const args = ['--replicaof', '127.0.0.1', String(master.port), '--repl-timeout', '60']
  const replica = await startRedis({ args })
  const raw = replica.client()
  await eventually('the replica has its copy', async () =>
    (await raw.info('replication')).includes('master_link_status:up'),
  )
  return replica
}

async function scene(play: (scene: Scene) => Promise<void>, log = IMPATIENT): Promise<void> {
  const master = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startReplica(master)
  const [one, two] = await Promise.all([
    LogProcess.start(master.client(), log),
    LogProcess.start(master.client(), log),
  ])
  try {
    await play({ master, replica, raw: master.client(), one, two })
  } finally {
    await Promise.all([one.close(), two.close()])
    await Promise.all([master.stop(), replica.stop()])
  }
}

describe('an invalidation that a replica must have', { concurrency: true }, () => {
  it('is there when the promise resolves', () =>
    scene(async ({ replica, one, two }) => {
      const there = replica.client()
      for (let n = 1; n <= 20; n++) {
        await one.invalidate(`t:=${n}`)
        assert.equal(await there.zscore(KEYS.tags, `t:=${n}`), String(n))
      }
      await Promise.all(Array.from({ length: 50 }, (_, n) => one.invalidate(`t:=many${n}`)))
      assert.equal(await there.get(KEYS.seq), '70')
      await one.worksWith(two)
    }, PATIENT))

  it('is rejected when the replica does not have it in time, takes effect, and is proven later', () =>
    scene(async ({ replica, raw, one, two }) => {
      const old = two.compute('t:=x')
      replica.freeze()
      const invalidation = one.invalidate('t:=x')
      assert.equal(one.log.allows(old), false)
      await inTime(
        'a rejection',
        assert.rejects(invalidation, {
          code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING',
          message: /0 of 1 replicas had it after 300 ms/,
        }),
      )
      assert.equal(await two.uses(old, true), false, 'the master has told')
      assert.equal(one.log.state().pendingInvalidations, 1)
      const fresh = two.compute('t:=x')
      await one.invalidate('t:=y').catch(() => {})
      await eventually('it was asked again', async () => calls(await raw.info('commandstats')) >= 4)
      assert.equal(await two.uses(fresh), true, 'not invalidated over and over')
      replica.thaw()
      await eventually('it is proven', () => one.log.state().pendingInvalidations === 0)
      const there = replica.client()
      assert.equal(await there.get(KEYS.seq), await raw.get(KEYS.seq))
    }))

  it('makes nobody wait much longer than the others when many wait for a dead replica', () =>
    scene(async ({ replica, one, two }) => {
      await replica.kill()
      const old = two.compute('t:=0', 't:=39')
      const attempts = Array.from({ length: 40 }, (_, n) =>
        assert.rejects(one.invalidate(`t:=${n}`), { statusCode: 503 }),
      )
      const startedAt = performance.now()
      await inTime('all are rejected', Promise.all(attempts))
      // One after the other they would have taken 12 s.
      assert.ok(performance.now() - startedAt < 6000)
      assert.equal(await two.uses(old, true), false)
      assert.equal(one.log.state().pendingInvalidations, 40)
    }))

  it('is not held to be there because the replicas of another master have all of theirs', () =>
    scene(async ({ raw, one }) => {
      const client = one.client as Redis
      const xrevrange = client.xrevrange.bind(client) as Redis['xrevrange']
      // A failover that has lost the record, before anybody looked for it.
      client.xrevrange = async (...args: unknown[]) => {
        await raw.del(KEYS.log)
        return xrevrange(...(args as Parameters<typeof xrevrange>))
      }
      const lost = { statusCode: 503, message: /a failover has lost the record/ }
      await assert.rejects(one.invalidate('t:=x'), lost)
      client.xrevrange = xrevrange
      await eventually('delivered', () => one.log.state().pendingInvalidations === 0)
    }, PATIENT))

  // Regression: the connection on which replicas are asked for was kept when its other end had gone
  // without a word, and all that was invalidated since stayed pending.
  it('is confirmed again when the connection that asks is dead and nobody has said so', async (t) => {
    await scene(async ({ master, one }) => {
      const relay = await Relay.start(t, master.port)
      const given = master.client()
      const duplicate = given.duplicate.bind(given)
      const client = Object.create(given, {
        duplicate: { value: (override: object) => duplicate({ ...override, port: relay.port }) },
      }) as Redis
      const user = await LogProcess.start(client, IMPATIENT)
      try {
        await user.worksWith(user)
        relay.strand()
        await assert.rejects(user.invalidate('t:=x'))
        await eventually('it is proven', () => user.log.state().pendingInvalidations === 0)
        await one.worksWith(user)
      } finally {
        await user.close()
      }
    }, PATIENT)
  })

  it('needs the documented rights and no more', () =>
    scene(async ({ master, raw, one }) => {
      const [, right] = /needs `(\+wait)`/.exec(section)!
      await raw.call('ACL', ...documentedUser('shop', 'password'))
      await raw.call('ACL', 'SETUSER', 'shop', right!)
      const client = master.client({ username: 'shop', password: 'password' })
      const user = await LogProcess.start(client, PATIENT)
      try {
        await user.invalidate('t:=x')
        await one.worksWith(user)
        assert.deepEqual(user.troubles, [])
      } finally {
        await user.close()
      }
    }, PATIENT))

  it('stands in the way of no other command', () =>
    scene(async ({ replica, one }) => {
      replica.freeze()
      const invalidation = assert.rejects(one.invalidate('t:=x'))
      let asked = 0
      let isOver = false
      void invalidation.then(() => (isOver = true))
      while (!isOver) {
        await one.client.get('any')
        asked++
      }
      assert.ok(asked > 5, `${asked}`)
    }))
})

function calls(commandStats: string): number {
  return Number(/cmdstat_wait:calls=(\d+)/.exec(commandStats)?.[1] ?? 0)
}

describe('in a Cluster, an invalidation that a replica must have', () => {
  it('is there when the promise resolves, also after the slot has got another master', async () => {
    const cluster = await startCluster({ replicas: 1 })
    const process = await LogProcess.start(cluster.client() as RedisClient, {
      ...PATIENT,
    })
    const confirmed = (): Promise<boolean> =>
      process.invalidate('t:=x').then(
        () => true,
        () => false,
      )
    try {
      await eventually('an invalidation is confirmed', confirmed)
      const slot = await cluster.nodes[0]!.client().cluster('KEYSLOT', KEYS.seq)
      const master = Math.floor((slot * 3) / 16_384)
      const [was, becomes] = [cluster.nodes[master]!.client(), cluster.nodes[master + 3]!.client()]
      assert.match(await was.info('commandstats'), /cmdstat_wait/)
      await becomes.readonly()
      assert.ok(Number(await becomes.get(KEYS.seq)) >= 1)
      await becomes.cluster('FAILOVER')
      await eventually('it is the master', async () =>
        (await becomes.info('replication')).includes('role:master'),
      )
      await eventually('the other follows it', async () =>
        (await was.info('replication')).includes('master_link_status:up'),
      )
      await eventually('an invalidation is confirmed again', confirmed)
      assert.match(await becomes.info('commandstats'), /cmdstat_wait/)
      await was.readonly()
      assert.equal(await was.get(KEYS.seq), await becomes.get(KEYS.seq))
    } finally {
      await process.close()
      await cluster.stop()
    }
  })
})
