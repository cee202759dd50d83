// vary.normalize: values that mean the same make one variant, and the handler sees nothing but what
// they were reduced to.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import compress from '@fastify/compress'

import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, eventually, start } from '../support/app.ts'
import type { RouteCacheOptions } from '../../src/index.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

/** A page that repeats the field on which it varies. */
async function startEcho(
  t: TestContext,
  name: string,
  route: RouteCacheOptions,
  cache = {},
): Promise<Client> {
  return start(
    t,
    (app) => {
      app.get('/page', { config: { cache: { ttl: '1h', ...route } } }, async (request, reply) => {
        reply.header('vary', name)
        return `for ${JSON.stringify(request.headers[name] ?? null)}`
      })
    },
    { cache },
  )
}

testInAllTiers('languages are reduced to the best of those that there are', async (t, cache) => {
  const normalize = { acceptLanguage: ['en', 'de'] }
  const client = await startEcho(t, 'accept-language', { vary: { normalize } }, cache)
  const groups: [string, (string | undefined)[]][] = [
    ['for "de"', ['de', 'de-AT', 'DE;q=0.9,en;q=0.1', 'fr, de;q=0.2']],
    ['for "en"', ['en', 'en-GB,en;q=0.8', '*', 'de;q=0.5,en;q=0.5']],
    ['for null', [undefined, 'fr', 'xx;q=1', '', 'en;q=0']],
  ]
  for (const [text, values] of groups) {
    for (const [at, value] of values.entries()) {
      const page = await client.get(
        '/page',
        value === undefined ? {} : { 'accept-language': value },
      )
      assert.equal(page.text, text, `for ${value}`)
      if (at > 0) assertHit(page)
    }
  }
})

test('codings are reduced to the one that the server would choose', async (t) => {
  const normalize = { acceptEncoding: ['br', 'gzip'] }
  const client = await startEcho(t, 'accept-encoding', { vary: { normalize } })
  for (const [value, text, check] of [
    ['gzip, deflate, br, zstd', 'for "br"', assertStored],
    ['br', 'for "br"', assertHit],
    ['br;q=0.5, gzip', 'for "gzip"', undefined],
    ['x-gzip', 'for "gzip"', assertHit],
    ['deflate', 'for "identity"', undefined],
    ['identity', 'for "identity"', assertHit],
    ['', 'for "identity"', assertHit],
  ] as const) {
    const page = await client.get('/page', { 'accept-encoding': value })
    assert.equal(page.text, text, value)
    check?.(page)
  }
  // Who accepts anything by leaving the field out is not the one who asks for identity.
  assert.equal((await client.get('/page')).text, 'for null')
})

test('origins are reduced to those that are known, and all others to one', async (t) => {
  const normalize = { origin: ['https://shop.example'] }
  const client = await startEcho(t, 'origin', { vary: { normalize } })
  for (const [value, text] of [
    ['https://shop.example', 'for "https://shop.example"'],
    ['HTTPS://SHOP.example', 'for "https://shop.example"'],
    ['https://evil.example', 'for ""'],
    ['https://worse.example', 'for ""'],
    ['null', 'for ""'],
  ] as const) {
    assert.equal((await client.get('/page', { origin: value })).text, text)
  }
  assertHit(await client.get('/page', { origin: 'https://another.example' }))
  assert.equal((await client.get('/page')).text, 'for null')
})

// Regression: the key had the value as it came.
test('what vary.headers has in the key is reduced, too', async (t) => {
  const vary = { headers: ['accept-language'], normalize: { acceptLanguage: ['en', 'de'] } }
  const client = await startEcho(t, 'accept-language', { vary })
  assertStored(await client.get('/page', { 'accept-language': 'de-AT' }))
  for (const value of ['de', 'de-CH, en;q=0.3']) {
    const page = await client.get('/page', { 'accept-language': value })
    assertHit(page)
    assert.equal(page.text, 'for "de"')
  }
  assert.equal((await client.get('/page', { 'accept-language': 'en' })).text, 'for "en"')
})

test('a request that goes around the cache keeps its fields as they came', async (t) => {
  const normalize = { acceptLanguage: ['en', 'de'] }
  const client = await startEcho(t, 'accept-language', { vary: { normalize } })
  const page = await client.get('/page', { 'accept-language': 'de-AT', authorization: 'x' })
  assertBypass(page, 'authorization')
  assert.equal(page.text, 'for "de-AT"')
})

test('a background refresh is made for the same reduced value', async (t) => {
  let runs = 0
  let invalidate!: () => Promise<void>
  const client = await start(t, (app) => {
    invalidate = () => app.cache.invalidateTags(['pages'], { mode: 'soft' })
    const cache = {
      ttl: '1h',
      staleWhileRevalidate: '1h',
      tags: ['pages'],
      vary: { normalize: { acceptLanguage: ['en', 'de'] } },
    }
    app.get('/page', { config: { cache } }, async ({ headers }, reply) => {
      reply.header('vary', 'accept-language')
      return `${headers['accept-language']} ${++runs}`
    })
  })
  assert.equal((await client.get('/page', { 'accept-language': 'de-AT' })).text, 'de 1')
  await invalidate()
  assert.equal((await client.get('/page', { 'accept-language': 'de-CH' })).text, 'de 1')
  await eventually(() => runs === 2, 'the refresh has run the handler')
  let page = await client.get('/page', { 'accept-language': 'de' })
  while (page.text === 'de 1') page = await client.get('/page', { 'accept-language': 'de' })
  assert.equal(page.text, 'de 2')
  assertHit(page)
})

// Regression: the refresh was made with what a schema had made of the field, which is no text.
test('a background refresh is made with the fields as they came, before the schema', async (t) => {
  let runs = 0
  let invalidate!: () => Promise<void>
  const schema = { headers: { type: 'object', properties: { 'x-page': { type: 'integer' } } } }
  const client = await start(t, (app) => {
    invalidate = () => app.cache.invalidateTags(['pages'], { mode: 'soft' })
    const cache = { ttl: '1h', staleWhileRevalidate: '1h', tags: ['pages'] }
    app.get('/page', { schema, config: { cache } }, async ({ headers }, reply) => {
      reply.header('vary', 'x-page')
      return `page ${String(headers['x-page'])}, run ${++runs}`
    })
  })
  assert.equal((await client.get('/page', { 'x-page': '7' })).text, 'page 7, run 1')
  await invalidate()
  assert.equal((await client.get('/page', { 'x-page': '7' })).text, 'page 7, run 1')
  await eventually(() => runs === 2, 'the refresh has run the handler')
  let page = await client.get('/page', { 'x-page': '7' })
  while (page.text === 'page 7, run 1') page = await client.get('/page', { 'x-page': '7' })
  assert.equal(page.text, 'page 7, run 2')
})

test('what @fastify/compress sends fits what the client accepts, on miss and hit', async (t) => {
  const client = await start(
    t,
    (app) => {
      const cache = { ttl: '1h', vary: { normalize: { acceptEncoding: ['gzip'] } } }
      app.get('/page', { config: { cache } }, async (_request, reply) => {
        reply.header('vary', 'accept-encoding').type('text/plain')
        return 'a long text. '.repeat(500)
      })
    },
    { before: (app) => app.register(compress) },
  )
  for (const round of ['miss', 'hit']) {
    for (const [accepted, coding] of [
      ['gzip, br', 'gzip'],
      ['identity', undefined],
      ['br', undefined],
    ] as const) {
      const page = await client.get('/page', { 'accept-encoding': accepted })
      assert.equal(page.headers['content-encoding'], coding, `${accepted} on a ${round}`)
    }
  }
})
