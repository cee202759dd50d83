// Failovers by hand, where replication loses exactly what the test wants it to lose.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import {
  CONTROL_SCRIPTS,
  CONTROL_SCRIPTS_REDIS_6,
  controlKeyList,
} from '../../src/invalidation/redis-scripts.ts'
import { runScript } from '../../src/redis-script.ts'
import { KEYS, LogProcess } from '../invalidation/log-process.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Endpoint } from './endpoint.ts'
import { openSite } from './sharing.ts'

interface Pair {
  master: RedisServer
  replica: RedisServer
  endpoint: Endpoint
}

async function openPair(t: TestContext): Promise<Pair> {
  const atOnce = ['--repl-diskless-sync-delay', '0']
  const master = await startRedis({ args: atOnce })
  const replicaOf = ['--replicaof', `127.0.0.1 ${master.port}`]
  const replica = await startRedis({ args: [...replicaOf, ...atOnce] })
  const endpoint = await Endpoint.open(master)
  t.after(async () => {
    endpoint.close()
    await Promise.all([master.stop(), replica.stop()])
  })
  return { master, replica, endpoint }
}

async function copied({ master, replica }: Pair): Promise<void> {
  await master.client().set('last', String(Math.random()))
  const value = await master.client().get('last')
  await eventually(
    'the replica has it all',
    async () => (await replica.client().get('last')) === value,
  )
}

describe('a replica that is promoted without the end of the log', () => {
  it('what was confirmed and lost stays invalid, though the log has grown past it since', async (t) => {
    const pair = await openPair(t)
    const { master, replica, endpoint } = pair
    const toEndpoint = (): LogProcess['client'] => master.client({ port: endpoint.port })
    const [one, two] = [await LogProcess.start(toEndpoint()), await LogProcess.start(toEndpoint())]
    t.after(() => Promise.all([one.close(), two.close()]))
    await one.invalidate('t:=before')
    const old = one.compute('t:=lost')
    await copied(pair)

    await replica.client().replicaof('NO', 'ONE')
    await one.invalidate('t:=lost')
    assert.equal(await two.uses(old, true), false)
    const known = one.log.position
    await master.kill()

    // Others were faster to find the new master, and have taken the numbers of what was lost.
    const three = await LogProcess.start(replica.client())
    t.after(() => three.close())
    assert.equal(three.log.position.epoch, known.epoch)
    assert.equal(await three.uses(old, true), true, 'what was lost is not known here')
    while (three.log.position.seq <= known.seq) await three.invalidate('t:=other')

    endpoint.leadTo(replica)
    endpoint.cut()
    for (const each of [one, two, three]) {
      await eventually(
        'a new epoch',
        () => each.log.verified() && each.log.position.epoch !== known.epoch,
      )
      assert.equal(await each.uses(old, true), false)
    }
    await one.worksWith(three)
  })

  it('an invalidation under a number that was known before is not called done', async (t) => {
    const pair = await openPair(t)
    const { master, replica, endpoint } = pair
    const client = master.client({ port: endpoint.port })
    const one = await LogProcess.start(client)
    t.after(() => one.close())
    await copied(pair)
    await replica.client().replicaof('NO', 'ONE')
    for (let n = 0; n < 3; n++) await one.invalidate('t:=lost')
    const known = one.log.position
    // What this process computes now is numbered after all that it knows.
    const entry = one.compute('t:=a')
    endpoint.leadTo(replica)
    endpoint.cut()
    let outcome = 'resolved'
    await eventually('the client is back', async () => {
      outcome = await one.invalidate('t:=a').then(
        () => 'resolved',
        (error: Error) => error.message,
      )
      return !outcome.includes('not connected')
    })
    const three = await LogProcess.start(replica.client())
    t.after(() => three.close())
    if (outcome === 'resolved') assert.equal(await three.uses(entry, true), false)
    await eventually(
      'a new epoch',
      () => one.log.verified() && one.log.position.epoch !== known.epoch,
    )
    await eventually('all is delivered', () => one.log.state().pendingInvalidations === 0)
    assert.equal(await three.uses(entry, true), false)
  })
})

describe('where the log is', () => {
  for (const [version, { position }] of [
    ['7', CONTROL_SCRIPTS],
    ['6.2', CONTROL_SCRIPTS_REDIS_6],
  ] as const) {
    it(`is told by a master, and by no replica, in the form for Redis ${version}`, async (t) => {
      const pair = await openPair(t)
      const one = await LogProcess.start(pair.master.client())
      t.after(() => one.close())
      await one.invalidate('t:=a')
      await copied(pair)
      const ask = (server: RedisServer): Promise<unknown> =>
        runScript(server.client(), position, controlKeyList(KEYS), [])
      assert.deepEqual(await ask(pair.master), [one.log.position.epoch, '1'])
      await assert.rejects(ask(pair.replica), /READONLY/)
    })
  }
})

describe('a master that becomes a replica', () => {
  it('and cuts no connection confirms nothing any more; caching resumes at its successor', async (t) => {
    const pair = await openPair(t)
    const { master, replica, endpoint } = pair
    const versions = new Map([['1', 1]])
    const site = await openSite(t, versions, {
      redis: { host: '127.0.0.1', port: endpoint.port },
      namespace: 'shop',
    })
    await eventually('a strict hit', async () =>
      (await site.get('/strict/1')).status.includes('; hit'),
    )
    await copied(pair)

    await replica.client().replicaof('NO', 'ONE')
    await master.client().replicaof('127.0.0.1', replica.port)
    const other = await openSite(t, versions, { redis: replica.url, namespace: 'shop' })
    await eventually('the log is loaded', () => other.app.cache.stats().log.verified)
    // Nothing of what is written there reaches the old master any more.
    await master.client().replicaof('127.0.0.1', 1)
    await other.app.cache.invalidateTags(['item:1'])
    versions.set('1', 2)
    for (let n = 0; n < 100; n++) assert.equal((await site.get('/strict/1')).version, 2)

    endpoint.leadTo(replica)
    await eventually('a strict hit', async () =>
      (await site.get('/strict/1')).status.includes('; hit'),
    )
    assert.equal((await site.get('/strict/1')).version, 2)
    assert.equal(site.app.cache.stats().log.epoch, other.app.cache.stats().log.epoch)
  })
})
