// Failures, statuses and everything a route's options or the handler itself keep out of the store.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertHit, assertNotStored, assertStored } from '../support/assert-status.ts'
import { start } from '../support/app.ts'
import { type Unstorable, testUnstorable } from './unstorable.ts'

const failures: Unstorable[] = [
  {
    title: 'a thrown error',
    reason: 'error',
    handler: () => {
      throw new Error('broken')
    },
  },
  {
    title: 'a rejected promise',
    reason: 'error',
    handler: async () => {
      throw Object.assign(new Error('gone'), { statusCode: 410 })
    },
  },
  {
    title: 'a sent error',
    reason: 'error',
    handler: (_request, reply) => reply.code(502).send(new Error('broken')),
  },
  ...['text', { an: 'object' }, 42].map((thrown): Unstorable => ({
    title: `a thrown ${JSON.stringify(thrown)}`,
    reason: 'error',
    handler: async () => {
      // oxlint-disable-next-line typescript/only-throw-error
      throw thrown
    },
  })),
  {
    title: 'an error that the error handler of the app answers with 200',
    reason: 'error',
    after: (app) => app.setErrorHandler(async () => ({ all: 'fine' })),
    handler: async () => {
      throw new Error('broken')
    },
  },
  {
    title: 'an error that the error handler of the route answers with 200 text',
    reason: 'error',
    route: { errorHandler: (_error, _request, reply) => void reply.code(200).send('all is fine') },
    handler: () => {
      throw new Error('broken')
    },
  },
  {
    title: 'an answer that the response schema cannot serialize',
    reason: 'error',
    route: {
      schema: {
        response: {
          200: { type: 'object', required: ['id'], properties: { id: { type: 'integer' } } },
        },
      },
    },
    handler: async () => ({ name: 'without an id' }),
  },
  {
    title: 'an answer that cannot be serialized, whose error is answered with 200',
    reason: 'error',
    after: (app) => app.setErrorHandler(async () => ({ all: 'fine' })),
    handler: async () => {
      const circular: Record<string, unknown> = {}
      circular['self'] = circular
      return circular
    },
  },
  {
    title: 'an answer on which the reply serializer of the app fails',
    reason: 'error',
    after: (app) =>
      app.setReplySerializer(() => {
        throw new TypeError('this is not a function')
      }),
    route: { schema: { response: { 200: { content: { 'application/json': { schema: {} } } } } } },
    handler: async () => ({ page: 1 }),
  },
  {
    title: 'an answer whose preSerialization hook throws',
    reason: 'error',
    late: (app) =>
      app.addHook('preSerialization', async () => {
        throw new Error('broken hook')
      }),
    handler: async () => ({ page: 1 }),
  },
  ...(['after', 'late'] as const).map((when): Unstorable => ({
    title: `an answer whose onSend hook, added ${when === 'after' ? 'before' : 'after'} the route, throws`,
    reason: 'error',
    [when]: (app: Parameters<NonNullable<Unstorable['after']>>[0]) => {
      app.addHook('onSend', async (_request, reply) => {
        if (reply.statusCode === 200) throw new Error('broken hook')
      })
    },
    handler: async () => 'page',
  })),
  {
    title: 'an answer whose last onSend hook fails and whose error is answered with 200',
    reason: 'error',
    after: (app) => app.setErrorHandler(async () => 'all is fine'),
    late: (app) =>
      app.addHook('onSend', async (_request, _reply, payload) => {
        if (payload === 'page') throw new Error('broken hook')
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer with a payload that Fastify refuses',
    reason: 'error',
    handler: (_request, reply) => reply.type('text/html').send({ an: 'object' }),
  },
]

const notFound: Unstorable[] = [
  {
    title: 'a call of callNotFound',
    reason: 'not-found-handler',
    handler: (_request, reply) => {
      reply.callNotFound()
    },
  },
  {
    title: 'a custom not-found page that answers 200',
    reason: 'not-found-handler',
    after: (app) =>
      app.setNotFoundHandler(async (_request, reply) => reply.code(200).send('an app shell')),
    handler: (_request, reply) => {
      reply.callNotFound()
    },
  },
  {
    title: 'a custom not-found page on a route that may store 404',
    reason: 'not-found-handler',
    cache: { statuses: { 404: '1m' } },
    after: (app) =>
      app.setNotFoundHandler(async (_request, reply) => reply.code(404).send({ no: 'page' })),
    handler: async (_request, reply) => {
      reply.callNotFound()
      return reply
    },
  },
]

const statuses = [201, 203, 204, 205, 206, 301, 302, 307, 400, 404, 410, 500, 503].map(
  (status): Unstorable => ({
    title: `an answer with ${status}, which the route does not name,`,
    reason: 'status',
    handler: (_request, reply) => reply.code(status).header('location', '/y').send(),
  }),
)
statuses.push(
  {
    title: 'a 304 that the handler answers',
    reason: 'status',
    headers: { 'if-none-match': '"v1"' },
    handler: (_request, reply) => reply.code(304).header('etag', '"v1"').send(),
  },
  {
    title: 'an answer with 404 that an onSend hook made 200',
    reason: 'status',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.code(200)
      }),
    handler: (_request, reply) => reply.code(404).send('nothing here'),
  },
  {
    title: 'a redirect',
    reason: 'status',
    handler: (_request, reply) => reply.redirect('/elsewhere'),
  },
  {
    title: 'an answer whose status an onSend hook made 503',
    reason: 'status',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.code(503)
      }),
    handler: async () => 'page',
  },
)

