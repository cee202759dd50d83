import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { eventually, inTime } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { openApp } from '../client/apps.ts'
import { Scene } from './scene.ts'

const PENDING = { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING' }
const BOUNDED_MS = 6000

describe('a write while Redis is down', { concurrency: true }, () => {
  it('is answered in bounded time, is seen by this process at once, and by the others later', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const scene = await Scene.start(t, { redis: server.url })
    assert.equal((await scene.client.get('/item/1')).text, '{"version":1}')
    await scene.caches()
    await server.kill()
    const write = await inTime('a write', scene.client.send('PUT', '/item/1'), BOUNDED_MS)
    assert.equal(write.status, 200)
    assert.equal((await scene.client.get('/item/1')).text, '{"version":2}')
    assert.equal(scene.stats.pendingInvalidations, 2, 'the tag of the route, and the target')
    assert.ok(scene.stats.failures['invalidates']! >= 1)
    await server.restart()
    await scene.recovered()
    await scene.caches()
    assert.equal((await scene.client.get('/item/1')).text, '{"version":2}')
  })

  it('is told by the client, which delivers it when Redis is back', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const options = { redis: server.url, namespace: 'shop' }
    const [one, two] = [await openApp(t, options), await openApp(t, options)]
    await one.cache.set('key', 'old', { tags: ['x'] })
    assert.equal(await two.cache.get('key'), 'old')
    server.freeze()
    const calls = [
      one.cache.invalidateTags(['x']),
      one.cache.invalidateUrl('/a'),
      one.cache.invalidateRoute('/a'),
      one.cache.delete('key'),
      one.cache.clear(),
    ]
    for (const call of calls) await inTime('a call', assert.rejects(call, PENDING), BOUNDED_MS)
    assert.equal(await inTime('a set', one.cache.set('key', 'new'), BOUNDED_MS), false)
    assert.equal(await one.cache.get('key'), undefined)
    assert.equal(one.cache.stats().pendingInvalidations, 1, 'everything: no need for names')
    server.thaw()
    await eventually('delivered', () => one.cache.stats().pendingInvalidations === 0)
    await eventually('forgotten', async () => (await two.cache.get('key')) === undefined)
    await eventually('it is kept again', () => one.cache.set('key', 'new'))
    await eventually('all agree', async () => (await two.cache.get('key')) === 'new')
  })
})
