// RFC 5861 §3: a stale response is served while one run of the handler refreshes it.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { startScene } from './stale.ts'

const SWR = { staleWhileRevalidate: 60 } as const

onEachTier(
  '100 requests get the stale response at once, and one run refreshes it',
  async (t, cache) => {
    const scene = await startScene(t, { cache, route: SWR })
    await scene.get()
    scene.pass(12)
    scene.shut()
    // Nobody opens the door before all have been answered.
    const answers = await Promise.all(Array.from({ length: 100 }, () => scene.get()))
    for (const answer of answers) {
      assert.equal(answer.text, 'run 1')
      assert.equal(answer.headers.age, '12')
      assert.deepEqual(statusOf(answer), { hit: true, ttl: -2 })
    }
    await scene.door.reached()
    assert.equal(scene.runs, 2)
    scene.door.open()
    await scene.refreshed('run 2')
    assert.deepEqual(statusOf(await scene.get()), { hit: true, ttl: 10 })
    assert.equal(scene.runs, 2)
  },
)

onEachTier('after the window the handler answers', async (t, cache) => {
  const scene = await startScene(t, { cache, route: { staleWhileRevalidate: 5 } })
  await scene.get()
  scene.pass(15)
  const answer = await scene.get()
  assert.equal(answer.text, 'run 2')
  assert.notEqual(statusOf(answer).hit, true)
})

for (const directive of ['must-revalidate', 'proxy-revalidate']) {
  onEachTier(`a stale response with ${directive} is not served`, async (t, cache) => {
    const scene = await startScene(t, {
      cache,
      route: SWR,
      answer: (run, _request, reply) => {
        reply.header('cache-control', `${directive}, stale-while-revalidate=60`)
        return `run ${run}`
      },
    })
    await scene.get()
    scene.pass(9)
    assert.equal((await scene.get()).text, 'run 1')
    scene.pass(1)
    assert.equal((await scene.get()).text, 'run 2')
  })
}

test('the window of the response goes before that of the route, when it is shorter and when it is longer', async (t) => {
  let own = 'stale-while-revalidate=5'
  const scene = await startScene(t, {
    route: { staleWhileRevalidate: 20 },
    answer: (run, _request, reply) => {
      reply.header('cache-control', own)
      return `run ${run}`
    },
  })
  await scene.get()
  scene.pass(16)
  assert.equal((await scene.get()).text, 'run 2')
  own = 'stale-while-revalidate=50'
  scene.pass(16)
  assert.equal((await scene.get()).text, 'run 3')
  scene.pass(10 + 49)
  assert.equal((await scene.get()).text, 'run 3')
})

test("with ttl: 'headers' a response names its own window", async (t) => {
  const scene = await startScene(t, {
    route: { ttl: 'headers' },
    answer: (run, _request, reply) => {
      reply.header('cache-control', 'max-age=10, stale-while-revalidate=5')
      return `run ${run}`
    },
  })
  await scene.get()
  scene.pass(14)
  scene.shut()
  assert.equal((await scene.get()).text, 'run 1')
  scene.door.open()
  await scene.refreshed('run 2')
})

onEachTier('a failing refresh backs off, and the stale response goes on', async (t, cache) => {
  let broken = false
  const scene = await startScene(t, {
    cache,
    route: { staleWhileRevalidate: 600 },
    answer: (run) => {
      if (broken) throw new Error('broken')
      return `run ${run}`
    },
  })
  await scene.get()
  scene.pass(11)
  broken = true
  const stale = async (): Promise<void> => {
    const answer = await scene.get()
    assert.equal(answer.text, 'run 1')
    assert.equal(statusOf(answer).hit, true)
  }
  await stale()
  const failures = (): number => scene.cache.stats().failures['refresh'] ?? 0
  await eventually('the refresh has failed', () => failures() === 1)
  for (let count = 0; count < 20; count++) await stale()
  assert.equal(scene.runs, 2)
  scene.pass(1)
  await stale()
  await eventually('the second one has failed', () => failures() === 2)
  scene.pass(1)
  await stale()
  assert.equal(scene.runs, 3, 'the pause is longer after the second failure')
  scene.pass(1)
  broken = false
  await stale()
  await scene.refreshed('run 4')
})

onEachTier('an invalidation ends the window at once', async (t, cache) => {
  const scene = await startScene(t, { cache, route: SWR })
  await scene.get()
  scene.pass(11)
  await scene.cache.invalidateTags(['x'])
  const answer = await scene.get()
  assert.equal(answer.text, 'run 2')
  assert.notEqual(statusOf(answer).hit, true)
})

onEachTier(
  'a refresh that began before an invalidation does not bring the old response back',
  async (t, cache) => {
    let row = 'old'
    const scene = await startScene(t, {
      cache,
      route: SWR,
      hooks: { preHandler: async (request) => void Object.assign(request, { row }) },
      answer: (_run, request) => (request as unknown as { row: string }).row,
    })
    await scene.get()
    scene.pass(11)
    const door = scene.shut()
    assert.equal((await scene.get()).text, 'old')
    await door.reached()
    row = 'new'
    await scene.cache.invalidateTags(['x'])
    const late = scene.get()
    door.open()
    assert.equal((await late).text, 'new')
    assert.equal((await scene.get()).text, 'new')
    await eventually('all is done', () => scene.cache.stats().flights === 0)
    assert.equal((await scene.get()).text, 'new')
  },
)

test('two processes over Redis: what one refreshed is fresh in the other', async (t) => {
  const cache = await overRedis()
  const one = await startScene(t, { cache, route: SWR })
  const two = await startScene(t, { cache, beside: one, route: SWR, answer: (run) => `two ${run}` })
  await one.get()
  await one.written()
  assert.equal((await two.get()).text, 'run 1')
  one.pass(11)
  assert.equal((await one.get()).text, 'run 1')
  await one.refreshed('run 2')
  await one.written()
  // A second later the other one looks again.
  one.pass(1)
  const answer = await two.get()
  assert.equal(answer.text, 'run 2')
  assert.equal(statusOf(answer).ttl, 9)
  assert.equal(two.runs, 0)
})
