// RFC 9111 §4.1: what a response's Vary nominates is a second level of the key. Nobody gets a variant
// that was made for another.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import cors from '@fastify/cors'
import type { FastifyReply, FastifyRequest } from 'fastify'

import { assertHit, assertNotStored, assertStatus, assertStored } from '../support/assert-status.ts'
import { type Client, type Sent, start } from '../support/app.ts'
import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { onEachTier } from '../support/tiers.ts'

interface Scene {
  client: Client
  runs: () => number
  get: (headers?: Sent['headers']) => ReturnType<Client['get']>
}

/** A page that says for which values it was made, by the fields that `vary` names. */
async function startPage(
  t: Parameters<typeof start>[0],
  vary: (request: FastifyRequest) => string | string[] | undefined,
  options: { cache?: ResponseCacheOptions; route?: RouteCacheOptions } = {},
): Promise<Scene> {
  let runs = 0
  const client = await start(
    t,
    (app) => {
      app.get('/page', { config: { cache: options.route ?? true } }, async (request, reply) => {
        runs++
        return answer(request, reply, vary(request))
      })
    },
    options.cache === undefined ? {} : { cache: options.cache },
  )
  return { client, runs: () => runs, get: (headers) => client.get('/page', headers) }
}

function answer(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  vary: string | string[] | undefined,
): string {
  if (vary !== undefined) reply.header('vary', vary)
  const names = [vary ?? []].flat().flatMap((line) => line.toLowerCase().split(/[ ,]+/))
  return `for ${JSON.stringify(names.map((name) => headers[name] ?? null))}`
}

onEachTier('keeps variants side by side, each for its own value', async (t, cache) => {
  const { get, runs } = await startPage(t, () => 'Accept-Language', { cache })
  const languages = ['de', 'en', 'fr']
  for (const [at, language] of languages.entries()) {
    const first = await get({ 'accept-language': language })
    assert.equal(first.text, `for ["${language}"]`)
    assertStored(first, at === 0 ? 'uri-miss' : 'vary-miss')
  }
  for (const language of [...languages, ...languages]) {
    const again = await get({ 'accept-language': language })
    assert.equal(again.text, `for ["${language}"]`)
    assert.equal(again.headers.vary?.toLowerCase(), 'accept-language')
    assertHit(again)
  }
  assert.equal(runs(), 3)
})

onEachTier('tells an absent field from an empty one', async (t, cache) => {
  const { get } = await startPage(t, () => 'accept-language', { cache })
  for (const check of [assertStored, assertHit]) {
    for (const [headers, text] of [
      [{}, 'for [null]'],
      [{ 'accept-language': '' }, 'for [""]'],
    ] as const) {
      const page = await get(headers)
      assert.equal(page.text, text)
      if (check === assertStored)
        assert.equal(page.headers['cache-status']?.includes('stored'), true)
      else assertHit(page)
    }
  }
})

onEachTier('tells variants apart by all fields that responses have named', async (t, cache) => {
  // The German page depends on one more field, which nobody knows before it was made.
  const { get, runs } = await startPage(
    t,
    ({ headers }) =>
      headers['accept-language'] === 'de' ? 'accept-language, x-tone' : 'accept-language',
    { cache },
  )
  const ask = async (language: string, tone: string): Promise<string> =>
    (await get({ 'accept-language': language, 'x-tone': tone })).text
  assert.equal(await ask('en', 'a'), 'for ["en"]')
  assert.equal(await ask('en', 'b'), 'for ["en"]')
  assert.equal(runs(), 1)
  assert.equal(await ask('de', 'a'), 'for ["de","a"]')
  assert.equal(await ask('de', 'b'), 'for ["de","b"]')
  assert.equal(await ask('de', 'a'), 'for ["de","a"]')
  assert.equal(runs(), 3)
  // From now on the English one has a key of both fields, too.
  assert.equal(await ask('en', 'a'), 'for ["en"]')
  assert.equal(await ask('en', 'a'), 'for ["en"]')
  assert.equal(runs(), 4)
})

