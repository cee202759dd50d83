// A schema of header fields takes away what it does not name, before the handler runs. What hooks and
// plugins made of those fields earlier stays, and so do the keys and the rules that depend on them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import cookie from '@fastify/cookie'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { type Pair, assertAsPlain, startPair } from './pair.ts'

/** Names one field, and so takes away all others. */
const STRICT = {
  headers: {
    type: 'object',
    additionalProperties: false,
    properties: { 'x-page': { type: 'integer' } },
  },
}

type Noted = FastifyRequest & { noted?: unknown }

/** A page of what an early hook made of a field; the handler itself sees no fields. */
function startStrict(
  t: TestContext,
  cache: RouteCacheOptions,
  note: (request: FastifyRequest) => unknown,
): Promise<Pair> {
  return startPair(
    t,
    (app) => {
      app.get(
        '/x',
        { schema: STRICT, config: { cache: { ttl: '1h', ...cache } } },
        async (request) => ({
          noted: (request as Noted).noted ?? null,
          seen: Object.keys(request.headers),
        }),
      )
    },
    {
      before: async (app: FastifyInstance) => {
        await app.register(cookie)
        app.decorateRequest('noted')
        app.addHook('onRequest', async (request) => {
          ;(request as Noted).noted = note(request)
        })
      },
    },
  )
}

const PEOPLE = ['ann', 'bob', '']

// Regression: the key was made after the schema had taken the fields away, and was one for all.
test('vary.cookies counts cookies that a schema has taken away', async (t) => {
  const pair = await startStrict(
    t,
    { vary: { cookies: ['lang'] } },
    ({ cookies }) => cookies['lang'],
  )
  await assertAsPlain(pair, [
    '/x',
    ...PEOPLE.map((value) => ['/x', `Cookie: lang=${value}`] as const),
    ['/x', 'Cookie: lang=ann', 'Cookie: lang=bob'],
  ])
})

for (const name of ['authorization', 'x-user', 'accept-language']) {
  test(`vary.headers counts ${name} that a schema has taken away`, async (t) => {
    const note = ({ headers }: FastifyRequest): unknown => headers[name]
    const pair = await startStrict(t, { vary: { headers: [name] } }, note)
    await assertAsPlain(pair, [
      '/x',
      ...PEOPLE.map((value) => ['/x', `${name}: ${value}`] as const),
    ])
  })
}

for (const name of ['authorization', 'cookie', 'x-api-key']) {
  test(`vary.by without an answer does not take a request for anonymous whose ${name} a schema has taken away`, async (t) => {
    const note = ({ headers }: FastifyRequest): unknown => headers[name]
    const { cached } = await startStrict(t, { vary: { by: () => undefined } }, note)
    assertStored(await cached.get('/x'))
    for (const value of ['ann', 'bob']) {
      const answer = await cached.get('/x', [`${name}: ${value}`])
      assertBypass(answer, name)
      assert.match(answer.text, new RegExp(`"noted":"${value}"`))
    }
    assertHit(await cached.get('/x'))
  })
}

test('a field that an early hook takes away is no credential and makes no variants', async (t) => {
  const { cached } = await startPair(
    t,
    (app) => {
      app.get(
        '/x',
        { config: { cache: true } },
        async ({ headers }) => headers.cookie ?? 'no cookie',
      )
    },
    {
      before: (app) =>
        app.addHook('onRequest', async ({ headers }) => {
          delete headers.cookie
        }),
    },
  )
  assertStored(await cached.get('/x', ['Cookie: sid=1']))
  assertHit(await cached.get('/x', ['Cookie: sid=2']))
  assert.equal((await cached.get('/x')).text, 'no cookie')
})
