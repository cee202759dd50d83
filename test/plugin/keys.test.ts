// Promise 5: two requests share a stored response only if the application could not tell them apart.
// Targets are written to the socket as they stand; an uncached application says what it sees.
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { type TestContext, test } from 'node:test'

import Fastify, {
  type FastifyInstance,
  type FastifyRequest,
  type FastifyServerOptions,
} from 'fastify'
import { parse as parseNested } from 'qs'

import responseCache, {
  type ResponseCacheOptions,
  type RouteCacheOptions,
} from '../../src/index.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Answer, type Client, listen, start } from '../support/app.ts'

/** What a handler can see of the target: the path as it came, the query as it was parsed. */
function seen(request: FastifyRequest): unknown {
  const { host, hostname, port, protocol, params } = request
  const path = request.url.split('?', 1)[0]
  const originalPath = request.originalUrl.split('?', 1)[0]
  const query = Object.entries(request.query as object).sort(([a], [b]) => (a < b ? -1 : 1))
  return { path, originalPath, host, hostname, port, protocol, params, query }
}

interface Pair {
  cached: Client
  plain: Client
}

async function startPair(
  t: TestContext,
  {
    fastify = {},
    cache = {},
    options = {},
    route = '/*',
  }: {
    fastify?: FastifyServerOptions
    cache?: RouteCacheOptions
    options?: ResponseCacheOptions
    route?: string
  } = {},
): Promise<Pair> {
  const declare = (app: FastifyInstance): void => {
    app.get(route, { config: { cache: { ttl: '1h', ...cache } } }, async (request) => seen(request))
  }
  const cached = await start(t, declare, { fastify, cache: options })
  const plain = await start(t, declare, { fastify, cache: false })
  return { cached, plain }
}

type Asked = string | [target: string, headers: readonly string[]]

function ask(client: Client, asked: Asked): Promise<Answer> {
  return typeof asked === 'string' ? client.target(asked) : client.target(...asked)
}

/** Cold, warm and hot (when targets are remembered): each gets what the plain application says. */
async function assertApart({ cached, plain }: Pair, requests: readonly Asked[]): Promise<void> {
  for (const round of ['cold', 'warm', 'hot', 'hotter']) {
    // Backwards too, so that each is once asked before its neighbour.
    const order = round === 'warm' ? requests.toReversed() : requests
    for (const asked of order) {
      const [answer, expected] = [await ask(cached, asked), await ask(plain, asked)]
      const shown = `${JSON.stringify(asked).slice(0, 100)} on a ${round} cache`
      assert.deepEqual(
        [answer.status, answer.text],
        [expected.status, withPort(expected, plain, cached)],
        shown,
      )
      if (round !== 'cold' && answer.status === 200) assertHit(answer)
    }
  }
}

/** The two listen on ports of their own, which a host may show. */
function withPort({ text }: Answer, from: Client, to: Client): string {
  return text.replaceAll(String(from.port), String(to.port))
}

const TARGETS = [
  '/a',
  '/A',
  '/a/',
  '//a',
  '/a//',
  '/a?',
  '/a?x',
  '/a?x=',
  '/a?x=1',
  '/a?x=1&x=2',
  '/a?x=2&x=1',
  '/a?x=1,2',
  '/a?x[]=1',
  '/a?x=1&y=2',
  '/a?x=1%26y=2',
  '/a?x=1%3D2',
  '/a?x=1=2',
  '/a?X=1',
  '/a?x=%20',
  '/a?x=+',
  '/a?x=%2B',
  '/a?x=%00',
  '/a?x=%zz',
  '/a?x=%C3%A9',
  '/a?x=%E9',
  '/a?=1',
  '/a?&',
  '/a?x=undefined',
  '/a?x=null',
  '/a?__proto__=1',
  '/a?__proto__[y]=1',
  '/a?constructor=1',
  '/a?constructor[prototype]=1',
  '/a?toString',
  '/a?hasOwnProperty=1',
  '/a??x=1',
  '/a?x=1?y=2',
  '/a?x=1#y',
  '/a#x=1',
  '/a%3Fx=1',
  '/%61',
  '/a%2Fb',
  '/a%2fb',
  '/a/b',
  '/a/../b',
  '/b',
  '/a/./b',
  '/a/%2e%2e/b',
  '/a/%2E%2E/b',
  '/a/..%2fb',
  '/a\\b',
  '/a%5Cb',
  '/a;x=1',
  '/a;x=1?y=2',
  '/a%3Bx=1',
  '/caf\u00e9',
  '/caf%C3%A9',
  '/a%20b',
  '/a+b',
  '//evil.example/a',
  '/http://evil.example/a',
  'http://localhost/a',
  'http://evil.example/a',
  'https://localhost/a',
  'HTTP://localhost/a',
  'http://localhost/a?x=1',
  'http://user@localhost/a',
  'http://localhost:80/a',
  `/a?x=${'y'.repeat(10_000)}`,
  `/a?x=${'y'.repeat(9_999)}z`,
  `/${'p'.repeat(90)}?${'q=1&'.repeat(800)}`,
]

