// Promise 3: a request with credentials or an identity neither reads nor fills the shared cache,
// unless the route is public or varies on that identity.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, start } from '../support/app.ts'
import { type Fields, registerSessions } from './gates.ts'

/** A page that tells how often it was made; `before` adds what recognizes people. */
async function startPage(
  t: TestContext,
  cache: RouteCacheOptions | true,
  {
    options = {},
    before,
  }: { options?: ResponseCacheOptions; before?: (app: FastifyInstance) => unknown } = {},
): Promise<Client> {
  let run = 0
  return start(
    t,
    (app) => {
      app.get('/page', { config: { cache } }, async () => `run ${++run}`)
    },
    { cache: { defaults: { ttl: '1h' }, ...options }, ...(before ? { before } : {}) },
  )
}

/** Such a request gets a run of its own on a cold cache, leaves it cold, and does not read it. */
async function assertGoesAround(client: Client, headers: Fields, reason: string): Promise<void> {
  const first = await client.get('/page', headers)
  assert.equal(first.text, 'run 1', reason)
  assertBypass(first, reason)
  const anonymous = await client.get('/page')
  assert.equal(anonymous.text, 'run 2', `${reason}: nothing was filled`)
  assertStored(anonymous)
  const second = await client.get('/page', headers)
  assert.equal(second.text, 'run 3', `${reason}: nothing was read`)
  assertBypass(second, reason)
  const head = await client.head('/page', headers)
  assertBypass(head, reason)
  const hit = await client.get('/page')
  assert.equal(hit.text, 'run 2', `${reason}: the anonymous page stays`)
  assertHit(hit)
}

const CREDENTIALS: [Fields, string][] = [
  [{ authorization: 'Bearer x' }, 'authorization'],
  [{ authorization: '' }, 'authorization'],
  [{ cookie: 'a=b' }, 'cookie'],
  [{ 'proxy-authorization': 'Basic x' }, 'proxy-authorization'],
  [{ 'x-api-key': 'k' }, 'x-api-key'],
  [{ 'x-auth-token': 'k' }, 'x-auth-token'],
]

for (const [headers, reason] of CREDENTIALS) {
  const shown = JSON.stringify(headers)
  test(`a request with ${shown} neither reads nor fills the cache`, async (t) => {
    await assertGoesAround(await startPage(t, true), headers, reason)
  })

  test(`a public route answers a request with ${shown} from the cache`, async (t) => {
    const client = await startPage(t, { public: true })
    assertStored(await client.get('/page', headers))
    const hit = await client.get('/page')
    assert.equal(hit.text, 'run 1')
    assertHit(await client.get('/page', headers))
    assertHit(await client.head('/page', headers))
  })
}

test('configured credential fields, in any case, are credentials; the standard ones stay', async (t) => {
  for (const [headers, reason] of [
    [{ 'X-TENANT-KEY': 'k' }, 'x-tenant-key'],
    [{ Authorization: 'k' }, 'authorization'],
  ] as const) {
    const client = await startPage(t, true, { options: { credentialHeaders: ['X-Tenant-Key'] } })
    await assertGoesAround(client, headers, reason)
  }
  const client = await startPage(t, true, { options: { credentialHeaders: ['X-Tenant-Key'] } })
  assertStored(await client.get('/page', { 'x-api-key': 'no longer a credential' }))
})

const RECOGNIZED: [string, (request: FastifyRequest) => void, string][] = [
  ['request.user is an object', (request) => Object.assign(request, { user: { id: 1 } }), 'user'],
  ['request.user is a name', (request) => Object.assign(request, { user: 'ann' }), 'user'],
  ['request.user is 0', (request) => Object.assign(request, { user: 0 }), 'user'],
  [
    'the session holds data',
    (request) => Object.assign(request, { session: { cart: [] } }),
    'session',
  ],
  [
    'a session with a data method holds data',
    (request) => Object.assign(request, { session: { data: () => ({ name: 'ann' }) } }),
    'session',
  ],
  [
    'the session is something unknown',
    (request) => Object.assign(request, { session: 'ann' }),
    'session',
  ],
]

for (const hook of ['onRequest', 'preHandler'] as const) {
  for (const [title, recognize, reason] of RECOGNIZED) {
    test(`when ${title} after ${hook}, the request goes around the cache`, async (t) => {
      // A header that is no credential by name, as a proxy in front would set.
      const client = await startPage(t, true, {
        before: (app) =>
          app.addHook(hook, async (request) => {
            if (request.headers['x-forwarded-user']) recognize(request)
          }),
      })
      await assertGoesAround(client, { 'x-forwarded-user': 'ann' }, reason)
    })
  }
}

test('an empty session, and request.user null, are no identity', async (t) => {
  const client = await startPage(t, true, {
    before: async (app) => {
      await registerSessions(app)
      app.decorateRequest('user' as never, null as never)
    },
  })
  assertStored(await client.get('/page'))
  assertHit(await client.get('/page'))
})

// Regression: a covered cookie or key field was taken to explain every identity.
test('a user told by another field goes around, although a varied cookie is present', async (t) => {
  const client = await startPage(
    t,
    { vary: { cookies: ['theme'] } },
    {
      before: (app) =>
        app.addHook('preHandler', async (request) => {
          const name = request.headers['x-forwarded-user']
          if (name) Object.assign(request, { user: { name } })
        }),
    },
  )
  const own = await client.get('/page', { cookie: 'theme=dark', 'x-forwarded-user': 'ann' })
  const other = await client.get('/page', { cookie: 'theme=dark' })
  assert.notEqual(other.text, own.text, 'a stranger with the same theme got the page of ann')
})

test('a verified client certificate is an identity that no field shows', async (t) => {
  const client = await startPage(t, true, {
    before: (app) =>
      app.addHook('onRequest', async (request) => {
        // What TLS says of the socket; the connection is of this request alone.
        const authorized = request.headers['x-certificate'] === 'verified'
        Object.defineProperty(request.raw.socket, 'authorized', { value: authorized })
      }),
  })
  await assertGoesAround(client, { 'x-certificate': 'verified' }, 'client-certificate')
})

test('a request with a body goes around the cache', async (t) => {
  const client = await start(t, (app) => {
    app.get('/page', { config: { cache: true } }, async (request) => {
      let text = ''
      for await (const chunk of request.raw) text += chunk
      return `body ${text}`
    })
  })
  const first = await client.send('GET', '/page', {
    body: 'one',
    headers: { 'content-length': '3' },
  })
  assert.equal(first.text, 'body one')
  assertBypass(first, 'request-body')
  const chunked = await client.send('GET', '/page', {
    body: 'two',
    headers: { 'transfer-encoding': 'chunked' },
  })
  assert.equal(chunked.text, 'body two')
  assertBypass(chunked, 'request-body')
  const none = await client.get('/page', { 'content-length': '0' })
  assert.equal(none.text, 'body ')
  assertStored(none)
})

test('the bypass option sends a request around; when it throws, so it does', async (t) => {
  const errors: string[] = []
  const client = await startPage(
    t,
    {
      bypass: (request) => {
        if (request.headers['x-preview'] === 'broken') throw new Error('no preview')
        return request.headers['x-preview'] !== undefined
      },
    },
    {
      options: { onError: (error, { operation }) => errors.push(`${operation}: ${error.message}`) },
    },
  )
  await assertGoesAround(client, { 'x-preview': 'yes' }, 'option')
  assertBypass(await client.get('/page', { 'x-preview': 'broken' }), 'option-failed')
  assert.deepEqual(errors, ['bypass: no preview'])
})
