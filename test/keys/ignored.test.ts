// vary.query leaves parameters out of the key. A handler that looks at one of them all the same makes
// an answer for this request alone: it is sent, and never kept for those who sent another value.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyReply, FastifyRequest } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import { assertHit, assertNotStored, assertStored } from '../support/assert-status.ts'
import { type Pair, startPair } from './pair.ts'

type Query = Record<string, string>
type Handler = (request: FastifyRequest<{ Querystring: Query }>, reply: FastifyReply) => unknown

function startPage(t: TestContext, handler: Handler, cache: RouteCacheOptions = {}): Promise<Pair> {
  const options = { ttl: '1h', vary: { query: { ignore: ['utm_*', 'ref'] } }, ...cache }
  return startPair(t, (app) => {
    app.get<{ Querystring: Query }>('/page', { config: { cache: options } }, handler)
  })
}

const REFLECTING: [string, Handler][] = [
  ['reads it by name', async ({ query }) => `from ${query['utm_source']}`],
  ['reads it by name, with others', async ({ query: { utm_source, x } }) => `${x}, ${utm_source}`],
  ['answers with the query', async ({ query }) => query],
  ['copies the query', async ({ query }) => JSON.stringify({ ...query })],
  ['goes through the values', async ({ query }) => Object.values(query).join()],
  ['clones the query', async ({ query }) => structuredClone(query)],
  ['shows its URL', async (request) => `<link rel="canonical" href="${request.url}">`],
  ['shows the URL of the message', async ({ raw }) => `<a href="${raw.url}">`],
  ['shows its original URL', async ({ originalUrl }) => `<a href="${originalUrl}">`],
  ['sends a field of it', (request, reply) => void reply.header('x-url', request.url).send('page')],
  [
    'reads it later',
    async ({ query }) => {
      await new Promise((resolve) => setImmediate(resolve))
      return `from ${query['utm_source']}`
    },
  ],
  [
    'reads it while its answer is serialized',
    async ({ query }) => ({ toJSON: () => query['utm_source'] ?? null }),
  ],
]

for (const [title, handler] of REFLECTING) {
  // Regression: the first value that came was answered to everybody.
  test(`a handler that ${title} although the key leaves it out fills nothing with it`, async (t) => {
    const { cached, plain } = await startPage(t, handler)
    const asked = [
      '/page?utm_source=evil',
      '/page?utm_source=other&x=1',
      '/page?utm_source=1&ref=2',
    ]
    for (const target of [...asked, ...asked]) {
      const answer = await cached.get(target)
      assertNotStored(answer, 'query')
      const expected = await plain.get(target)
      assert.deepEqual(
        [answer.text, answer.headers['x-url']],
        [expected.text, expected.headers['x-url']],
      )
    }
    // Without such a parameter there is nothing to look at.
    for (const assertAs of [assertStored, assertHit]) {
      const answer = await cached.get('/page?x=1')
      assertAs(answer)
      assert.equal(answer.text, (await plain.get('/page?x=1')).text)
    }
  })
}

const HARMLESS: [string, Handler][] = [
  ['looks at nothing', async () => 'page'],
  ['reads other parameters', async ({ query }) => `page ${query['x']}`],
  ['answers later', async () => new Promise((resolve) => setImmediate(resolve, 'page'))],
  [
    'looks at path and host',
    async ({ host, params }) => `page of ${host} ${Object.keys(params as object).length}`,
  ],
]

for (const [title, handler] of HARMLESS) {
  test(`a handler that ${title} makes one answer for all values that the key leaves out`, async (t) => {
    const { cached, plain } = await startPage(t, handler)
    const targets = [
      '/page?utm_source=a&x=1',
      '/page?x=1',
      '/page?x=1&ref=b&utm_=c',
      '/page?ref&x=1',
    ]
    for (const [index, target] of targets.entries()) {
      const answer = await cached.get(target)
      if (index === 0) assertStored(answer)
      else assertHit(answer)
      assert.equal(answer.text, (await plain.get(target)).text)
    }
  })
}

test('vary.query.only guards what it does not name', async (t) => {
  const { cached } = await startPage(t, async ({ query }) => `${query['page']} ${query['x']}`, {
    vary: { query: { only: ['page'] } },
  })
  assertNotStored(await cached.get('/page?page=1&x=evil'), 'query')
  assertStored(await cached.get('/page?page=1'))
  const answer = await cached.get('/page?page=1&x=2')
  assertHit(answer)
  assert.equal(answer.text, '1 undefined')
})

test('tags made of a parameter that the key leaves out keep the answer out of the cache', async (t) => {
  const tags = (request: { query: Query }): string[] => [`from:${request.query['ref']}`]
  const { cached } = await startPage(t, async () => 'page', {
    vary: { query: { ignore: ['ref'] } },
    tags,
  })
  assertNotStored(await cached.get('/page?ref=a'), 'query')
  assertStored(await cached.get('/page'))
})

