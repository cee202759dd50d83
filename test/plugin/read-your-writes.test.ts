// What a client carries from its write to its reads: a cookie or a header field of our own.
import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'

import responseCache, {
  type ReadYourWritesOptions,
  type ResponseCacheOptions,
} from '../../src/index.ts'
import { formatPosition } from '../../src/http/position-token.ts'
import { type Answer, type Client, listen } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const SECRET = 'a secret that all processes have in common'
let server: RedisServer
before(async () => {
  server = await startRedis()
})
after(() => server.stop())

let namespaces = 0

interface Scene {
  client: Client
  app: FastifyInstance
  namespace: string
  /** The Cookie fields that handlers have seen. */
  seen: (string | undefined)[]
}

async function scene(
  t: TestContext,
  own: Partial<ReadYourWritesOptions> = {},
  options: ResponseCacheOptions = {},
): Promise<Scene> {
  const namespace = options.namespace ?? `n${++namespaces}`
  const app = Fastify({ trustProxy: true })
  const seen: (string | undefined)[] = []
  await app.register(responseCache, {
    ...{ redis: server.url, namespace, defaults: { ttl: '1h' } },
    readYourWrites: { secret: SECRET, ...own },
    ...options,
  })
  const handler = async (request: FastifyRequest): Promise<string> => {
    seen.push(request.headers.cookie)
    return 'a page'
  }
  app.get('/', { config: { cache: { tags: ['x'] } } }, handler)
  app.get('/language', { config: { cache: { vary: { cookies: ['lang'] } } } }, handler)
  app.get('/cookie', { config: { cache: { vary: { headers: ['cookie'] } } } }, handler)
  app.put('/', { config: { cache: { invalidates: ['x'] } } }, async () => 'written')
  app.put('/wrong', { config: { cache: { invalidates: ['x'] } } }, async (_request, reply) =>
    reply.code(400).send('no'),
  )
  app.post('/elsewhere', async () => 'nothing to do with the cache')
  const client = await listen(t, app)
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  return { client, app, namespace, seen }
}

const setCookie = (answer: Answer): string => String(answer.headers['set-cookie'])
const cookieOf = (answer: Answer): string => setCookie(answer).split(';')[0]!
const statuses = async (client: Client, path: string, ...cookies: string[]): Promise<unknown[]> => {
  const told: unknown[] = []
  for (const cookie of cookies) {
    const status = statusOf(await client.get(path, cookie === '' ? {} : { cookie }))
    told.push(status.hit ? 'hit' : (status.detail ?? status.fwd))
  }
  return told
}

