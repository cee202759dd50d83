// What a route varies on is part of the key: equal values share, others never do.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, type Setup, start } from '../support/app.ts'
import type { CacheRequest, RouteCacheOptions } from '../../src/index.ts'
import type { Fields } from './gates.ts'

/** A page that repeats the field by which it is to vary. */
async function startEcho(
  t: TestContext,
  vary: RouteCacheOptions['vary'],
  field: string,
  setup: Setup = {},
): Promise<Client> {
  return start(
    t,
    (app) => {
      app.get('/page', { config: { cache: { ttl: '1h', vary: vary! } } }, async (request) => {
        const value = request.headers[field]
        return `for ${value === undefined ? 'nobody' : JSON.stringify(value)}`
      })
    },
    setup,
  )
}

/** Cold, every value is stored under a key of its own; warm, each gets what was made for it. */
async function assertApart(client: Client, requests: Fields[], field: string): Promise<void> {
  const expected = requests.map((headers) =>
    headers[field] === undefined ? 'for nobody' : `for ${JSON.stringify(headers[field])}`,
  )
  for (const assertAs of [assertStored, assertHit]) {
    for (const [index, headers] of requests.entries()) {
      const answer = await client.get('/page', headers)
      assert.equal(answer.text, expected[index])
      assertAs(answer)
    }
  }
}

// Values that an encoding without lengths would mix up.
const DELIMITED = [
  'a',
  'a:b',
  'a|b',
  '1:a',
  '-',
  '0:',
  '',
  'a,b',
  'a;b',
  'a=b',
  ' a b ',
  'null',
  'undefined',
]

test('vary.by keeps apart all its values, whatever characters they have', async (t) => {
  const by = (request: CacheRequest): string | undefined => request.headers['x-tenant'] as string
  const client = await startEcho(t, { by }, 'x-tenant')
  const requests: Fields[] = [...new Set(DELIMITED.map((value) => value.trim()))].map((value) => ({
    'x-tenant': value,
  }))
  await assertApart(client, [...requests, {}], 'x-tenant')
})

test('vary.by takes 100 kB of text, in which one character counts', async (t) => {
  const by = (request: CacheRequest): string =>
    'x'.repeat(100_000) + String(request.headers['x-tenant'])
  const client = await startEcho(t, { by }, 'x-tenant')
  await assertApart(client, [{ 'x-tenant': 'a' }, { 'x-tenant': 'b' }], 'x-tenant')
})

test('vary.by that returns undefined sends requests with credentials around, and shares the rest', async (t) => {
  const client = await startEcho(t, { by: () => undefined }, 'authorization')
  assertBypass(await client.get('/page', { authorization: 'ann' }), 'authorization')
  assertStored(await client.get('/page'))
  assertHit(await client.get('/page'))
  const own = await client.get('/page', { authorization: 'ann' })
  assertBypass(own, 'authorization')
  assert.equal(own.text, 'for "ann"')
  assertBypass(await client.get('/page', { cookie: 'a=b' }), 'cookie')
})

test('vary.by that returns undefined for a known user sends the request around', async (t) => {
  const client = await startEcho(t, { by: () => undefined }, 'x-forwarded-user', {
    before: (app) =>
      app.addHook('preHandler', async (request) => {
        const user = request.headers['x-forwarded-user']
        if (user !== undefined) Object.assign(request, { user })
      }),
  })
  assertBypass(await client.get('/page', { 'x-forwarded-user': 'ann' }), 'user')
  const stranger = await client.get('/page')
  assert.equal(stranger.text, 'for nobody')
  assertStored(stranger)
})

const WRONG: [string, unknown][] = [
  ['a promise', Promise.resolve('ann')],
  ['a promise that rejects', 'reject'],
  ['a number', 7],
  ['null', null],
  ['an object', { id: 1 }],
  ['nothing, because it throws', 'throw'],
]

for (const [title, value] of WRONG) {
  test(`vary.by that returns ${title} shares nothing and is reported`, async (t) => {
    const errors: string[] = []
    const by = (() => {
      if (value === 'throw') throw new Error('who?')
      return value === 'reject' ? Promise.reject(new Error('who?')) : value
    }) as () => string
    const client = await startEcho(t, { by }, 'x-user', {
      cache: { onError: (_error, { operation }) => errors.push(operation) },
    })
    for (const user of ['ann', 'bob']) {
      const answer = await client.get('/page', { 'x-user': user })
      assert.equal(answer.text, `for "${user}"`)
      assertBypass(answer, 'vary-by-failed')
    }
    assert.deepEqual(errors, ['vary.by', 'vary.by'])
  })
}

