// XFetch: what is fresh still is refreshed in the background, the more probably the nearer it is to
// becoming stale and the longer its handler takes.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { statusOf } from '../support/assert-status.ts'
import { type Answer, start } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { type Scene, type SceneOptions, startScene } from './stale.ts'

/** What every draw is. Counts them; others draw as well when an application starts. */
function draws(t: TestContext, number: number): { count: () => number; forget: () => void } {
  const { mock } = t.mock.method(Math, 'random', () => number)
  return { count: () => mock.callCount(), forget: () => mock.resetCalls() }
}

/** Due as soon as less than this many computing times remain. */
const at = (times: number): number => Math.exp(-times)

/** Fresh for 100 s, and one second in the making. */
async function slowScene(t: TestContext, options: SceneOptions = {}): Promise<Scene> {
  const scene: Scene = await startScene(t, {
    ...options,
    route: { ttl: 100, earlyRefresh: true, ...options.route },
    answer: (run, request, reply) => {
      ;(options.beside ?? scene).pass(1)
      return options.answer?.(run, request, reply) ?? `run ${run}`
    },
  })
  return scene
}

function assertFreshHit(answer: Answer, text: string): void {
  assert.equal(answer.text, text)
  assert.equal(statusOf(answer).hit, true)
  assert.ok(Number(statusOf(answer).ttl) >= 0)
}

/** Long enough for a refresh that was started to have reached the handler. */
async function turn(scene: Scene): Promise<void> {
  for (let n = 0; n < 3; n++) await scene.client.get('/nothing-here')
}

onEachTier('a hit that draws it is served, and replaced in the background', async (t, cache) => {
  draws(t, at(2))
  const scene = await slowScene(t, { cache })
  await scene.get()
  scene.pass(97.9)
  assertFreshHit(await scene.get(), 'run 1')
  await turn(scene)
  assert.equal(scene.runs, 1)
  scene.pass(0.2)
  assertFreshHit(await scene.get(), 'run 1')
  await scene.refreshed('run 2')
  assert.equal(scene.runs, 2)
  assert.equal(scene.cache.stats().stale, 0)
})

onEachTier(
  'however many draw it, there is one refresh, and none of them waits',
  async (t, cache) => {
    draws(t, 0)
    const scene = await slowScene(t, { cache })
    await scene.get()
    // With its second in the making it is fresh still: who then finds it stale runs the handler.
    scene.pass(98)
    scene.shut()
    const answers = await Promise.all(Array.from({ length: 50 }, () => scene.get()))
    for (const answer of answers) assertFreshHit(answer, 'run 1')
    await scene.door.reached()
    assert.equal(scene.runs, 2)
    scene.door.open()
    await scene.refreshed('run 2')
  },
)

test('those who find it stale meanwhile wait for the refresh', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t)
  await scene.get()
  scene.pass(99)
  scene.shut()
  await scene.get()
  await scene.door.reached()
  scene.pass(2)
  const waiting = [scene.get(), scene.get()]
  await turn(scene)
  assert.equal(scene.runs, 2)
  scene.door.open()
  for (const answer of await Promise.all(waiting)) assert.equal(answer.text, 'run 2')
})

test('a factor stretches the computing time', async (t) => {
  draws(t, at(1))
  const scene = await slowScene(t, { route: { earlyRefresh: 5 } })
  await scene.get()
  scene.pass(94.9)
  await scene.get()
  await turn(scene)
  assert.equal(scene.runs, 1)
  scene.pass(0.2)
  await scene.get()
  await scene.refreshed('run 2')
})

test('far from becoming stale no hit draws', async (t) => {
  const drawn = draws(t, 0)
  const scene = await slowScene(t)
  await scene.get()
  drawn.forget()
  scene.pass(89)
  await scene.get()
  assert.equal(drawn.count(), 0)
  scene.pass(2)
  await scene.get()
  assert.equal(drawn.count(), 1)
})

for (const [what, options] of Object.entries<SceneOptions>({
  'without the option': { route: { earlyRefresh: false } },
  'where the key holds an identity': { route: { vary: { by: () => 'me' } } },
  'where the key holds a cookie': { route: { vary: { cookies: ['theme'] } } },
  'for a handler that took no time': { answer: () => undefined },
})) {
  test(`nothing is refreshed early ${what}`, async (t) => {
    const drawn = draws(t, 0)
    const isQuick = options.answer !== undefined
    const scene = await (isQuick
      ? startScene(t, { route: { ttl: 100, earlyRefresh: true } })
      : slowScene(t, options))
    await scene.get()
    drawn.forget()
    scene.pass(99.999)
    assertFreshHit(await scene.get(), 'run 1')
    await turn(scene)
    assert.equal(scene.runs, 1)
    assert.equal(drawn.count(), 0)
  })
}

test('a client with credentials and a HEAD request start no refresh', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t, { route: { public: true } })
  await scene.get()
  scene.pass(99)
  assertFreshHit(await scene.get({ cookie: 'session=1' }), 'run 1')
  assert.equal((await scene.client.head('/x', { host: 'shop.example' })).status, 200)
  await turn(scene)
  assert.equal(scene.runs, 1)
  await scene.get()
  await scene.refreshed('run 2')
})

test('a refresh that fails changes nothing, and is not repeated at once', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t, {
    answer: (run, _request, reply) => (run === 2 ? reply.code(503).send('no') : `run ${run}`),
  })
  await scene.get()
  scene.pass(97)
  await scene.get()
  await eventually('it has failed', () => scene.cache.stats().failures['refresh'] === 1)
  for (let n = 0; n < 5; n++) assertFreshHit(await scene.get(), 'run 1')
  await turn(scene)
  assert.equal(scene.runs, 2)
  scene.pass(1)
  await scene.get()
  await scene.refreshed('run 3')
})