onEachTier('a response that leaves Vary out does not stand in for the others', async (t, cache) => {
  const { get } = await startPage(
    t,
    ({ headers }) => (headers['accept-language'] === undefined ? undefined : 'accept-language'),
    { cache },
  )
  assertStored(await get({ 'accept-language': 'de' }))
  const plain = await get()
  assert.equal(plain.text, 'for []')
  assertStored(plain, 'vary-miss')
  assert.equal((await get({ 'accept-language': 'de' })).text, 'for ["de"]')
  assert.equal((await get({ 'accept-language': 'en' })).text, 'for ["en"]')
  const again = await get()
  assertHit(again)
  assert.equal(again.text, 'for []')
})

test('takes white space, case and repeated lines in Vary for what they mean', async (t) => {
  for (const vary of [
    'ACCEPT-LANGUAGE',
    ' accept-language\t,, Accept-Language',
    ['accept-language', 'x-tone'],
    'x-tone , accept-language,x-tone',
  ]) {
    const { get, runs } = await startPage(t, () => vary)
    for (const language of ['de', 'en', 'de', 'en']) {
      const page = await get({ 'accept-language': language })
      assert.ok(page.text.includes(`"${language}"`), `${page.text} with ${JSON.stringify(vary)}`)
    }
    assert.equal(runs(), 2)
  }
})

test('takes repeated lines and white space beside commas in the request for what they mean', async (t) => {
  const { get, runs } = await startPage(t, () => 'accept-language')
  assertStored(await get({ 'accept-language': 'de, en' }))
  for (const value of ['de,en', 'de ,en', 'de\t, en', ['de', 'en']]) {
    const page = await get({ 'accept-language': value })
    assertHit(page)
    assert.equal(page.text, 'for ["de, en"]')
  }
  for (const value of ['en,de', 'de', 'de,en,', 'DE,en']) {
    assertStored(await get({ 'accept-language': value }), 'vary-miss')
  }
  assert.equal(runs(), 5)
})

test('no value of one field stands for that of another', async (t) => {
  const { get } = await startPage(t, () => 'x-a, x-b')
  const requests: Record<string, string>[] = [
    { 'x-a': '1' },
    { 'x-b': '1' },
    { 'x-a': '', 'x-b': '1' },
    { 'x-a': '1', 'x-b': '' },
    { 'x-a': '1', 'x-b': '1' },
    { 'x-a': 'x-b', 'x-b': '1' },
    { 'x-a': '1x-b', 'x-b': '' },
    {},
  ]
  const expected = requests.map((headers) =>
    JSON.stringify([headers['x-a'] ?? null, headers['x-b'] ?? null]),
  )
  for (const round of [1, 2]) {
    for (const [at, headers] of requests.entries()) {
      const page = await get(headers)
      assert.equal(page.text, `for ${expected[at]}`)
      if (round === 2) assertHit(page)
    }
  }
})

for (const name of ['Authorization', 'Cookie', 'Proxy-Authorization', 'X-API-Key']) {
  test(`a response with Vary: ${name} is not stored, for anonymous requests neither`, async (t) => {
    const { get, runs } = await startPage(t, () => `accept-language, ${name}`, {
      route: { public: true },
    })
    assertNotStored(await get(), 'vary')
    assertNotStored(await get({ [name]: 'ann' }), 'vary')
    assertNotStored(await get({ [name]: 'ann' }), 'vary')
    assert.equal(runs(), 3)
  })
}

for (const vary of ['*', 'accept-language, *', ['x-a', '*'], 'no name']) {
  test(`a response with Vary: ${JSON.stringify(vary)} is not stored`, async (t) => {
    const { get, runs } = await startPage(t, () => vary)
    assertNotStored(await get(), 'vary')
    assertNotStored(await get(), 'vary')
    assert.equal(runs(), 2)
  })
}

test('a response that says Vary: * only now and then leaves the others alone', async (t) => {
  const { get } = await startPage(t, ({ headers }) =>
    headers['accept-language'] === 'xx' ? '*' : 'accept-language',
  )
  assertStored(await get({ 'accept-language': 'de' }))
  for (const _ of [1, 2])
    assertStatus(await get({ 'accept-language': 'xx' }), { fwd: 'vary-miss', detail: 'vary' })
  assertHit(await get({ 'accept-language': 'de' }))
})