const kept: Unstorable[] = [
  {
    title: 'an answer of which the handler said cacheSkip',
    reason: 'skipped',
    handler: async (_request, reply) => {
      // The oracle has no such method.
      reply.cacheSkip?.()
      return 'page'
    },
  },
  {
    title: 'an answer of which the handler said cacheSkip with a reason',
    reason: 'a "partial" \\ answer',
    handler: (_request, reply) => {
      reply.cacheSkip?.('a "partial" \\ answer\u00e9\r\n')
      return reply.send('page')
    },
  },
  {
    title: 'an answer of which an onSend hook said cacheSkip',
    reason: 'skipped',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.cacheSkip?.()
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer of which a hook before the handler said cacheSkip',
    reason: 'skipped',
    late: (app) =>
      app.addHook('preHandler', async (_request, reply) => {
        reply.cacheSkip?.()
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer that storable refuses',
    reason: 'skipped',
    cache: { storable: (_request, _reply, payload) => (payload as { ready: boolean }).ready },
    handler: async () => ({ ready: false }),
  },
  {
    title: 'an answer of which storable says something else than true',
    reason: 'skipped',
    cache: { storable: (() => 'yes') as never },
    handler: async () => 'page',
  },
  {
    title: 'an answer for which storable throws',
    reason: 'option-failed',
    cache: {
      storable: () => {
        throw new Error('broken option')
      },
    },
    handler: async () => 'page',
  },
  {
    title: 'an answer for which the ttl function throws',
    reason: 'option-failed',
    cache: {
      ttl: () => {
        throw new Error('broken option')
      },
    },
    handler: async () => 'page',
  },
  ...(
    [
      [undefined, 'ttl'],
      [0, 'option-failed'],
      [-1, 'option-failed'],
      ['soon', 'option-failed'],
    ] as const
  ).map(([ttl, reason]): Unstorable => ({
    title: `an answer for which the ttl function returns ${String(ttl)}`,
    reason,
    cache: { ttl: () => ttl },
    handler: async () => 'page',
  })),
  {
    title: "an answer without a lifetime of its own, with ttl 'headers',",
    reason: 'ttl',
    cache: { ttl: 'headers' },
    handler: async () => 'page',
  },
  ...([['a'.repeat(1025)], [''], [7], 'x', undefined] as const).map((tags): Unstorable => ({
    title: `an answer whose tags function returns ${JSON.stringify(tags)?.slice(0, 20)}`,
    reason: 'option-failed',
    cache: { tags: (() => tags) as never },
    handler: async () => 'page',
  })),
  {
    title: 'an answer with more tags than an entry may carry',
    reason: 'too-many-tags',
    cache: { tags: () => Array.from({ length: 257 }, (_, index) => `tag ${index}`) },
    handler: async () => 'page',
  },
  {
    title: 'a string above maxBytes',
    reason: 'too-big',
    cache: { maxBytes: 10 },
    handler: async () => 'ééééééé',
  },
  {
    title: 'an object above maxBytes',
    reason: 'too-big',
    cache: { maxBytes: 10 },
    handler: async () => ({ eleven: 11 }),
  },
  {
    title: 'an answer that the memory tier has no room for',
    reason: 'too-big',
    setup: { cache: { memory: { maxBytes: 10_000, maxEntryBytes: 2000 } } },
    handler: async () => 'x'.repeat(1900),
  },
]

for (const kind of [...failures, ...notFound, ...statuses, ...kept]) testUnstorable(kind)

test('the statuses option stores what it names, each with its own lifetime', async (t) => {
  const client = await start(t, (app) => {
    const cache = { ttl: 100, statuses: { 404: '10s', 301: true, 204: 20, 201: true } } as const
    app.get('/:status', { config: { cache } }, async (request, reply) => {
      const status = Number((request.params as { status: string }).status)
      void reply.code(status).header('x-status', String(status))
      if (status === 301) return reply.redirect('/elsewhere', 301)
      return status === 204 ? undefined : { status }
    })
  })
  for (const [status, ttl] of [
    [200, 99],
    [404, 9],
    [301, 99],
    [204, 19],
    [201, 99],
  ] as const) {
    const miss = await client.get(`/${status}`)
    assertStored(miss)
    const hit = await client.get(`/${status}`)
    assertHit(hit)
    assert.equal(hit.status, status)
    assert.equal(hit.text, miss.text)
    assert.deepEqual(
      [hit.headers['x-status'], hit.headers.location, hit.headers['content-type']],
      [miss.headers['x-status'], miss.headers.location, miss.headers['content-type']],
    )
    const left = Number(/ttl=(\d+)/.exec(String(hit.headers['cache-status']))?.[1])
    assert.ok(left === ttl || left === ttl + 1, `${status} lives ${ttl} s, got ${left}`)
  }
  assertNotStored(await client.get('/410'), 'status')
})

test('an answer of exactly maxBytes is stored, one byte more is not', async (t) => {
  const client = await start(t, (app) => {
    app.get('/:length', { config: { cache: { maxBytes: 10 } } }, async (request) =>
      'x'.repeat(Number((request.params as { length: string }).length)),
    )
  })
  assertStored(await client.get('/10'))
  assertHit(await client.get('/10'))
  assertNotStored(await client.get('/11'), 'too-big')
})
