// RFC 9111 §5.2.1: what a client's Cache-Control asks for, where the route honours it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { assertStatus, statusOf } from '../support/assert-status.ts'
import type { Answer } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier } from '../support/tiers.ts'
import { type Scene, type SceneOptions, startScene } from './stale.ts'

function honouring(
  t: TestContext,
  cache: ResponseCacheOptions,
  { route, ...options }: SceneOptions = {},
): Promise<Scene> {
  return startScene(t, { ...options, cache, route: { requestDirectives: true, ...route } })
}

const asking = (directives: string): Record<string, string> => ({ 'cache-control': directives })

function assertRefused(answer: Answer): void {
  assert.equal(answer.status, 504)
  assert.equal(JSON.parse(answer.text).code, 'FST_RESPONSE_CACHE_ONLY_IF_CACHED')
  assert.deepEqual(statusOf(answer), { detail: 'only-if-cached' })
}

// Stored 4 s ago, fresh for 6 s more.
for (const [directives, isHit] of [
  ['max-age=5', true],
  ['max-age=4', true],
  ['max-age=3', false],
  ['max-age=0', false],
  ['min-fresh=5', true],
  ['min-fresh=6', true],
  ['min-fresh=7', false],
  ['no-cache', false],
  ['no-store', true],
  ['max-stale', true],
  ['only-if-cached', true],
  ['max-age=5, min-fresh=7', false],
  ['MAX-AGE="3"', false],
] as const) {
  onEachTier(
    `to a fresh response a request with ${directives} is a ${isHit ? 'hit' : 'question to the handler'}`,
    async (t, cache) => {
      const scene = await honouring(t, cache)
      await scene.get()
      scene.pass(4)
      const answer = await scene.get(asking(directives))
      assert.equal(answer.text, isHit ? 'run 1' : 'run 2')
      if (isHit) assert.deepEqual(statusOf(answer), { hit: true, ttl: 6 })
      else assertStatus(answer, { fwd: 'request', stored: true })
      // What the handler said is there for everybody.
      assert.equal((await scene.get()).text, answer.text)
    },
  )
}

// Stale for 4 s.
for (const [directives, isHit] of [
  ['max-stale', true],
  ['max-stale=4', true],
  ['max-stale=3', false],
  ['max-age=20', false],
  ['max-age=20, max-stale=5', true],
  ['no-cache, max-stale', false],
] as const) {
  onEachTier(
    `to a stale response a request with ${directives} is a ${isHit ? 'hit' : 'question to the handler'}`,
    async (t, cache) => {
      // Kept beyond its lifetime for its validators.
      const scene = await honouring(t, cache, {
        answer: (run, _request, reply) => reply.header('etag', `"${run}"`).send(`run ${run}`),
      })
      await scene.get()
      scene.pass(14)
      const answer = await scene.get(asking(directives))
      assert.equal(answer.text, isHit ? 'run 1' : 'run 2')
      if (isHit) assert.deepEqual(statusOf(answer), { hit: true, ttl: -4 })
      else assertStatus(answer, { fwd: 'stale', stored: true })
    },
  )
}

test('max-stale does not go before must-revalidate, nor before an invalidation', async (t) => {
  let cacheControl = 'must-revalidate'
  const scene = await honouring(
    t,
    {},
    {
      answer: (run, _request, reply) =>
        reply.header('etag', `"${run}"`).header('cache-control', cacheControl).send(`run ${run}`),
    },
  )
  await scene.get()
  scene.pass(14)
  assert.equal((await scene.get(asking('max-stale'))).text, 'run 2')
  cacheControl = 'public'
  scene.pass(14)
  await scene.get()
  await scene.cache.invalidateTags(['x'])
  assert.equal((await scene.get(asking('max-stale'))).text, 'run 4')
  await scene.cache.invalidateTags(['x'], { mode: 'soft' })
  assert.equal((await scene.get(asking('max-stale'))).text, 'run 5')
  // Regression: past its lifetime too it counted as no more than stale.
  await scene.cache.invalidateTags(['x'], { mode: 'soft' })
  scene.pass(14)
  assert.equal((await scene.get(asking('max-stale'))).text, 'run 6')
})

onEachTier(
  'within the stale window max-age asks for a fresh response, and max-stale does not',
  async (t, cache) => {
    const scene = await honouring(t, cache, { route: { staleWhileRevalidate: 60 } })
    await scene.get()
    scene.pass(14)
    scene.shut()
    const stale = await scene.get(asking('max-stale=60'))
    assert.equal(stale.text, 'run 1')
    const late = scene.get(asking('max-age=60'))
    scene.door.open()
    assert.match((await late).text, /run [23]/)
    // The refresh in the background and this request may share a run, or the later one is kept.
    await eventually('one of both is stored', async () => /run [23]/.test((await scene.get()).text))
  },
)