test('names that are no common ones fill nothing, whoever shows them', async (t) => {
  const { cached, plain } = await startPage(t, async ({ query }) => Object.keys(query).join())
  for (const target of ['/page?utm_<b>=1', '/page?utm_%3Cb%3E=1', '/page?utm_%22=1&x=1']) {
    const answer = await cached.get(target)
    assertNotStored(answer, 'query')
    assert.equal(answer.text, (await plain.get(target)).text)
  }
})

test('queries that cannot be compared or written to are never mixed up', async (t) => {
  for (const parser of [
    (text: string) => new URLSearchParams(text) as never,
    (text: string) => text as never,
    (text: string) => Object.freeze(Object.fromEntries(new URLSearchParams(text))),
  ]) {
    const config = { cache: { vary: { query: { ignore: ['ref'] } } } }
    const pair = await startPair(
      t,
      (app) => {
        app.get('/page', { config }, async ({ query }) => {
          if (typeof query === 'string' || query instanceof URLSearchParams)
            return `q ${query.toString()}`
          return query
        })
      },
      { fastify: { routerOptions: { querystringParser: parser } } },
    )
    for (const target of ['/page?ref=1&x=1', '/page?ref=2&x=1', '/page?ref=1&x=1', '/page?x=1']) {
      assert.equal((await pair.cached.get(target)).text, (await pair.plain.get(target)).text)
    }
  }
})

test('a target that was rewritten is in the key with all its parameters, and nothing is watched', async (t) => {
  const config = { cache: { vary: { query: { ignore: ['ref'] } } } }
  const { cached } = await startPair(
    t,
    (app) => {
      app.get('/page', { config }, async ({ query }) => query)
    },
    { fastify: { rewriteUrl: ({ url }) => url!.replace('/old', '/page') } },
  )
  for (const assertAs of [assertStored, assertHit]) {
    for (const ref of ['1', '2']) {
      const answer = await cached.get(`/old?ref=${ref}`)
      assertAs(answer)
      assert.equal(answer.text, `{"ref":"${ref}"}`)
    }
  }
  assertNotStored(await cached.get('/page?ref=1'), 'query')
})

test('what a handler writes to the URL or the query is there when it reads it', async (t) => {
  const { cached } = await startPage(t, async ({ query, raw }) => {
    raw.url = '/other'
    query['ref'] = 'written'
    delete query['utm_source']
    return [raw.url, query]
  })
  const answer = await cached.get('/page?ref=1&utm_source=2&x=3')
  assertNotStored(answer, 'query')
  assert.deepEqual(JSON.parse(answer.text), ['/other', { ref: 'written', x: '3' }])
})

test('hooks may look at every parameter, before the handler and after its answer', async (t) => {
  const campaigns: unknown[] = []
  const { cached } = await startPair(t, (app) => {
    const look = async (request: FastifyRequest): Promise<void> => {
      campaigns.push((request.query as Query)['utm_source'], request.url)
    }
    app.addHook('onRequest', look)
    app.addHook('preHandler', look)
    app.addHook('onSend', look)
    app.addHook('onResponse', look)
    const cache = { vary: { query: { ignore: ['utm_*'] } } }
    app.get('/page', { config: { cache } }, async () => ({ page: 1 }))
  })
  assertStored(await cached.get('/page?utm_source=a'))
  assertHit(await cached.get('/page?utm_source=b'))
  assertHit(await cached.get('/page?utm_source=b'))
  const lookOf = (value: string): string[] => [value, `/page?utm_source=${value}`]
  const expected = ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'b'].flatMap(lookOf)
  assert.deepEqual(campaigns.slice(0, expected.length), expected)
})

test('validation sees every parameter, and the handler may write to the query', async (t) => {
  const querystring = {
    type: 'object',
    required: ['ref'],
    properties: { ref: { type: 'integer' }, x: { type: 'integer', default: 7 } },
  }
  const { cached } = await startPair(t, (app) => {
    const cache = { vary: { query: { ignore: ['ref'] } } }
    app.get<{ Querystring: Record<string, number> }>(
      '/page',
      { schema: { querystring }, config: { cache } },
      async ({ query }) => {
        query['y'] = 1
        return `${query['x']} ${query['y']}`
      },
    )
  })
  assert.equal((await cached.get('/page?ref=a')).status, 400)
  assert.equal((await cached.get('/page')).status, 400)
  const answer = await cached.get('/page?ref=1')
  assertStored(answer)
  assert.equal(answer.text, '7 1')
  assertHit(await cached.get('/page?ref=2'))
})

test('requests that wait for one another and differ in what the key leaves out get their own', async (t) => {
  const { cached } = await startPage(t, async ({ query }) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    return `from ${query['ref']}`
  })
  const targets = Array.from({ length: 5 }, (_, index) => `/page?ref=${index}`)
  const wires = targets.map(() => cached.another())
  const answers = await Promise.all(wires.map((wire, index) => wire.get(targets[index]!)))
  for (const wire of wires) wire.close()
  assert.deepEqual(
    answers.map(({ text }) => text),
    targets.map((_, index) => `from ${index}`),
  )
})