test('vary.by sees what the last hook before the handler has made of the request', async (t) => {
  const client = await startEcho(
    t,
    { by: (request) => (request as unknown as { tenant: string }).tenant },
    'x-tenant',
    {
      before: (app) => {
        app.decorateRequest('tenant', '')
        app.addHook('preHandler', async (request) => {
          Object.assign(request, { tenant: `tenant ${String(request.headers['x-tenant'])}` })
        })
      },
    },
  )
  await assertApart(client, [{ 'x-tenant': 'a' }, { 'x-tenant': 'b' }], 'x-tenant')
})

test('vary.headers with authorization gives each credential a page, and strangers theirs', async (t) => {
  const client = await startEcho(t, { headers: ['Authorization'] }, 'authorization')
  const credentials = ['Bearer ann', 'Bearer bob', 'bearer ann', 'Bearer  ann', '']
  await assertApart(
    client,
    [...credentials.map((value) => ({ authorization: value })), {}],
    'authorization',
  )
  // Other credentials beside the keyed one are not covered by it.
  assertBypass(await client.get('/page', { authorization: 'Bearer ann', cookie: 'a=b' }), 'cookie')
  assertBypass(await client.get('/page', { authorization: 'x', 'x-api-key': 'k' }), 'x-api-key')
})

test('vary.headers by configured key fields gives each key a page', async (t) => {
  const client = await startEcho(t, { headers: ['x-api-key'] }, 'x-api-key')
  await assertApart(client, [{ 'x-api-key': '1' }, { 'x-api-key': '2' }, {}], 'x-api-key')
})

test('vary.headers keeps an absent field, an empty one and other values apart', async (t) => {
  const client = await startEcho(
    t,
    { headers: ['accept-language', 'x-segment'] },
    'accept-language',
  )
  await assertApart(
    client,
    [{}, { 'accept-language': '' }, { 'accept-language': 'de' }, { 'accept-language': 'de,en' }],
    'accept-language',
  )
  // A value must not slide from one field to the next.
  assertStored(await client.get('/page', { 'x-segment': 'de' }))
  assertHit(await client.get('/page', { 'x-segment': 'de' }))
})

test('vary.cookies gives each value of the cookie a page', async (t) => {
  const client = await startEcho(t, { cookies: ['lang'] }, 'cookie')
  await assertApart(
    client,
    [{ cookie: 'lang=de' }, { cookie: 'lang=en' }, { cookie: 'lang=' }, {}],
    'cookie',
  )
})

test('vary.cookies does not cover other cookies: with those the request goes around', async (t) => {
  const client = await startEcho(t, { cookies: ['lang'] }, 'cookie')
  for (const cookie of [
    'lang=de; sid=1',
    'sid=1',
    'sid=1; lang=de',
    'LANG=de',
    'langx=de',
    'lang =de;sid',
  ]) {
    const answer = await client.get('/page', { cookie })
    assertBypass(answer, 'cookie')
    assert.equal(answer.text, `for "${cookie}"`)
  }
  assertStored(await client.get('/page', { cookie: 'lang=de' }))
  assertBypass(await client.get('/page', { cookie: 'lang=de; sid=1' }), 'cookie')
})

test('a cookie that comes twice is another value than each of the two', async (t) => {
  const client = await startEcho(t, { cookies: ['lang'] }, 'cookie')
  const cookies = ['lang=de', 'lang=en', 'lang=de; lang=en', 'lang=en; lang=de']
  await assertApart(
    client,
    cookies.map((cookie) => ({ cookie })),
    'cookie',
  )
})

test('a public route with vary.headers still varies', async (t) => {
  const client = await start(t, (app) => {
    const cache = { ttl: '1h', public: true, vary: { headers: ['accept-language'] } }
    app.get(
      '/page',
      { config: { cache } },
      async (request) => `in ${request.headers['accept-language']}`,
    )
  })
  for (const assertAs of [assertStored, assertHit]) {
    for (const language of ['de', 'en']) {
      const answer = await client.get('/page', { 'accept-language': language, cookie: 'sid=1' })
      assert.equal(answer.text, `in ${language}`)
      assertAs(answer)
    }
  }
})

test('HEAD reads the page that GET stored for the same identity, and no other', async (t) => {
  const by = (request: CacheRequest): string | undefined => request.headers['x-tenant'] as string
  const client = await startEcho(t, { by }, 'x-tenant')
  const page = await client.get('/page', { 'x-tenant': 'a long name' })
  assertStored(page)
  const head = await client.head('/page', { 'x-tenant': 'a long name' })
  assertHit(head)
  assert.equal(head.headers['content-length'], page.headers['content-length'])
  const other = await client.head('/page', { 'x-tenant': 'b' })
  assert.equal(other.headers['content-length'], String('for "b"'.length))
})
