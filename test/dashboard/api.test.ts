import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { FastifyInstance } from 'fastify'

import type {
  Entry,
  Explanation,
  Problem,
  RouteState,
  State,
} from '../../src/dashboard/messages.ts'
import responseCache from '../../src/index.ts'
import type { Answer, Client } from '../support/app.ts'
import { startRedis } from '../support/redis.ts'
import { type DashboardSetup, PREFIX, ask, startDashboard } from './watching.ts'

function read<Told>({ status, text }: Answer): Told {
  assert.equal(status, 200, text)
  return JSON.parse(text) as Told
}

async function get<Told>(client: Client, path: string): Promise<Told> {
  return read(await client.get(`${PREFIX}/api/${path}`))
}

function problem({ status, text, headers }: Answer): Problem {
  assert.equal(headers['content-type'], 'application/json; charset=utf-8')
  const told = JSON.parse(text) as Problem
  assert.deepEqual(Object.keys(told), ['statusCode', 'error', 'message'])
  assert.equal(told.statusCode, status)
  return told
}

const addProducts = (app: FastifyInstance): void => {
  app.get(
    '/products/:id',
    { config: { cache: { tags: ['products'] } } },
    async (request, reply) => {
      const { id } = request.params as { id: string }
      reply.header('x-shop', 'one')
      return { id }
    },
  )
}