test('names of things that every object has are names of fields, no more', async (t) => {
  const { get } = await startPage(t, () => 'constructor, __proto__, toString')
  assertStored(await get())
  assertHit(await get())
  assertStored(await get({ constructor: 'x' }), 'vary-miss')
  assertHit(await get({ constructor: 'x' }))
  assertHit(await get())
})

onEachTier('HEAD reads the variant that GET stored for the same values', async (t, cache) => {
  const { client, get } = await startPage(t, () => 'accept-language', { cache })
  const german = await get({ 'accept-language': 'de-AT' })
  const head = await client.head('/page', { 'accept-language': 'de-AT' })
  assertHit(head)
  assert.equal(head.text, '')
  assert.equal(head.headers['content-length'], german.headers['content-length'])
  const other = await client.head('/page', { 'accept-language': 'e' })
  assertStatus(other, { fwd: 'vary-miss' })
  assert.equal(other.headers['content-length'], String('for ["e"]'.length))
  // HEAD stores nothing, not for its variant either.
  assertStored(await get({ 'accept-language': 'e' }), 'vary-miss')
})

const NAMING_ORIGIN: [string, (reply: FastifyReply) => unknown][] = [
  ['as the hook did', (reply) => reply.header('vary', 'Origin')],
  ['among others', (reply) => reply.headers({ Vary: ['accept-language', 'origin'] })],
  ['after the hook', (reply) => reply.header('vary', `${String(reply.getHeader('vary'))}, origin`)],
]
for (const [how, name] of NAMING_ORIGIN) {
  // Regression: what a CORS hook had named already was not seen as the handler's.
  test(`a handler that varies on Origin, ${how}, has variants also behind @fastify/cors`, async (t) => {
    const client = await startBehindCors(t, name)
    for (const round of [1, 2]) {
      for (const origin of ['https://a.example', 'https://b.example']) {
        const page = await client.get('/page', { origin })
        assert.equal(page.text, `for ${origin}`)
        assert.equal(page.headers['access-control-allow-origin'], origin)
        if (round === 2) assertHit(page)
      }
    }
  })
}

test('Vary: Origin of @fastify/cors alone makes no variants: its fields are made anew', async (t) => {
  const client = await startBehindCors(t, (reply) => reply.header('x-own', '1'))
  assertStored(await client.get('/page', { origin: 'https://a.example' }))
  const other = await client.get('/page', { origin: 'https://b.example' })
  assertHit(other)
  assert.equal(other.headers['access-control-allow-origin'], 'https://b.example')
})

test('what the handler confirms by 304 behind @fastify/cors has no more variants than before', async (t) => {
  let invalidate!: () => Promise<void>
  const client = await start(
    t,
    (app) => {
      invalidate = () => app.cache.invalidateTags(['pages'])
      const cache = { ttl: '1h', tags: ['pages'] }
      app.get('/page', { config: { cache } }, async ({ headers }, reply) => {
        reply.headers({ etag: '"v1"', vary: 'accept-language' })
        return headers['if-none-match'] === '"v1"' ? reply.code(304).send() : 'the page'
      })
    },
    { before: (app) => app.register(cors, { origin: true }) },
  )
  assertStored(await client.get('/page', { origin: 'https://a.example' }))
  await invalidate()
  const confirmed = await client.get('/page', { origin: 'https://a.example' })
  assertStatus(confirmed, { fwd: 'stale', 'fwd-status': 304, stored: true } as never)
  assertHit(await client.get('/page', { origin: 'https://b.example' }))
})

function startBehindCors(
  t: Parameters<typeof start>[0],
  name: (reply: FastifyReply) => unknown,
): Promise<Client> {
  return start(
    t,
    (app) => {
      app.get('/page', { config: { cache: true } }, async ({ headers }, reply) => {
        name(reply)
        return `for ${headers.origin}`
      })
    },
    { before: (app) => app.register(cors, { origin: true }) },
  )
}