const APPLICATIONS: [string, FastifyServerOptions][] = [
  ['as it is', {}],
  ['that ignores trailing slashes', { routerOptions: { ignoreTrailingSlash: true } }],
  ['that ignores case', { routerOptions: { caseSensitive: false } }],
  ['that ignores duplicate slashes', { routerOptions: { ignoreDuplicateSlashes: true } }],
  ['with semicolons as delimiters', { routerOptions: { useSemicolonDelimiter: true } as never }],
  [
    'with a parser of nested queries',
    { routerOptions: { querystringParser: (text) => parseNested(text) } },
  ],
  [
    'whose parser makes objects of its own',
    {
      routerOptions: {
        querystringParser: (text) => ({
          at: new Date(text.length),
          text,
          map: new Map([[text, 1]]),
        }),
      },
    },
  ],
]

for (const [title, fastify] of APPLICATIONS) {
  for (const route of ['/*', '/a']) {
    test(`an application ${title} gets no target of ${route} mixed up with another`, async (t) => {
      await assertApart(await startPair(t, { fastify, route }), TARGETS)
    })
  }
}

test('the order of query names does not matter, the order of repeated values does', async (t) => {
  const { cached } = await startPair(t)
  assertStored(await cached.target('/a?x=1&y=2&z=3'))
  for (const target of ['/a?y=2&x=1&z=3', '/a?z=3&y=2&x=1']) assertHit(await cached.target(target))
  assertStored(await cached.target('/a?x=1&x=2'))
  assertStored(await cached.target('/a?x=2&x=1'))
  assertHit(await cached.target('/a?x=1&x=2'))
})

test('encodings that the parser reads alike share a response', async (t) => {
  const { cached } = await startPair(t)
  assertStored(await cached.target('/a?x=%C3%A9&y=a%20b'))
  assertHit(await cached.target('/a?x=%c3%a9&y=a+b'))
  assertHit(await cached.target('/a?y=a%20b&%78=%C3%A9'))
})

const NESTED = [
  '/a?x[y]=1',
  '/a?x[y]=1&x[z]=2',
  '/a?x[]=1',
  '/a?x[]=1&x[]=2',
  '/a?x[0]=1',
  '/a?x[y][]=1',
  '/a?x[y][z]=1',
  '/a?x=1',
  '/a?x=',
  '/a?x',
  '/a?x[y]=',
  '/a?x[1]=a&x[0]=b',
  '/a?x[a]=1&x[b]=2&y=1',
  '/a?x[a]=1&y[b]=2&y=1',
  '/a?x[a]=1&x[y]=2',
  '/a?x[a]=1&y=2',
  '/a?x[a][b]=1&x[c]=2',
  '/a?x[a][b]=1&x[a][c]=2',
]

test('nested queries are told apart, whatever their shape', async (t) => {
  const fastify = {
    routerOptions: { querystringParser: (text: string) => parseNested(text) as never },
  }
  const pair = await startPair(t, { fastify })
  await assertApart(pair, NESTED)
  assertHit(await pair.cached.target('/a?x[z]=2&x[y]=1'))
})