describe('What the dashboard shows', () => {
  it('is how the cache stands: totals, and each route', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    for (let time = 0; time < 3; time++) await client.get('/products/1')
    const state = await get<State>(client, 'state')
    assert.deepEqual([state.caches, state.cache, state.readOnly], [['cache'], 'cache', false])
    assert.match(state.version, /^\d+\.\d+\.\d+/)
    assert.equal(state.process.pid, process.pid)
    assert.equal(state.process.node, process.version)
    assert.ok(state.process.startedAt <= Date.now() && state.at <= Date.now())
    const { stats } = state
    assert.deepEqual([stats.hits, stats.misses, stats.namespace], [2, 1, 'memory'])
    assert.equal(stats.latency.miss.count, 1)
    assert.deepEqual(Object.keys(stats.routes), ['/products/:id'])
    const { missSeconds, savedMs, ...counted } = stats.routes['/products/:id']!
    assert.deepEqual(counted, {
      ...{ hits: 2, stale: 0, collapsed: 0, misses: 1, bypassed: 0 },
      ...{ stored: 1, notStored: 0, missCount: 1 },
    })
    assert.ok(missSeconds > 0 && savedMs >= 0)
    const route = await get<RouteState>(client, 'route?route=/products/:id')
    assert.deepEqual(route.missesByReason, { 'uri-miss': 1 })
    assert.equal(route.ageAtHit.count, 2)
    assert.equal(route.coalescing, 'on')
  })

  it('is why a request would be answered as it would be, on the host that is asked', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    const before = read<Explanation>(await ask(client, 'explain', { url: '/products/1' }))
    assert.deepEqual([before.decision.action, before.decision.fwd], ['forward', 'uri-miss'])
    await client.get('/products/1')
    for (const url of ['/products/1', 'products/1', `${client.origin}/products/1`]) {
      const told = read<Explanation>(await ask(client, 'explain', { url }))
      assert.deepEqual([told.route, told.decision.action], ['/products/:id', 'hit'], url)
    }
    const other = { url: '/products/1', headers: { host: 'other.example' } }
    const elsewhere = read<Explanation>(await ask(client, 'explain', other))
    assert.deepEqual([elsewhere.key?.host, elsewhere.decision.action], ['other.example', 'forward'])
    const headers = { authorization: 'Bearer x' }
    const guarded = read<Explanation>(await ask(client, 'explain', { url: '/products/1', headers }))
    assert.deepEqual(guarded.decision.reason, 'authorization')
    const post = { method: 'POST', url: '/products/1' }
    assert.equal(read<Explanation>(await ask(client, 'explain', post)).decision.action, 'uncached')
  })

  it('is what is stored, and its body only where that is asked for', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    assert.deepEqual(read(await ask(client, 'entry', { url: '/products/1' })), [])
    await client.get('/products/1')
    const [entry, ...others] = read<Entry[]>(await ask(client, 'entry', { url: '/products/1' }))
    assert.equal(others.length, 0)
    assert.deepEqual(entry!.headers, [
      ['x-shop', 'one'],
      ['content-type', 'application/json; charset=utf-8'],
    ])
    const { tier, state, status, tags, bytes } = entry!
    assert.deepEqual([tier, state, status, tags, bytes], ['memory', 'fresh', 200, ['products'], 10])
    assert.equal('body' in entry!, false)
    const asked = { url: '/products/1', body: true }
    const [whole] = read<Entry[]>(await ask(client, 'entry', asked))
    assert.deepEqual(whole!.body, { text: '{"id":"1"}', encoding: 'utf8', truncated: false })
  })

  it('is what memory has of a path on other hosts, where this host has nothing', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    for (const host of ['a.example', 'b.example']) await client.get('/products/1', { host })
    assert.equal(read<Entry[]>(await ask(client, 'entry', { url: '/products/1' })).length, 2)
    const a = { url: 'http://a.example/products/1' }
    assert.equal(read<Entry[]>(await ask(client, 'entry', a)).length, 1)
    // Whoever says more means no other.
    const c = { url: 'http://c.example/products/1' }
    const named = { url: '/products/1', headers: { host: 'c.example' } }
    for (const none of [c, named]) assert.deepEqual(read(await ask(client, 'entry', none)), [])
  })

  it('is the right variant, in both tiers', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const client = await startDashboard(t, {
      cache: { redis: redis.url, namespace: 'shop' },
      build: (app) =>
        app.get('/hello', { config: { cache: true } }, async (request, reply) => {
          const [language] = (request.headers['accept-language'] ?? 'en').split(',')
          return reply.header('vary', 'accept-language').header('content-language', language).send()
        }),
    })
    for (const language of ['de', 'fr']) await client.get('/hello', { 'accept-language': language })
    const asked = { url: '/hello', headers: { 'accept-language': 'fr' } }
    const entries = read<Entry[]>(await ask(client, 'entry', asked))
    assert.deepEqual(
      entries.map(({ tier, headers }) => [tier, new Map(headers).get('content-language')]),
      [
        ['memory', 'fr'],
        ['redis', 'fr'],
      ],
    )
  })

  it('is not the values of cookies, where a route stores them', async (t) => {
    const config = { cache: { ttl: 'headers', setCookie: 'store' } } as const
    const client = await startDashboard(t, {
      build: (app) =>
        app.get('/login', { config }, async (_request, reply) => {
          reply
            .header('cache-control', 'public, s-maxage=60')
            .header('set-cookie', ['a=1; Path=/', 'b=2'])
          return 'text'
        }),
    })
    await client.get('/login')
    const [entry] = read<Entry[]>(await ask(client, 'entry', { url: '/login' }))
    const cookies = entry!.headers.filter(([name]) => name === 'set-cookie')
    assert.deepEqual(cookies, [
      ['set-cookie', 'a=…'],
      ['set-cookie', 'b=…'],
    ])
  })

  it('is at most 64 KiB of a body, as text where it is text', async (t) => {
    const bodies: Record<string, string | Buffer> = {
      long: 'ä'.repeat(40_000),
      odd: `x${'ä'.repeat(40_000)}`,
      bytes: Buffer.from([0xff, 0xfe, 0, 1]),
      zero: Buffer.from('a\0b'),
      text: Buffer.from('grüß'),
      many: Buffer.alloc(70_000, 0xff),
    }
    const client = await startDashboard(t, {
      build: (app) =>
        app.get('/:name', { config: { cache: true } }, async (request, reply) => {
          const { name } = request.params as { name: string }
          return reply.type('application/octet-stream').send(bodies[name])
        }),
    })
    const bodyOf = async (name: string): Promise<NonNullable<Entry['body']>> => {
      await client.get(`/${name}`)
      const [entry] = read<Entry[]>(await ask(client, 'entry', { url: `/${name}`, body: true }))
      return entry!.body!
    }
    const utf8 = (text: string, truncated: boolean): object => ({
      text,
      encoding: 'utf8',
      truncated,
    })
    assert.deepEqual(await bodyOf('long'), utf8('ä'.repeat(32_768), true))
    assert.deepEqual(await bodyOf('odd'), utf8(`x${'ä'.repeat(32_767)}`, true))
    assert.deepEqual(await bodyOf('text'), utf8('grüß', false))
    const base64 = { encoding: 'base64', truncated: false }
    assert.deepEqual(await bodyOf('bytes'), { ...base64, text: '//4AAQ==' })
    assert.deepEqual(await bodyOf('zero'), { ...base64, text: 'YQBi' })
    const many = await bodyOf('many')
    assert.deepEqual([many.encoding, many.truncated], ['base64', true])
    assert.equal(Buffer.from(many.text, 'base64').length, 65_536)
  })
})

