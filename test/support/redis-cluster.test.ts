import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCluster } from './redis-cluster.ts'

const names = Array.from({ length: 60 }, (_, index) => `key-${index}`)

describe('startCluster', () => {
  it('starts three masters that share the slots and are ready at once', async () => {
    const cluster = await startCluster()
    const client = cluster.client()
    assert.deepEqual(
      await Promise.all(names.map((name) => client.set(name, name))),
      names.map(() => 'OK'),
    )
    const sizes = await Promise.all(cluster.nodes.map((node) => node.client().dbsize()))
    assert.equal(sizes.length, 3)
    assert.ok(sizes.every((size) => size > 0))
    await cluster.stop()
  })

  it('starts replicas that hold the data and take over from a master that dies', async () => {
    const cluster = await startCluster({ replicas: 1 })
    assert.equal(cluster.nodes.length, 6)
    const client = cluster.client()
    await Promise.all(names.map((name) => client.set(name, name)))
    await client.wait(1, 1000)
    await cluster.nodes[0]?.kill()
    const successor = cluster.nodes[3]?.client()
    const deadline = Date.now() + 15_000
    while (!(await successor?.info('replication'))?.includes('role:master')) {
      assert.ok(Date.now() < deadline, 'the replica did not take over')
      await sleep(20)
    }
    assert.ok(((await successor?.dbsize()) ?? 0) > 0)
    await cluster.stop()
  })

  it('makes a cluster of one', async () => {
    const cluster = await startCluster({ masters: 1 })
    assert.equal(await cluster.client().set('a', '1'), 'OK')
    await cluster.stop()
  })
})
