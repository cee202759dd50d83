// invalidateTags(tags, { mode: 'soft' }): stale, and to be refreshed, but not forbidden.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { type Scene, startScene } from './stale.ts'

const SWR = { staleWhileRevalidate: 60 } as const

const soften = ({ cache }: Scene): Promise<void> => cache.invalidateTags(['x'], { mode: 'soft' })

onEachTier(
  'with a window the stale response is served while one run refreshes it',
  async (t, cache) => {
    const scene = await startScene(t, { cache, route: SWR })
    await scene.get()
    scene.pass(2)
    await soften(scene)
    const door = scene.shut()
    for (const answer of await Promise.all(Array.from({ length: 50 }, () => scene.get()))) {
      assert.equal(answer.text, 'run 1')
      assert.equal(statusOf(answer).hit, true)
      assert.equal(answer.headers.age, '2')
    }
    await door.reached()
    door.open()
    await eventually('run 2 is stored', async () => (await scene.get()).text === 'run 2')
    scene.pass(1)
    assert.deepEqual(statusOf(await scene.get()), { hit: true, ttl: 9 })
    assert.equal(scene.runs, 2)
  },
)

onEachTier('without a window it is a miss', async (t, cache) => {
  const scene = await startScene(t, { cache })
  await scene.get()
  await soften(scene)
  const answer = await scene.get()
  assert.equal(answer.text, 'run 2')
  assert.deepEqual(statusOf(answer), { fwd: 'stale', stored: true })
})

onEachTier('without a window what has a validator is validated', async (t, cache) => {
  const scene = await startScene(t, {
    cache,
    answer: (run, { headers }, reply) => {
      reply.header('etag', '"a"')
      return headers['if-none-match'] === '"a"' ? reply.code(304).send() : `run ${run}`
    },
  })
  await scene.get()
  await soften(scene)
  const answer = await scene.get()
  assert.equal(answer.text, 'run 1')
  assert.deepEqual(statusOf(answer), { fwd: 'stale', 'fwd-status': 304, stored: true })
  assert.equal(statusOf(await scene.get()).hit, true)
})

onEachTier('what must be revalidated is not served after a soft invalidation', async (t, cache) => {
  const scene = await startScene(t, {
    cache,
    route: SWR,
    answer: (run, _request, reply) =>
      reply.header('cache-control', 'must-revalidate').send(`run ${run}`),
  })
  await scene.get()
  await soften(scene)
  assert.equal((await scene.get()).text, 'run 2')
})

for (const harder of ['expire', 'purge'] as const) {
  for (const order of ['before', 'after']) {
    onEachTier(
      `an invalidation with mode ${harder} ${order} a soft one counts`,
      async (t, cache) => {
        const scene = await startScene(t, { cache, route: SWR })
        await scene.get()
        if (order === 'after') await soften(scene)
        await scene.cache.invalidateTags(['x'], { mode: harder })
        if (order === 'before') await soften(scene)
        assert.equal((await scene.get()).text, 'run 2')
      },
    )
  }
}

onEachTier(
  'a refresh that began before a soft invalidation is not taken for fresh',
  async (t, cache) => {
    const scene = await startScene(t, { cache, route: SWR })
    await scene.get()
    scene.pass(11)
    const door = scene.shut()
    await scene.get()
    await door.reached()
    await soften(scene)
    door.open()
    await eventually('a later run is stored', async () => (await scene.get()).text === 'run 3')
  },
)

onEachTier('a URL and a route can be softened too', async (t, cache) => {
  const scene = await startScene(t, { cache, route: SWR })
  await scene.get()
  await scene.cache.invalidateUrl('/x', { mode: 'soft' })
  assert.equal((await scene.get()).text, 'run 1')
  await scene.refreshed('run 2')
  await scene.cache.invalidateRoute('/x', { mode: 'soft' })
  assert.equal((await scene.get()).text, 'run 2')
  await scene.refreshed('run 3')
})

test('what one process softens the other serves stale, and the refresh of either serves both', async (t) => {
  const cache = await overRedis()
  const one = await startScene(t, { cache, route: SWR })
  const two = await startScene(t, { cache, beside: one, route: SWR, answer: (run) => `two ${run}` })
  await one.get()
  await one.written()
  assert.equal((await two.get()).text, 'run 1')
  await soften(one)
  await eventually('the other has heard', () => two.cache.stats().log.seq === 1)
  const door = one.shut()
  assert.equal((await two.get()).text, 'run 1')
  await door.reached()
  door.open()
  await eventually('the other has its own', async () => (await two.get()).text === 'two 1')
  await two.written()
  one.pass(1)
  assert.equal((await one.get()).text, 'two 1')
  assert.equal(one.runs, 1)
})

test('a process that loads the table after a soft invalidation takes it for a purge', async (t) => {
  const cache = await overRedis()
  const one = await startScene(t, { cache, route: SWR })
  await one.get()
  await soften(one)
  const late = await startScene(t, {
    cache,
    beside: one,
    route: SWR,
    answer: (run) => `late ${run}`,
  })
  assert.equal((await late.get()).text, 'late 1')
})