const HOSTS: Asked[] = [
  ['/a', ['Host: localhost']],
  ['/a', ['Host: LOCALHOST']],
  ['/a', ['Host: localhost:80']],
  ['/a', ['Host: evil.example']],
  ['/a', ['Host: ']],
  ['/a', ['Host: localhost', 'X-Forwarded-Host: evil.example']],
  ['/a', ['Host: evil.example', 'X-Forwarded-Host: localhost']],
  ['/a', ['Host: localhost', 'X-Forwarded-Host: a.example, b.example']],
  ['/a', ['Host: localhost', 'X-Forwarded-Proto: https']],
  ['/a', ['Host: localhost', 'X-Forwarded-Proto: https, http']],
  ['/a', ['Host: localhost', 'X-Forwarded-Proto: ws']],
  ['/a', ['Host: localhost', 'X-Forwarded-Host: localhost', 'X-Forwarded-Proto: https']],
  ['/a', ['Host: [::1]:80']],
  ['http://evil.example/a', ['Host: localhost']],
  ['http://localhost/a', ['Host: evil.example']],
]

for (const trustProxy of [false, true]) {
  test(`hosts and protocols are told apart, with trustProxy ${trustProxy}`, async (t) => {
    await assertApart(await startPair(t, { fastify: { trustProxy } }), HOSTS)
  })
}

test('a forged forwarded host reaches nobody else, also when the handler builds links of it', async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get(
        '/links',
        { config: { cache: true } },
        async (request) => `${request.protocol}://${request.host}/next`,
      )
    },
    { fastify: { trustProxy: true } },
  )
  const forged = [
    'Host: shop.example',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: javascript',
  ]
  assert.equal((await client.target('/links', forged)).text, 'javascript://evil.example/next')
  assert.equal(
    (await client.target('/links', ['Host: shop.example'])).text,
    'http://shop.example/next',
  )
})

test('what rewriteUrl makes the same stays apart, because the handler sees the original', async (t) => {
  const rewriteUrl = (request: IncomingMessage): string => request.url!.replace(/^\/v\d/, '')
  const pair = await startPair(t, { fastify: { rewriteUrl } })
  await assertApart(pair, ['/a', '/v1/a', '/v2/a', '/v1/a?x=1', '/a?x=1', '/v1/v1/a'])
})

test('routes that differ in constraints never answer for each other', async (t) => {
  const app = Fastify()
  await app.register(responseCache, { defaults: { ttl: '1h' } })
  const route = (constraints: Record<string, unknown>, answer: string): void => {
    app.get('/x', { constraints, config: { cache: true } }, async () => answer)
  }
  route({}, 'any')
  route({ host: 'a.example' }, 'host a')
  route({ host: /^[bc]\.example$/ }, 'host b or c')
  route({ version: '1.0.0' }, 'version 1')
  route({ version: '2.0.0' }, 'version 2')
  route({ host: 'a.example', version: '1.0.0' }, 'host a, version 1')
  const client = await listen(t, app)
  const requests: [string[], string][] = [
    [['Host: x'], 'any'],
    [['Host: a.example'], 'host a'],
    [['Host: b.example'], 'host b or c'],
    [['Host: c.example'], 'host b or c'],
    [['Host: x', 'Accept-Version: 1.x'], 'version 1'],
    [['Host: x', 'Accept-Version: 2.x'], 'version 2'],
    [['Host: a.example', 'Accept-Version: 1.0.0'], 'host a, version 1'],
  ]
  for (let round = 0; round < 3; round++) {
    for (const [headers, text] of requests) {
      assert.equal((await client.target('/x', headers)).text, text, headers.join())
    }
  }
})

test('routes that a constraint of the application tells apart never share', async (t) => {
  // A value of any kind: here a test of what the request says.
  type Fits = (group: unknown) => boolean
  const stored: [Fits, unknown][] = []
  const group = {
    name: 'group',
    storage: () => ({
      get: (name: unknown) => stored.find(([fits]) => fits(name))?.[1] ?? null,
      set: (fits: Fits, handler: unknown) => void stored.push([fits, handler]),
    }),
    validate: () => true,
    deriveConstraint: (request: IncomingMessage) => request.headers['x-group'],
  }
  const app = Fastify({ routerOptions: { constraints: { group: group as never } } })
  await app.register(responseCache, { defaults: { ttl: '1h' } })
  for (const own of ['a', 'b']) {
    const constraints = { group: (name: unknown) => name === own }
    app.get('/x', { constraints, config: { cache: true }, exposeHeadRoute: false }, async () => own)
  }
  const client = await listen(t, app)
  for (const name of ['a', 'b', 'a']) {
    assert.equal((await client.get('/x', { 'x-group': name })).text, name)
  }
})
