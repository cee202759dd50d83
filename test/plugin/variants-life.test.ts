// What becomes of variants in time: invalidation, stale answers, refreshes, and their number.
import assert from 'node:assert/strict'
import { type TestContext, mock, test } from 'node:test'

import type { FastifyInstance } from 'fastify'

import {
  assertHit,
  assertNotStored,
  assertStatus,
  assertStored,
  statusOf,
} from '../support/assert-status.ts'
import { type Answer, type Client, Door, eventually, openDoor, start } from '../support/app.ts'
import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

interface Scene {
  client: Client
  cache: FastifyInstance['cache']
  get: (language: string) => Promise<Answer>
  /** How often the handler has run. */
  runs: () => number
  /** What the handler does from now on. */
  behave: { fails: boolean; door: Door }
}

async function startPage(
  t: TestContext,
  route: RouteCacheOptions,
  cache: ResponseCacheOptions = {},
): Promise<Scene> {
  let runs = 0
  let own!: FastifyInstance['cache']
  const behave = { fails: false, door: openDoor() }
  const client = await start(
    t,
    (app) => {
      own = app.cache
      app.get('/page', { config: { cache: route } }, async ({ headers }, reply) => {
        const run = ++runs
        await behave.door.pass()
        if (behave.fails) throw new Error('the database is away')
        reply.header('vary', 'accept-language').cacheTags(`in-${headers['accept-language']}`)
        return `${headers['accept-language']} ${run}`
      })
    },
    { cache },
  )
  t.after(() => behave.door.open())
  return {
    client,
    cache: own,
    get: (language) => client.get('/page', { 'accept-language': language }),
    runs: () => runs,
    behave,
  }
}

function stopTime(t: TestContext): void {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
}

testInAllTiers('a tag of all variants makes all of them be forgotten', async (t, options) => {
  const { cache, get } = await startPage(t, { ttl: '1h', tags: ['pages'] }, options)
  for (const language of ['de', 'en']) await get(language)
  for (const [at, forget] of [
    () => cache.invalidateTags(['pages']),
    () => cache.invalidateUrl('/page'),
    () => cache.invalidateRoute('/page'),
    () => cache.invalidateTags(['pages'], { mode: 'purge' }),
    () => cache.clear(),
  ].entries()) {
    assertHit(await get('de'))
    assertHit(await get('en'))
    await forget()
    for (const language of ['de', 'en']) {
      const page = await get(language)
      const run = (at + 1) * 2 + (language === 'de' ? 1 : 2)
      assert.equal(page.text, `${language} ${run}`)
      assert.match(page.headers['cache-status'] as string, /; stored$/)
    }
  }
})

testInAllTiers('a tag of one variant leaves the others alone', async (t, options) => {
  const { cache, get } = await startPage(t, { ttl: '1h' }, options)
  for (const language of ['de', 'en', 'fr']) await get(language)
  await cache.invalidateTags(['in-fr'])
  // The last one stored is the one that their index was made for.
  for (const language of ['de', 'en']) assertHit(await get(language))
  assert.equal((await get('fr')).text, 'fr 4')
  assertHit(await get('fr'))
})

// Regression: what says which variants there are was taken for a stale response, and its bytes were
// sent in place of an error.
for (const mode of ['soft', 'expire', 'purge'] as const) {
  testInAllTiers(
    `an error after an invalidation (${mode}) is answered with ${mode === 'soft' ? 'the stale variant' : 'the error'}`,
    async (t, options) => {
      const route = { ttl: '1h', staleIfError: '1d', tags: ['pages'] }
      const { cache, get, behave } = await startPage(t, route, options)
      for (const language of ['de', 'en']) await get(language)
      await cache.invalidateTags(['pages'], { mode })
      behave.fails = true
      for (const [at, language] of ['de', 'en'].entries()) {
        const page = await get(language)
        if (mode === 'soft') {
          assert.equal(page.text, `${language} ${at + 1}`)
          assertStatus(page, { fwd: 'stale', 'fwd-status': 500, detail: 'stale-if-error' } as never)
        } else {
          assert.equal(page.status, 500)
          assert.equal(statusOf(page).detail, 'error')
        }
      }
      assert.equal((await get('fr')).status, 500)
    },
  )
}

