import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Redis } from 'ioredis'

import { startSentinel } from './redis-sentinel.ts'

describe('startSentinel', () => {
  it('starts sentinels that name a successor when the master dies', async () => {
    const sentinel = await startSentinel()
    const { sentinels, name } = sentinel
    assert.equal(sentinels.length, 3)
    const [master, replica] = sentinel.nodes
    assert.equal(await sentinel.master(), master)
    const client = new Redis({ sentinels, name })
    client.on('error', () => {})
    await client.set('a', '1')
    await client.wait(1, 1000)
    await master!.kill()
    assert.equal(await sentinel.failedOverFrom(master!), replica)
    assert.equal(await client.get('a'), '1')
    client.disconnect()
    await sentinel.stop()
  })
})