test('an invalidation while it is refreshed early is not undone by the refresh', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t)
  await scene.get()
  scene.pass(98)
  const door = scene.shut()
  await scene.get()
  await door.reached()
  await scene.cache.invalidateTags(['x'])
  door.open()
  await eventually('the refresh is over', async () => (await scene.get()).text === 'run 3')
  assertFreshHit(await scene.get(), 'run 3')
})

test('a response that varies is refreshed under its own key', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t, {
    answer: (run, request, reply) => {
      reply.header('vary', 'accept-language')
      return `${request.headers['accept-language']} ${run}`
    },
  })
  await scene.get({ 'accept-language': 'de' })
  await scene.get({ 'accept-language': 'en' })
  scene.pass(98.5)
  assertFreshHit(await scene.get({ 'accept-language': 'en' }), 'en 2')
  await eventually('en is refreshed', async () => {
    return (await scene.get({ 'accept-language': 'en' })).text === 'en 3'
  })
})

test('the handler may confirm what is refreshed early', async (t) => {
  draws(t, 0)
  const scene = await slowScene(t, {
    answer: (run, request, reply) => {
      if (request.headers['if-none-match'] === '"1"') return reply.code(304).send()
      reply.header('etag', '"1"')
      return `run ${run}`
    },
  })
  await scene.get()
  scene.pass(99)
  await scene.get()
  await eventually('confirmed', () => scene.cache.stats().revalidated === 1)
  scene.pass(50)
  assertFreshHit(await scene.get(), 'run 1')
  assert.equal(scene.runs, 2)
})

test('what another process has refreshed early is taken from Redis', async (t) => {
  draws(t, 0)
  const cache = await overRedis()
  const one = await slowScene(t, { cache })
  const two = await slowScene(t, { cache, beside: one })
  await one.get()
  await one.written()
  assertFreshHit(await two.get(), 'run 1')
  one.pass(95)
  await one.get()
  await one.refreshed('run 2')
  await one.written()
  assertFreshHit(await two.get(), 'run 1')
  await two.refreshed('run 2')
  assert.equal(two.runs, 0)
})

for (const memory of [{}, { memory: false }] as const) {
  const name = 'memory' in memory ? 'over Redis alone' : 'over Redis with memory'
  test(`with coalesce.fleet one process refreshes early for all (${name})`, async (t) => {
    draws(t, 0)
    const cache = await overRedis(memory)
    const route = { coalesce: { fleet: true } }
    const one = await slowScene(t, { cache, route })
    const two = await slowScene(t, { cache, route, beside: one })
    await one.get()
    await one.written()
    assertFreshHit(await two.get(), 'run 1')
    one.pass(95)
    const door = one.shut()
    const all = Array.from({ length: 10 }, () => [one.get(), two.get()]).flat()
    for (const answer of await Promise.all(all)) assertFreshHit(answer, 'run 1')
    await door.reached()
    await turn(one)
    await turn(two)
    assert.equal(one.runs + two.runs, 2)
    door.open()
    await eventually('both have it', async () => {
      const answers = [await one.get(), await two.get()]
      return answers.every((answer) => Number(statusOf(answer).ttl) > 90)
    })
    assert.equal(one.runs + two.runs, 2)
  })
}

test('what was stored before the route had the option is refreshed early, too', async (t) => {
  draws(t, 0)
  const cache = await overRedis()
  const one = await slowScene(t, { cache, route: { earlyRefresh: false } })
  const two = await slowScene(t, { cache, beside: one })
  await one.get()
  await one.written()
  one.pass(99.9)
  assertFreshHit(await two.get(), 'run 1')
  await eventually('it is refreshed', () => two.runs === 1)
})

test('a lifetime that the route states is shortened by at most the fraction', async (t) => {
  draws(t, 0.5)
  const client = await start(t, (app) => {
    app.get('/ttl', { config: { cache: { ttl: 100, ttlJitter: 0.2 } } }, async () => 'x')
    app.get('/none', { config: { cache: { ttl: 100 } } }, async () => 'x')
    app.get('/noted', { config: { cache: { ttl: 1, ttlJitter: 0.2 } } }, async (_request, reply) =>
      reply.cacheTtl(1000).send('x'),
    )
    app.get('/read', { config: { cache: { ttl: 'headers', ttlJitter: 1 } } }, async (_, reply) =>
      reply.header('cache-control', 'max-age=100').send('x'),
    )
  })
  for (const [path, ttl] of [
    ['/ttl', 90],
    ['/none', 100],
    ['/noted', 900],
    ['/read', 100],
  ] as const) {
    await client.get(path)
    const left = Number(statusOf(await client.get(path)).ttl)
    // A slow machine takes its time between the two.
    assert.ok(left <= ttl && left > ttl - 9, `${path}: ${left}`)
  }
})

test('a lifetime is not shortened again when the handler confirms the response', async (t) => {
  draws(t, 0.5)
  const scene = await startScene(t, {
    route: { ttl: 100, ttlJitter: 0.5 },
    answer: (run, request, reply) => {
      if (request.headers['if-none-match'] === '"1"') return reply.code(304).send()
      reply.header('etag', '"1"')
      return `run ${run}`
    },
  })
  await scene.get()
  for (let round = 1; round <= 3; round++) {
    assert.equal(statusOf(await scene.get()).ttl, 75)
    scene.pass(75)
    assert.equal((await scene.get()).text, 'run 1')
    assert.equal(scene.cache.stats().revalidated, round)
  }
})