describe('An invalidation from the dashboard', () => {
  const WAYS: [by: string, value: string, others: number][] = [
    ['tag', 'products', 0],
    ['url', '/products/1', 1],
    ['route', '/products/:id', 0],
    ['pattern', '/products/*', 0],
  ]
  for (const [by, value, hitsOfOther] of WAYS) {
    it(`by ${by} makes the next read a miss`, async (t) => {
      const client = await startDashboard(t, { build: addProducts })
      for (const id of ['1', '2']) await client.get(`/products/${id}`)
      assert.deepEqual(read(await ask(client, 'invalidate', { by, value })), { seq: 1 })
      assert.match(String((await client.get('/products/1')).headers['cache-status']), /fwd=/)
      const other = String((await client.get('/products/2')).headers['cache-status'])
      assert.equal(/; hit/.test(other) ? 1 : 0, hitsOfOther)
    })
  }

  it('leaves what its mode leaves', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    const stateAfter = async (mode: string): Promise<string | undefined> => {
      await client.get('/products/1')
      read(await ask(client, 'invalidate', { by: 'tag', value: 'products', mode }))
      return read<Entry[]>(await ask(client, 'entry', { url: '/products/1' }))[0]?.state
    }
    assert.equal(await stateAfter('soft'), 'stale')
    assert.equal(await stateAfter('expire'), 'expired')
    assert.equal(await stateAfter('purge'), 'unusable')
  })

  it('that Redis does not confirm is a problem that says so', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const client = await startDashboard(t, {
      cache: { redis: redis.url, namespace: 'shop', deadlineMs: 100 },
    })
    await redis.stop()
    const answer = await ask(client, 'invalidate', { by: 'tag', value: 'a' })
    assert.match(problem(answer).message, /is not confirmed by Redis/)
    assert.equal(answer.status, 503)
  })
})

describe('What is asked wrongly', () => {
  const WRONG: [question: string, body: unknown, complaint: RegExp][] = [
    ['explain', {}, /^body\.url is missing$/],
    ['explain', { url: 5 }, /^body\.url must be a non-empty string, got 5$/],
    ['explain', { url: '' }, /^body\.url must be a non-empty string/],
    ['explain', { url: '/a', headers: [] }, /^body\.headers must be an object of at most 100/],
    ['explain', { url: '/a', headers: 'a: b' }, /^body\.headers must be an object of at most 100/],
    ['explain', { url: '/a', headers: { a: 1 } }, /^body\.headers must be an object/],
    ['explain', { url: '/a', headers: { 'a b': '1' } }, /^body\.headers must be an object/],
    ['explain', { url: '/a', body: true }, /^body\.body is not an option; known are cache, method/],
    ['explain', [], /^body must be an object, got \[\]$/],
    ['explain', { url: '/a', cache: 'other' }, /^there is no cache 'other'; there are cache$/],
    ['entry', { url: '/a', body: 'yes' }, /^body\.body must be true or false, got 'yes'$/],
    ['preview', { by: 'tag' }, /^body\.value is missing$/],
    ['invalidate', { value: 'a' }, /^body\.by is missing$/],
    ['invalidate', { by: 'all', value: 'a' }, /^body\.by must be 'tag' or 'url' or 'route'/],
    ['invalidate', { by: 'tag', value: 'a', mode: 'gone' }, /^body\.mode must be 'expire' or/],
    ['invalidate', { by: 'tag', value: ['a'] }, /^body\.value must be a non-empty string/],
    ['invalidate', { by: 'pattern', value: '[' }, /has a \[ without \]/],
  ]
  it('is refused with a problem that names it', async (t) => {
    const client = await startDashboard(t)
    for (const [question, body, complaint] of WRONG) {
      const answer = await ask(client, question, body)
      const { error, message } = problem(answer)
      assert.deepEqual([answer.status, error], [400, 'Bad Request'], JSON.stringify(body))
      assert.match(message, complaint)
    }
    const fields = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`a${at}`, '']))
    assert.equal((await ask(client, 'explain', { url: '/a', headers: fields })).status, 400)
    const long = await ask(client, 'explain', { url: `/${'a'.repeat(17_000)}` })
    assert.equal(problem(long).statusCode, 413)
    for (const path of [
      'route?route=/none',
      'route',
      'state?cache=a',
      'state?x=1',
      'tags?q=a&q=b',
    ]) {
      const answer = await client.get(`${PREFIX}/api/${path}`)
      assert.equal(problem(answer).statusCode, 400, path)
    }
    const headers = { origin: client.origin, 'content-type': 'application/json' }
    for (const body of ['', '{', '{"__proto__":{}}', 'null']) {
      const answer = await client.send('POST', `${PREFIX}/api/explain`, { headers, body })
      assert.equal(problem(answer).statusCode, 400, body)
    }
  })
})