onEachTier(
  'softened within its lifetime a response is not what max-age and min-fresh ask for',
  async (t, cache) => {
    const scene = await honouring(t, cache, { route: { staleWhileRevalidate: 60 } })
    await scene.get()
    let runs = 1
    for (const directives of ['max-age=60', 'min-fresh=1']) {
      await scene.cache.invalidateTags(['x'], { mode: 'soft' })
      assert.equal((await scene.get(asking(directives))).text, `run ${++runs}`)
    }
    await scene.cache.invalidateTags(['x'], { mode: 'soft' })
    scene.shut()
    assert.equal((await scene.get(asking('max-stale'))).text, 'run 3')
  },
)

onEachTier('what a request with no-store is answered with is not kept', async (t, cache) => {
  const scene = await honouring(t, cache)
  const answer = await scene.get(asking('no-store'))
  assert.equal(answer.text, 'run 1')
  assertStatus(answer, { fwd: 'uri-miss', detail: 'no-store' })
  assertStatus(await scene.get(), { fwd: 'uri-miss', stored: true })
})

onEachTier('only-if-cached is answered with 504 where nothing may be used', async (t, cache) => {
  const scene = await honouring(t, cache)
  assertRefused(await scene.get(asking('only-if-cached')))
  await scene.get()
  assert.equal((await scene.get(asking('only-if-cached'))).text, 'run 1')
  assertRefused(await scene.get(asking('only-if-cached, no-cache')))
  assertRefused(await scene.get(asking('only-if-cached, min-fresh=20')))
  scene.pass(12)
  assertRefused(await scene.get(asking('only-if-cached')))
  await scene.get()
  await scene.cache.invalidateTags(['x'])
  assertRefused(await scene.get(asking('only-if-cached')))
  assert.equal(scene.runs, 2)
  const head = await scene.client.head('/x', { host: 'shop.example', ...asking('only-if-cached') })
  assert.equal(head.status, 504)
})

onEachTier('only-if-cached does not wait for a run of the handler', async (t, cache) => {
  const scene = await honouring(t, cache)
  const door = scene.shut()
  const first = scene.get()
  await door.reached()
  assertRefused(await scene.get(asking('only-if-cached')))
  door.open()
  assert.equal((await first).text, 'run 1')
})

// Regression: over Redis a request joined a lookup and got what its own directives refuse.
onEachTier(
  'requests with no-cache that arrive with others get no stored response',
  async (t, cache) => {
    const scene = await honouring(t, cache)
    await scene.get()
    const door = scene.shut()
    const plain = Array.from({ length: 10 }, () => scene.get())
    const fresh = Array.from({ length: 10 }, () => scene.get(asking('no-cache')))
    await door.reached()
    await eventually('plain requests are answered', () => true)
    door.open()
    for (const answer of await Promise.all(fresh)) assert.notEqual(answer.text, 'run 1')
    for (const answer of await Promise.all(plain)) assert.equal(answer.status, 200)
  },
)

test('Pragma: no-cache counts where there is no Cache-Control', async (t) => {
  const scene = await honouring(t, {})
  await scene.get()
  assert.equal((await scene.get({ pragma: 'no-cache' })).text, 'run 2')
  assert.equal(
    (await scene.get({ pragma: 'no-cache', 'cache-control': 'max-age=60' })).text,
    'run 2',
  )
  assert.equal((await scene.get({ pragma: 'other' })).text, 'run 2')
})

onEachTier('a request with no-cache has the stored response validated', async (t, cache) => {
  const scene = await honouring(t, cache, {
    answer: (run, { headers }, reply) => {
      reply.header('etag', '"a"')
      if (headers['if-none-match'] === '"a"') return reply.code(304).send()
      return `run ${run}`
    },
  })
  await scene.get()
  const answer = await scene.get(asking('no-cache'))
  assert.equal(answer.text, 'run 1')
  assert.deepEqual(statusOf(answer), { fwd: 'request', 'fwd-status': 304, stored: true })
})

onEachTier(
  'without the option a client cannot force work, and is not refused',
  async (t, cache) => {
    const scene = await startScene(t, { cache })
    assert.equal((await scene.get(asking('only-if-cached'))).text, 'run 1')
    scene.pass(4)
    for (const directives of ['no-cache', 'no-store', 'max-age=0', 'min-fresh=60', 'max-stale']) {
      const answer = await scene.get(asking(directives))
      assert.deepEqual(statusOf(answer), { hit: true, ttl: 6 })
    }
    assert.deepEqual(statusOf(await scene.get({ pragma: 'no-cache' })), { hit: true, ttl: 6 })
    assert.equal(scene.runs, 1)
  },
)
