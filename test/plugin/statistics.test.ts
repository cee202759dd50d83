// What stats() says of requests beyond their number: bytes, time saved, age, latency.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Histogram } from '../../src/index.ts'
import { overRedis } from '../support/tiers.ts'
import { type Scene, startScene } from './stale.ts'

/** The bounds of the buckets in which there is something, with how much. */
function filled({ bounds, counts }: Histogram): Record<string, number> {
  const named = counts.map((count, bucket) => [String(bounds[bucket] ?? 'above'), count] as const)
  return Object.fromEntries(named.filter(([, count]) => count > 0))
}

test('hits tell the bytes that they were answered with', async (t) => {
  const scene = await startScene(t, {
    answer: (_run, _request, reply) => {
      reply.header('etag', '"a"')
      return 'für'
    },
    route: { ranges: true },
  })
  await scene.get()
  assert.equal(scene.cache.stats().bytesServed, 0)
  await scene.get()
  assert.equal(scene.cache.stats().bytesServed, 4)
  await scene.get({ range: 'bytes=0-1' })
  assert.equal(scene.cache.stats().bytesServed, 6)
  await scene.get({ 'if-none-match': '"a"' })
  await scene.client.head('/x', { host: 'shop.example' })
  assert.equal(scene.cache.stats().bytesServed, 6)
  assert.equal(scene.cache.stats().hits, 4)
})

test('hits and collapsed requests tell what the handler would have taken', async (t) => {
  const scene: Scene = await startScene(t, {
    answer: (run) => {
      scene.pass(0.25)
      return `run ${run}`
    },
  })
  const door = scene.shut()
  const first = scene.get()
  await door.reached()
  const second = scene.get()
  // Long enough for it to have joined.
  for (let n = 0; n < 3; n++) await scene.client.get('/nothing-here')
  door.open()
  assert.deepEqual([(await first).text, (await second).text], ['run 1', 'run 1'])
  await scene.get()
  await scene.get()
  const { savedMs, hits, collapsed } = scene.cache.stats()
  assert.deepEqual([hits, collapsed], [2, 1])
  assert.equal(savedMs, 750)
})

test('hits tell how old their answers were', async (t) => {
  const scene = await startScene(t, { route: { ttl: 100_000 } })
  await scene.get()
  for (const seconds of [0, 0.9, 3, 60, 5000, 90_000]) {
    scene.pass(seconds)
    await scene.get()
  }
  const { ageAtHit } = scene.cache.stats()
  assert.deepEqual(filled(ageAtHit), { 1: 2, 5: 1, 300: 1, 14400: 1, 604800: 1 })
  assert.equal(ageAtHit.count, 6)
})

test('a miss is measured, and one of sixteen hits in memory', async (t) => {
  const scene = await startScene(t)
  for (let n = 0; n < 34; n++) await scene.get()
  await scene.client.head('/y', { host: 'shop.example' })
  await scene.get({ cookie: 'sid=1' })
  const { latency, routes } = scene.cache.stats()
  assert.equal(latency.miss.count, 1)
  assert.equal(latency.memory.count, 3)
  assert.equal(latency.redis.count + latency.collapsed.count, 0)
  assert.ok(latency.miss.sum > 0)
  assert.deepEqual(routes['/x']!.latency, latency)
})

test('each hit in Redis is measured', async (t) => {
  const scene = await startScene(t, { cache: await overRedis({ memory: false }) })
  await scene.get()
  await scene.written()
  for (let n = 0; n < 3; n++) await scene.get()
  const { latency, hitsByTier, ageAtHit, bytesServed } = scene.cache.stats()
  assert.deepEqual([hitsByTier.redis, latency.redis.count, latency.miss.count], [3, 3, 1])
  assert.deepEqual([ageAtHit.count, bytesServed], [3, 15])
})

test('what HEAD forwards is not measured, and counted once', async (t) => {
  const scene = await startScene(t)
  await scene.client.head('/x', { host: 'shop.example' })
  const { latency, misses } = scene.cache.stats()
  assert.deepEqual([misses, latency.miss.count], [1, 0])
})