// Regression: a soft invalidation hid the variants instead of making them stale.
testInAllTiers(
  'a soft invalidation has each variant refreshed while it is served',
  async (t, options) => {
    const route = { ttl: '1h', staleWhileRevalidate: '1d', tags: ['pages'] }
    const { cache, get, runs } = await startPage(t, route, options)
    for (const language of ['de', 'en']) await get(language)
    await cache.invalidateTags(['pages'], { mode: 'soft' })
    for (const [at, language] of ['de', 'en'].entries()) {
      const stale = await get(language)
      assert.equal(stale.text, `${language} ${at + 1}`)
      await eventually(() => runs() === at + 3, 'the refresh has run the handler')
    }
    let fresh = await get('de')
    while (fresh.text !== 'de 3') fresh = await get('de')
    assertHit(fresh)
    assert.equal((await get('en')).text, 'en 4')
    assert.equal(runs(), 4)
  },
)

// Regression: what leads to the variants went away with the first of them.
testInAllTiers(
  'a variant is found for as long as it lives, whenever the others were stored',
  async (t, options) => {
    stopTime(t)
    const { get } = await startPage(t, { ttl: 60 }, options)
    assertStored(await get('de'))
    mock.timers.tick(50_000)
    assertStored(await get('en'), 'vary-miss')
    mock.timers.tick(15_000)
    assertHit(await get('en'))
    assert.equal((await get('de')).text, 'de 3')
    mock.timers.tick(50_000)
    assertHit(await get('de'))
  },
)

test('only so many variants are stored; those beyond neither displace them nor wait for each other', async (t) => {
  const { get, runs, behave } = await startPage(t, { ttl: '1h' })
  for (let n = 0; n < 200; n++) await get(`l-${n}`)
  assertStatus(await get('one-more'), { fwd: 'vary-miss', detail: 'too-many-variants' })
  behave.door = new Door()
  const asked = Array.from({ length: 5 }, () => get('one-more'))
  await behave.door.reached(5)
  behave.door.open()
  const pages = await Promise.all(asked)
  assert.equal(new Set(pages.map(({ text }) => text)).size, 5)
  for (const page of pages) assertStatus(page, { fwd: 'vary-miss', detail: 'too-many-variants' })
  assert.equal(runs(), 206)
  for (let n = 0; n < 200; n++) assertHit(await get(`l-${n}`))
})

test('variants that have gone make room for others', async (t) => {
  stopTime(t)
  const { get } = await startPage(t, { ttl: 60 })
  for (let n = 0; n < 200; n++) await get(`l-${n}`)
  assertNotStoredVariant(await get('one-more'))
  mock.timers.tick(60_000)
  await get('l-0')
  assertStored(await get('one-more'), 'vary-miss')
})

function assertNotStoredVariant(page: Answer): void {
  assertStatus(page, { fwd: 'vary-miss', detail: 'too-many-variants' })
}

test('a variant that is not to be stored leaves the others alone', async (t) => {
  const client = await start(t, (app) => {
    app.get('/page', { config: { cache: true } }, async ({ headers }, reply) => {
      reply.header('vary', 'accept-language')
      if (headers['accept-language'] === 'xx') reply.header('cache-control', 'private')
      return headers['accept-language']
    })
  })
  const get = (language: string): Promise<Answer> =>
    client.get('/page', { 'accept-language': language })
  assertNotStored(await get('xx'), 'private')
  assertStored(await get('de'))
  assertStatus(await get('xx'), { fwd: 'vary-miss', detail: 'private' })
  assertHit(await get('de'))
})
