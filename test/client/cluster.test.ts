import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { eventually } from '../support/clock.ts'
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts'
import { openClient } from './apps.ts'

const NAMES = ['a', 'b', '{c}', '}d{', 'e:f', 'x'.repeat(300)]

describe('in a Redis Cluster', () => {
  let cluster: RedisCluster
  before(async () => (cluster = await startCluster()))
  after(() => cluster.stop())

  it('locks and buffers of any name work, and patterns reach other processes', async (t) => {
    const options = () => ({ redis: cluster.client(), namespace: 'cluster' })
    const one = await openClient(t, options())
    const two = await openClient(t, options())
    const flushed = new Map<string, number>()
    for (const name of NAMES) {
      const first = await one.withLock(name, ({ fencing }) => fencing)
      assert.ok((await two.withLock(name, ({ fencing }) => fencing)) > first)
      const views = one.buffer(name, {
        flush: ({ increments }) => void flushed.set(name, increments.get('n')!),
      })
      await views.increment('n', 3)
      await views.flush()
      assert.equal(flushed.get(name), 3)
    }
    await one.set('user:1', 1)
    assert.equal(await two.get('user:1'), 1)
    await one.invalidatePattern('user:*')
    await eventually('it is forgotten', async () => !(await two.has('user:1')))
  })
})