describe('the answer to a write', { concurrency: true }, () => {
  it('carries a cookie for the site, short-lived, out of reach of scripts', async (t) => {
    const { client } = await scene(t)
    const field = setCookie(await client.send('PUT', '/'))
    const attributes = 'Max-Age=60; Path=/; HttpOnly; SameSite=Lax'
    assert.match(field, new RegExp(`^cache-position=p1[\\w.-]+; ${attributes}$`))
    const secure = await client.send('PUT', '/', { headers: { 'x-forwarded-proto': 'https' } })
    assert.match(setCookie(secure), /; Secure$/)
  })

  it('carries none when nothing was invalidated, and no read does', async (t) => {
    const { client } = await scene(t)
    for (const [method, path] of [
      ['PUT', '/wrong'],
      ['POST', '/elsewhere'],
      ['GET', '/'],
      ['HEAD', '/'],
    ] as const) {
      assert.equal((await client.send(method, path)).headers['set-cookie'], undefined)
    }
  })

  it('carries none without the option, nor where there is one process', async (t) => {
    const without = await scene(t, {}, { readYourWrites: false })
    assert.equal((await without.client.send('PUT', '/')).headers['set-cookie'], undefined)
    const app = Fastify()
    const readYourWrites = { secret: SECRET }
    await app.register(responseCache, { defaults: { ttl: '1h' }, readYourWrites })
    app.put('/', { config: { cache: { invalidates: ['x'] } } }, async () => 'written')
    const client = await listen(t, app)
    assert.equal((await client.send('PUT', '/')).headers['set-cookie'], undefined)
  })

  it('keeps the cookies of the application', async (t) => {
    const app = Fastify()
    const readYourWrites = { secret: SECRET, cookie: 'seen' }
    await app.register(responseCache, {
      ...{ redis: server.url, namespace: 'cookies', readYourWrites },
    })
    app.put('/', { config: { cache: { invalidates: ['x'] } } }, async (_request, reply) => {
      reply.header('set-cookie', 'a=1')
      return 'written'
    })
    const client = await listen(t, app)
    const fields = (await client.send('PUT', '/')).headers['set-cookie']!
    assert.deepEqual(
      fields.map((field) => field.split('=')[0]),
      ['a', 'seen'],
    )
  })

  it('carries a header field instead, which counts on the way back', async (t) => {
    const { client } = await scene(t, { header: 'X-Position' })
    const answer = await client.send('PUT', '/')
    assert.equal(answer.headers['set-cookie'], undefined)
    const position = String(answer.headers['x-position'])
    assert.match(position, /^p1\./)
    assert.equal(statusOf(await client.get('/', { 'x-position': position })).fwd, 'uri-miss')
    assert.equal(statusOf(await client.get('/', { 'x-position': position })).hit, true)
    assert.equal(statusOf(await client.get('/', { 'x-position': 'forged' })).hit, true)
  })
})

describe('the cookie of a write', { concurrency: true }, () => {
  it('is no credential, no part of a key, and nothing that a handler sees', async (t) => {
    const { client, seen } = await scene(t)
    const [one, two] = [
      cookieOf(await client.send('PUT', '/')),
      cookieOf(await client.send('PUT', '/')),
    ]
    assert.notEqual(one, two)
    assert.deepEqual(await statuses(client, '/', one, two, '', one), [
      'uri-miss',
      'hit',
      'hit',
      'hit',
    ])
    assert.deepEqual(seen, [undefined])
    assert.deepEqual(
      await statuses(client, '/language', `lang=de; ${one}`, `${two}; lang=de`, 'lang=de', one),
      ['uri-miss', 'hit', 'hit', 'uri-miss'],
    )
    assert.deepEqual(
      await statuses(client, '/cookie', `a=1; ${one}; b=2`, `${two}; a=1; b=2`, 'a=1; b=2'),
      ['uri-miss', 'hit', 'hit'],
    )
    assert.deepEqual(seen.slice(1), ['lang=de', undefined, 'a=1; b=2'])
  })

  it('excuses no other cookie', async (t) => {
    const { client } = await scene(t)
    const own = cookieOf(await client.send('PUT', '/'))
    const others = [`${own}; sid=1`, `sid=1; ${own}`, `${own}; ${own}`, `${own}; cache-position=x`]
    assert.deepEqual(
      await statuses(client, '/', ...others),
      others.map(() => 'cookie'),
    )
  })

  it('is a cookie like any other when it was not signed for this', async (t) => {
    const { client, namespace } = await scene(t)
    const own = cookieOf(await client.send('PUT', '/'))
    const claim = { epoch: '', seq: 0, expiresAt: Date.now() + 60_000 }
    const forged = [
      'cache-position=',
      `${own.slice(0, -1)}${own.endsWith('A') ? 'B' : 'A'}`,
      `cache-position=${formatPosition(claim, namespace, 'x'.repeat(32))}`,
      `cache-position=${formatPosition(claim, `${namespace}2`, SECRET)}`,
    ]
    assert.deepEqual(
      await statuses(client, '/', ...forged),
      forged.map(() => 'cookie'),
    )
  })

  it('is as if absent when it has expired', async (t) => {
    const { client, namespace } = await scene(t)
    const unknown = (expiresAt: number): string =>
      `cache-position=${formatPosition({ epoch: '', seq: 0, expiresAt }, namespace, SECRET)}`
    const [late, current] = [unknown(Date.now() - 2000), unknown(Date.now() + 60_000)]
    assert.deepEqual(await statuses(client, '/', late, late, current, late), [
      ...['uri-miss', 'hit', 'miss', 'hit'],
    ])
  })

  it('counts under an old secret while that is listed', async (t) => {
    const old = await scene(t)
    const own = cookieOf(await old.client.send('PUT', '/'))
    const { namespace } = old
    const newer = 'another secret of sufficient length'
    const both = await scene(t, { secret: [newer, SECRET] }, { namespace })
    assert.deepEqual(await statuses(both.client, '/', own, own), ['uri-miss', 'hit'])
    const signed = cookieOf(await both.client.send('PUT', '/'))
    const one = await scene(t, { secret: newer }, { namespace })
    assert.deepEqual(await statuses(one.client, '/', own, signed), ['cookie', 'uri-miss'])
  })

  it('lets a client be refused that asks only for what is stored, and be answered to HEAD', async (t) => {
    const { app, client, namespace } = await scene(
      t,
      {},
      {
        defaults: { ttl: '1h', requestDirectives: true },
      },
    )
    const claim = { epoch: '', seq: 0, expiresAt: Date.now() + 60_000 }
    const cookie = `cache-position=${formatPosition(claim, namespace, SECRET)}`
    await client.get('/')
    const refused = await client.get('/', { cookie, 'cache-control': 'only-if-cached' })
    assert.equal(refused.status, 504)
    assert.equal(statusOf(await client.head('/', { cookie })).fwd, 'miss')
    assert.equal(statusOf(await client.head('/')).hit, true)
    assert.equal(app.cache.stats().missesByReason.miss, 1)
  })
})

