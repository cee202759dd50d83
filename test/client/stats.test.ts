import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import Fastify from 'fastify'

import responseCache, { type RouteStats } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { openApp } from './apps.ts'

const NO_REQUESTS = {
  ...{ hits: 0, stale: 0, hitsByTier: { memory: 0, redis: 0 }, collapsed: 0 },
  ...{ misses: 0, missesByReason: {}, bypassed: 0, bypassedByReason: {} },
  ...{ revalidated: 0, stored: 0, notStored: 0, notStoredByReason: {} },
  bytesServed: 0,
}

/** What is left when the histograms and times have been looked at. */
function withoutTimes<Counted extends RouteStats>(stats: Counted): object {
  const { ageAtHit, latency, savedMs, ...rest } = stats
  assert.ok(savedMs >= 0)
  assert.equal(ageAtHit.count, stats.hits)
  assert.equal(latency.redis.count, stats.hitsByTier.redis)
  assert.equal(latency.collapsed.count, stats.collapsed)
  for (const { bounds, counts, count } of [ageAtHit, ...Object.values(latency)]) {
    assert.equal(counts.length, bounds.length + 1)
    assert.equal(
      counts.reduce((sum, each) => sum + each),
      count,
    )
  }
  return rest
}

describe('stats()', () => {
  it('has all its parts before anything has happened', async (t) => {
    const app = await openApp(t)
    const stats = app.cache.stats()
    assert.match(stats.log.epoch, /^[0-9a-f]{16}$/)
    assert.deepEqual(withoutTimes(stats), {
      ...NO_REQUESTS,
      namespace: 'memory',
      hitRate: 0,
      routes: {},
      values: { hits: 0, misses: 0, sets: 0 },
      namespaces: {},
      memory: { entries: 0, bytes: 0 },
      redis: undefined,
      failures: {},
      log: {
        ...{ epoch: stats.log.epoch, seq: 0, tags: 0, floor: 0, verified: true },
        ...{ sinceVerifiedMs: 0, pendingInvalidations: 0, stalenessBoundMs: 0 },
      },
      pendingInvalidations: 0,
      stalenessBoundMs: 0,
      flights: 0,
      fleet: undefined,
      audit: undefined,
    })
  })

  it('counts each request once, by route and by reason, and all routes together', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, { defaults: { ttl: '1h' } })
    app.get('/a/:id', { config: { cache: true } }, async () => 'a')
    app.get('/b', { config: { cache: true } }, async (_request, reply) => {
      reply.header('cache-control', 'private')
      return 'b'
    })
    for (const url of ['/a/1', '/a/1', '/a/2', '/b', '/b']) await app.inject(url)
    await app.inject({ url: '/a/1', headers: { cookie: 'sid=1' } })
    await app.inject({ url: '/a/1', method: 'HEAD' })
    const { routes, ...total } = app.cache.stats()
    assert.deepEqual(withoutTimes(routes['/a/:id']!), {
      ...NO_REQUESTS,
      coalescing: 'on',
      ...{ hits: 2, hitsByTier: { memory: 2, redis: 0 }, stored: 2, bytesServed: 1 },
      ...{ misses: 2, missesByReason: { 'uri-miss': 2 } },
      ...{ bypassed: 1, bypassedByReason: { cookie: 1 } },
    })
    assert.deepEqual(withoutTimes(routes['/b']!), {
      ...NO_REQUESTS,
      coalescing: 'on',
      ...{ misses: 2, missesByReason: { 'uri-miss': 2 } },
      ...{ notStored: 2, notStoredByReason: { private: 2 } },
    })
    assert.equal(total.hits + total.misses + total.bypassed + total.collapsed, 7)
    assert.equal(total.hitRate, 2 / 6)
    assert.deepEqual(Object.keys(routes).sort(), ['/a/:id', '/b'])
    assert.equal(total.memory?.entries, 2)
  })

  it('is a snapshot: what happens later does not change it', async (t) => {
    const app = await openApp(t)
    const before = app.cache.stats()
    const copy = structuredClone(before)
    await app.cache.set('a', 1)
    await app.cache.get('a')
    assert.deepEqual(before, copy)
    assert.notDeepEqual(app.cache.stats(), copy)
  })

  it('tells with Redis of its breaker, its log and its trouble', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const app = await openApp(t, { redis: server.url, namespace: 'shop' })
    await app.cache.set('a', 1)
    const stats = app.cache.stats()
    assert.equal(stats.namespace, 'shop')
    assert.deepEqual(stats.redis, { breaker: 'closed' })
    assert.deepEqual([stats.log.seq, stats.log.tags, stats.log.verified], [1, 1, true])
    assert.equal(stats.stalenessBoundMs, 2000)
    assert.deepEqual(stats.failures, {})
    await server.kill()
    await eventually('trouble is counted', async () => {
      await app.cache.get('b')
      return (app.cache.stats().failures['get'] ?? 0) > 0
    })
  })
})
