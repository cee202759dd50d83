import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'

import responseCache, { type Explanation, type ResponseCacheOptions } from '../../src/index.ts'
import { PATIENCE_MS } from '../support/app.ts'
import { startRedis } from '../support/redis.ts'

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS
  while (!(await condition())) assert.ok(Date.now() < giveUpAt, 'it did not come true')
}

async function build(
  t: TestContext,
  declare: (app: FastifyInstance) => unknown,
  cache: ResponseCacheOptions = {},
  fastify: FastifyServerOptions = {},
): Promise<FastifyInstance> {
  const app = Fastify(fastify)
  t.after(() => app.close())
  await app.register(responseCache, { defaults: { ttl: '1m' }, ...cache })
  await declare(app)
  await app.ready()
  return app
}

const HOST = { host: 'shop.example' }

/** What a look must leave as it was. */
function traces(app: FastifyInstance): unknown {
  const { hits, misses, bypassed, notStored, memory, failures } = app.cache.stats()
  return { hits, misses, bypassed, notStored, memory, failures }
}

function decisionOf({ decision }: Explanation): unknown[] {
  return [decision.action, decision.fwd ?? decision.reason ?? decision.tier]
}

describe('explain()', () => {
  it('tells a miss from a hit under the key that requests use, and runs neither hook nor handler', async (t) => {
    let runs = 0
    const app = await build(t, (app) => {
      app.addHook('onRequest', async () => void runs++)
      app.addHook('onResponse', async () => void runs++)
      const config = { cache: { tags: ['list'], vary: { query: { ignore: ['utm_*'] } } } }
      app.get('/list/:id', { config }, async () => {
        runs++
        return 'text'
      })
    })
    const asked = { url: '/list/1?b=2&a=1&utm_source=x', headers: HOST }
    const before = traces(app)
    const miss = await app.cache.explain(asked)
    assert.deepEqual(decisionOf(miss), ['forward', 'uri-miss'])
    assert.equal(runs, 0)
    assert.deepEqual(traces(app), before)
    assert.equal(miss.route, '/list/:id')
    assert.equal(miss.policy!.ttl, 60)
    assert.deepEqual(miss.key!.query, {
      counted: ['a=1', 'b=2'],
      ignored: ['utm_source'],
      asText: false,
    })
    assert.deepEqual(miss.stored, [])
    assert.deepEqual(
      miss.tags.map(({ kind, name }) => `${kind} ${name}`).filter((tag) => !tag.startsWith('url')),
      ['route /list/:id', 'path /list/1', 'tag list'],
    )
    await app.inject(asked)
    const counted = traces(app)
    const hit = await app.cache.explain({ url: 'http://shop.example/list/1?a=1&b=2' })
    assert.deepEqual(decisionOf(hit), ['hit', 'memory'])
    assert.equal(hit.key!.name, miss.key!.name)
    assert.deepEqual(
      hit.stored.map(({ tier, state, status }) => [tier, state, status]),
      [['memory', 'fresh', 200]],
    )
    assert.ok(hit.freshness!.ttl > 0 && hit.freshness!.ttl <= 60)
    assert.deepEqual(decisionOf(await app.cache.explain({ url: asked.url })), [
      'forward',
      'uri-miss',
    ])
    assert.deepEqual(decisionOf(await app.cache.explain({ ...asked, method: 'head' })), [
      'hit',
      'memory',
    ])
    assert.deepEqual(traces(app), counted)
    assert.match(hit.text, /^GET \/list\/1\?a=1&b=2\nhit \(memory\): /)
    assert.match(hit.text, /Tag tag list: never invalidated/)
    // What was looked at is there for requests as before, and requests are made as before.
    assert.match((await app.inject(asked)).headers['cache-status'] as string, /; hit/)
  })

  it('names the tag, and its position, that made a stored response unusable', async (t) => {
    const app = await build(t, (app) =>
      app.get('/a', { config: { cache: { tags: ['one', 'two'] } } }, async () => 'a'),
    )
    const asked = { url: '/a', headers: HOST }
    await app.inject(asked)
    await app.cache.invalidateTags(['two'])
    const { decision, tags, stored, text } = await app.cache.explain(asked)
    assert.deepEqual([decision.action, decision.fwd], ['forward', 'stale'])
    assert.match(decision.why, /invalidated: tag two, at position 1 /)
    assert.match(decision.change!, /soft/)
    assert.deepEqual(
      tags.filter(({ kind }) => kind === 'tag'),
      [
        { kind: 'tag', name: 'one', lastInvalidated: 0, verdict: 'valid' },
        { kind: 'tag', name: 'two', lastInvalidated: 1, verdict: 'expired' },
      ],
    )
    assert.deepEqual(
      stored.map(({ state }) => state),
      ['expired'],
    )
    assert.match(text, /Tag tag two: last invalidated at 1, so it is expired/)
    await app.cache.invalidateRoute('/a', { mode: 'purge' })
    const purged = await app.cache.explain(asked)
    assert.match(purged.decision.why, /route \/a, at position 2/)
    assert.equal(app.cache.stats().memory!.entries, 1, 'looking removes nothing')
  })

  it('says why a request goes around the cache, and which option changes it', async (t) => {
    const app = await build(t, (app) => {
      app.get('/plain', { config: { cache: true } }, async () => 'a')
      const by = (request: { user?: { id: string } }): string | undefined => request.user?.id
      app.get('/own', { config: { cache: { vary: { by: by as never } } } }, async () => 'a')
      const broken = (): never => {
        throw new Error('no')
      }
      app.get('/broken', { config: { cache: { vary: { by: broken } } } }, async () => 'a')
      app.get('/around', { config: { cache: { bypass: () => true } } }, async () => 'a')
    })
    const explain = app.cache.explain.bind(app.cache)
    const authorization = 'Bearer geheim'
    const secret = await explain({ url: '/plain', headers: { Authorization: authorization } })
    assert.deepEqual(decisionOf(secret), ['bypass', 'authorization'])
    assert.match(secret.decision.change!, /public: true.*vary\.by.*vary\.headers/)
    const cookie = await explain({ url: '/plain', headers: { cookie: 'sid=geheim' } })
    assert.deepEqual(decisionOf(cookie), ['bypass', 'cookie'])
    assert.match(cookie.decision.change!, /vary\.cookies/)
    const cases: [Parameters<typeof explain>[0], string][] = [
      [{ url: '/plain', user: { id: '1' } }, 'user'],
      [{ url: '/plain', session: { cart: 1 } }, 'session'],
      [{ url: '/plain', headers: { 'content-length': '5' } }, 'request-body'],
      [{ url: '/plain', headers: { 'if-match': '"a"' } }, 'precondition'],
      [{ url: '/broken' }, 'vary-by-failed'],
      [{ url: '/around' }, 'option'],
    ]
    for (const [target, reason] of cases) {
      const { decision } = await explain(target)
      assert.deepEqual([decision.action, decision.reason], ['bypass', reason])
    }
    const own = await explain({ url: '/own', headers: { authorization }, user: { id: 'geheim' } })
    assert.equal(own.decision.action, 'forward')
    assert.match(own.key!.vary[0]!.value!, /^sha256 .{8}…, 6 characters$/)
    for (const told of [secret, cookie, own]) assert.doesNotMatch(JSON.stringify(told), /geheim/)
    assert.deepEqual(app.cache.stats().failures, {}, 'trouble of a look is told to nobody')
    assert.equal(app.cache.stats().bypassed, 0)
  })

  it('tells why answers of the route were not stored, the most frequent reason first', async (t) => {
    const app = await build(t, (app) =>
      app.get('/a/:id', { config: { cache: true } }, async (request, reply) => {
        if ((request.params as { id: string }).id === 'none') return reply.code(404).send('none')
        return reply.header('set-cookie', 'a=1').send('a')
      }),
    )
    for (const url of ['/a/none', '/a/1', '/a/2']) await app.inject(url)
    await app.inject({ url: '/a/1', headers: { cookie: 'a=1' } })
    const { notStored, bypassed, text } = await app.cache.explain({ url: '/a/1' })
    assert.deepEqual(
      notStored.map(({ reason, count }) => [reason, count]),
      [
        ['set-cookie', 2],
        ['status', 1],
      ],
    )
    assert.match(notStored[1]!.change!, /statuses/)
    assert.deepEqual(
      bypassed.map(({ reason, count }) => [reason, count]),
      [['cookie', 1]],
    )
    assert.match(text, /not stored, 2 times set-cookie: /)
  })

  it('finds the variant of the request, and names the fields that tell variants apart', async (t) => {
    const app = await build(t, (app) =>
      app.get('/a', { config: { cache: { vary: { headers: ['x-tenant'] } } } }, (_, reply) => {
        void reply.header('vary', 'accept-language').send('a')
      }),
    )
    const headers = { ...HOST, 'accept-language': 'de', 'x-tenant': 't1' }
    await app.inject({ url: '/a', headers })
    const hit = await app.cache.explain({ url: '/a', headers })
    assert.deepEqual(decisionOf(hit), ['hit', 'memory'])
    assert.deepEqual(hit.key!.vary, [
      { from: 'headers', name: 'x-tenant', value: 't1' },
      { from: 'response', name: 'accept-language', value: 'de' },
    ])
    const other = await app.cache.explain({
      url: '/a',
      headers: { ...headers, 'accept-language': 'fr' },
    })
    assert.deepEqual(decisionOf(other), ['forward', 'vary-miss'])
  })

  it("honours what the client's Cache-Control asks for, and stale windows", async (t) => {
    const app = await build(t, (app) => {
      const cache = { requestDirectives: true, staleWhileRevalidate: 60 }
      app.get('/a', { config: { cache } }, async () => 'a')
    })
    const ask = (field: string) => ({ url: '/a', headers: { ...HOST, 'cache-control': field } })
    assert.deepEqual(decisionOf(await app.cache.explain(ask('only-if-cached'))), [
      'only-if-cached',
      undefined,
    ])
    await app.inject(ask('max-age=60'))
    assert.deepEqual(decisionOf(await app.cache.explain(ask('no-cache'))), ['forward', 'request'])
    await app.cache.invalidateUrl('/a', { mode: 'soft' })
    const stale = await app.cache.explain({ url: '/a', headers: HOST })
    assert.deepEqual(decisionOf(stale), ['stale', 'memory'])
    assert.ok(stale.freshness!.staleWhileRevalidate > 60)
  })

  it('takes the route, host and URL as router, trusted proxies and rewriteUrl make them', async (t) => {
    const app = await build(
      t,
      (app) => {
        app.decorateRequest('tenant', 'none')
        const by = (request: object): string => (request as { tenant: string }).tenant
        app.get('/v', { config: { cache: { vary: { by } } } }, async () => 'any host')
        const constraints = { host: 'b.example' }
        app.get('/v', { constraints, config: { cache: { ttl: 5 } } }, async () => 'b')
        app.get('/off', async () => 'not cached')
        app.post('/post', async () => 'not cached')
      },
      {},
      { trustProxy: true, rewriteUrl: (raw) => raw.url!.replace(/^\/api/, '') },
    )
    const { policy, key, route } = await app.cache.explain({
      url: 'https://B.example/api/v',
      headers: { 'x-forwarded-host': 'c.example' },
    })
    assert.equal(policy?.ttl ?? route, 60)
    assert.equal(key!.vary[0]!.value!.endsWith('4 characters'), true, 'decorators are there')
    assert.deepEqual([key!.host, key!.protocol, key!.path], ['c.example', 'https', '/v'])
    assert.equal(key!.originalUrl, '/api/v')
    const constrained = await app.cache.explain({ url: 'http://b.example/v' })
    assert.equal(constrained.policy!.ttl, 5)
    const without = await app.cache.explain({ url: '/off' })
    assert.deepEqual([without.decision.action, without.route], ['uncached', '/off'])
    assert.match(without.decision.change!, /config/)
    const none = await app.cache.explain({ url: '/none' })
    assert.deepEqual([none.decision.action, none.route], ['uncached', undefined])
    const post = await app.cache.explain({ url: '/post', method: 'POST' })
    assert.equal(post.decision.action, 'uncached')
  })

  it('explains the request at hand', async (t) => {
    const told: Explanation[] = []
    const app = await build(t, (app) => {
      app.addHook('onResponse', async (request) => {
        told.push(await app.cache.explain(request))
      })
      app.get('/a', { config: { cache: true } }, async () => 'a')
    })
    await app.inject({ url: '/a?b=1', headers: HOST })
    assert.deepEqual(told.map(decisionOf), [['hit', 'memory']])
    for (const wrong of [undefined, null, 5, {}, { url: '' }, { url: '/', method: 5 }]) {
      await assert.rejects(app.cache.explain(wrong as never), {
        code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
      })
    }
  })

  it('finds in Redis what another process stored, and does not take it into memory', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const declare = (app: FastifyInstance): unknown =>
      app.get('/a', { config: { cache: { consistency: 'strict' } } }, async () => 'a')
    const options = { redis: server.url, namespace: 'shop' }
    const one = await build(t, declare, options)
    const two = await build(t, declare, options)
    const asked = { url: '/a', headers: HOST }
    await one.inject(asked)
    await eventually(async () => {
      const { decision } = await two.cache.explain(asked)
      return decision.action === 'hit' && decision.tier === 'redis'
    })
    const { stored, key, policy } = await two.cache.explain(asked)
    assert.deepEqual(
      stored.map(({ tier, state }) => [tier, state]),
      [['redis', 'fresh']],
    )
    assert.equal(policy!.consistency, 'strict')
    assert.equal(key!.namespace, 'shop')
    assert.equal(two.cache.stats().memory!.entries, 0)
    assert.deepEqual(
      (await one.cache.explain(asked)).stored.map(({ tier }) => tier),
      ['memory', 'redis'],
    )
  })

  it('lets nothing through to a handler whose constraint is asked asynchronously', async (t) => {
    let runs = 0
    const strategy = {
      name: 'secret',
      storage: () => {
        let handler: never
        return {
          get: () => handler,
          set: (_key: unknown, store: never) => void (handler = store),
        }
      },
      deriveConstraint: (
        _request: unknown,
        _context: unknown,
        done?: (e: null, v: string) => void,
      ) => void setImmediate(() => done!(null, 'x')),
      validate: () => undefined,
    }
    const app = Fastify({ constraints: { secret: strategy as never } })
    t.after(() => app.close())
    await app.register(responseCache, { defaults: { ttl: '1m' } })
    app.get(
      '/a',
      { constraints: { secret: 'x' }, config: { cache: true } },
      async () => `${++runs}`,
    )
    assert.equal((await app.inject('/a')).body, '1')
    const { decision } = await app.cache.explain({ url: '/a' })
    assert.equal(decision.action, 'uncached')
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    assert.equal(runs, 1)
  })
})