describe('readYourWrites', () => {
  const wrong: [options: unknown, message: RegExp][] = [
    [
      true,
      /readYourWrites must be an object such as \{ secret: .* because what clients carry is signed, got true/,
    ],
    [{}, /readYourWrites\.secret must be at least 32 characters/],
    [{ secret: 'hunter2' }, /^(?!.*hunter2).*secret must be at least 32 characters/],
    [{ secret: [] }, /secret must be/],
    [{ secret: [SECRET, ''] }, /secret must be/],
    [{ secret: SECRET, cookie: 'a b' }, /readYourWrites\.cookie must be a name/],
    [{ secret: SECRET, header: 'a:b' }, /readYourWrites\.header must be a name/],
    [
      { secret: SECRET, header: 'a', cookie: 'b' },
      /cookie must be left out when `header` is given/,
    ],
    [{ secret: SECRET, maxWaitMs: 0 }, /readYourWrites\.maxWaitMs must be a whole number/],
    [{ secret: SECRET, maxAge: 1 }, /readYourWrites\.maxAge is not an option/],
  ]
  for (const [readYourWrites, message] of wrong) {
    it(`refuses ${JSON.stringify(readYourWrites)}`, async () => {
      const app = Fastify()
      const options = { readYourWrites } as ResponseCacheOptions
      await assert.rejects(async () => app.register(responseCache, options), { message })
    })
  }
})

describe('durability', () => {
  const redis = 'redis://127.0.0.1:1'
  const wrong: [options: object, message: RegExp][] = [
    [{ durability: { replicas: 1 } }, /durability must be left out without redis/],
    [{ redis, durability: {} }, /durability\.replicas must be how many replicas/],
    [{ redis, durability: { replicas: 0 } }, /durability\.replicas must be a whole number/],
    [{ redis, durability: { replicas: 1, timeoutMs: 0 } }, /durability\.timeoutMs must be a whole/],
  ]
  for (const [options, message] of wrong) {
    it(`refuses ${JSON.stringify(options)}`, async () => {
      const app = Fastify()
      const registered = async (): Promise<void> => {
        await app.register(responseCache, { namespace: 'shop', ...options })
      }
      await assert.rejects(registered, { message })
    })
  }
})