describe('What the application makes of its own answers', () => {
  const build: DashboardSetup['build'] = (app) => {
    app.setErrorHandler(async (_error, _request, reply) => reply.code(200).send('all is well'))
    app.setReplySerializer(() => 'nothing')
    app.setSerializerCompiler(() => () => 'nothing')
    app.setValidatorCompiler(() => () => ({ error: new Error('not valid') }))
    app.addContentTypeParser('text/plain', { parseAs: 'string' }, (_request, body, done) => {
      done(null, JSON.parse(String(body)))
    })
    app.addHook('preSerialization', async (_request, _reply, payload) => ({ data: payload }))
  }

  it('does not change what the dashboard says', async (t) => {
    const client = await startDashboard(t, { build })
    assert.equal((await get<State>(client, 'state')).cache, 'cache')
    assert.equal(read<Explanation>(await ask(client, 'explain', { url: '/a' })).url, '/a')
    assert.equal(problem(await ask(client, 'explain', {})).statusCode, 400)
    const plain = await ask(client, 'explain', { url: '/a' }, { 'content-type': 'text/plain' })
    assert.equal(problem(plain).statusCode, 415)
  })

  it('is not told what failed inside: that is in the log', async (t) => {
    const lines: string[] = []
    const thrown: unknown[] = [
      new Error('the password is 123'),
      'the password is 123',
      Object.assign(new Error('the password is 123'), { statusCode: 302 }),
      null,
    ]
    const client = await startDashboard(t, {
      fastify: { logger: { stream: { write: (line: string) => void lines.push(line) } } },
      options: {
        onRequest: async (request) => {
          throw thrown[Number(request.headers['x-which'])]
        },
      },
    })
    for (const which of thrown.keys()) {
      const answer = await client.get(`${PREFIX}/api/state`, { 'x-which': String(which) })
      assert.deepEqual(problem(answer), {
        statusCode: 500,
        error: 'Internal Server Error',
        message: 'It failed; the log says why.',
      })
    }
    assert.ok(lines.some((line) => line.includes('the dashboard failed') && line.includes('123')))
  })
})

describe('Several caches', () => {
  it('are shown and changed one by one', async (t) => {
    const client = await startDashboard(t, {
      options: (app) => ({
        unprotected: true,
        caches: { main: app.cache, pages: (app as unknown as { pages: typeof app.cache }).pages },
      }),
      build: async (app) => {
        await app.register(responseCache, { decorateAs: 'pages', defaults: { ttl: '1h' } })
        app.get('/main', { config: { cache: { tags: ['x'] } } }, () => 'main')
        app.get('/page', { config: { pages: { tags: ['x'] } } as never }, () => 'page')
      },
    })
    const hits = async (path: string): Promise<boolean> =>
      /; hit/.test(String((await client.get(path)).headers['cache-status']))
    for (const path of ['/main', '/page'])
      assert.deepEqual([await hits(path), await hits(path)], [false, true])
    const main = await get<State>(client, 'state')
    assert.deepEqual([main.caches, main.cache], [['main', 'pages'], 'main'])
    assert.deepEqual(Object.keys(main.stats.routes), ['/main'])
    const pages = await get<State>(client, 'state?cache=pages')
    assert.deepEqual([pages.cache, Object.keys(pages.stats.routes)], ['pages', ['/page']])
    const asked = { url: '/page', cache: 'pages' }
    assert.equal(read<Explanation>(await ask(client, 'explain', asked)).decision.action, 'hit')
    assert.equal(read<Entry[]>(await ask(client, 'entry', asked)).length, 1)
    await ask(client, 'invalidate', { by: 'tag', value: 'x', cache: 'pages' })
    assert.deepEqual([await hits('/main'), await hits('/page')], [true, false])
    assert.match(
      problem(await client.get(`${PREFIX}/api/state?cache=cache`)).message,
      /main, pages/,
    )
  })
})
