// What the handler set is replayed, what hooks and plugins make per request is made anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'

import { assertHit, assertStored, statusOf } from '../support/assert-status.ts'
import { lastingHeaders, start, startBoth } from '../support/app.ts'

test('a hit has the fields of the handler: lists, numbers, and names in any case', async (t) => {
  const { cached, plain } = await startBoth(t, (app) => {
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      void reply.headers({
        'X-Text': 'text',
        'x-number': 42,
        'x-zero': 0,
        'x-empty': '',
        link: ['</a>; rel=preload', '</b>; rel=preload'],
        etag: '"v1"',
        'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT',
        'cache-control': 'public, max-age=60',
        'content-language': 'de',
        'content-disposition': 'attachment; filename="a.txt"',
        'content-security-policy': "default-src 'self'",
        'access-control-allow-origin': '*',
        __proto__: 'x',
      })
      reply.raw.setHeader('X-Raw', ['1', '2'])
      return { page: 1 }
    })
  })
  const expected = await plain.get('/x')
  const miss = await cached.get('/x')
  assertStored(miss)
  const hit = await cached.get('/x')
  assertHit(hit)
  assert.deepEqual(lastingHeaders(miss), lastingHeaders(expected))
  assert.deepEqual(lastingHeaders(hit), lastingHeaders(expected))
  const links = hit.rawHeaders.filter(
    (_, index) => hit.rawHeaders[index - 1]?.toLowerCase() === 'link',
  )
  assert.deepEqual(links, ['</a>; rel=preload', '</b>; rel=preload'])
})

// Node writes a field in UTF-8 before a string, and in latin1 before a Buffer.
test('a field value beyond ASCII has the same bytes in a hit', async (t) => {
  const { cached, plain } = await startBoth(t, (app) => {
    for (const [path, body] of [
      ['/text', 'page'],
      ['/bytes', Buffer.from('page')],
    ] as const) {
      app.get(path, { config: { cache: true } }, (_request, reply) => {
        reply.header('x-text', 'grüße').send(body)
      })
    }
  })
  for (const path of ['/bytes', '/text']) {
    const expected = (await plain.get(path)).headers['x-text']
    assert.equal((await cached.get(path)).headers['x-text'], expected, path)
    assert.equal((await cached.get(path)).headers['x-text'], expected, path)
  }
})

test('fields that describe one connection or one request are not replayed', async (t) => {
  let run = 0
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async (request, reply) => {
      run++
      void reply.headers({
        date: 'Thu, 01 Jan 1970 00:00:00 GMT',
        age: '5000',
        'keep-alive': 'timeout=99',
        'proxy-authenticate': 'Basic',
        'request-id': request.id,
        'server-timing': 'db;dur=12',
        'x-request-id': `request ${run}`,
        'x-correlation-id': 'correlation',
        'x-response-time': '12ms',
        'x-ratelimit-remaining': '7',
        'ratelimit-limit': '10',
        ratelimit: 'limit=10',
        'x-kept': 'yes',
      })
      return 'page'
    })
  })
  const miss = await client.get('/x')
  assertStored(miss)
  assert.equal(miss.headers['x-request-id'], 'request 1', 'the request that fills gets all of it')
  const hit = await client.get('/x')
  assertHit(hit)
  assert.notEqual(hit.headers.date, 'Thu, 01 Jan 1970 00:00:00 GMT')
  assert.equal(hit.headers.age, '0')
  const left = Object.keys(lastingHeaders(hit)).sort()
  assert.deepEqual(left, ['content-length', 'content-type', 'x-kept'])
})

test('a field that Connection lists is not replayed', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      void reply.headers({ connection: 'close, X-Hop', 'x-hop': '1', 'x-end': '1' })
      return 'page'
    })
  })
  assert.equal((await client.get('/x')).headers['x-hop'], '1')
  const hit = await client.get('/x')
  assertHit(hit)
  assert.deepEqual([hit.headers['x-hop'], hit.headers['x-end']], [undefined, '1'])
})

test('what hooks set before, between and after is made anew, and the handler wins over it', async (t) => {
  let count = 0
  const { cached, plain } = await startBoth(t, (app) => {
    app.addHook('onRequest', async (request, reply) => {
      void reply.headers({
        'x-early': request.headers['x-who'],
        'x-changed': 'by the hook',
        'x-gone': 'hook',
      })
      reply.raw.setHeader('x-raw-early', String(request.headers['x-who']))
    })
    app.get('/x', {
      config: { cache: true },
      preHandler: async (request, reply) => {
        reply.header('x-guard', request.headers['x-who'])
      },
      onSend: async (request, reply) => {
        void reply.header('x-late', request.headers['x-who']).header('x-own', 'over the handler')
      },
      handler: async (_request, reply) => {
        count++
        void reply
          .header('x-changed', 'by the handler')
          .header('x-own', 'handler')
          .removeHeader('x-gone')
        return 'page'
      },
    })
  })
  for (const who of ['ann', 'bob', 'ann']) {
    const [answer, expected] = [
      await cached.get('/x', { 'x-who': who }),
      await plain.get('/x', { 'x-who': who }),
    ]
    assert.deepEqual(lastingHeaders(answer), lastingHeaders(expected), who)
    assert.equal(answer.headers['x-early'], who)
    assert.equal(answer.headers['x-changed'], 'by the handler')
    assert.equal(answer.headers['x-gone'], undefined)
  }
  assert.equal(count, 1 + 3, 'once with the cache')
})

for (const when of ['before', 'after'] as const) {
  test(`@fastify/cors registered ${when} the cache answers each origin for itself`, async (t) => {
    const register = (app: Parameters<Parameters<typeof start>[1]>[0]): unknown =>
      app.register(cors, { origin: ['https://a.example', 'https://b.example'], credentials: true })
    const { cached, plain } = await startBoth(
      t,
      async (app) => {
        if (when === 'after') await register(app)
        app.get('/x', { config: { cache: true } }, async () => ({ page: 1 }))
        app.get(
          '/varied',
          { config: { cache: { vary: { headers: ['x-segment'] } } } },
          async (_request, reply) => {
            void reply.header('vary', 'X-Segment')
            return 'page'
          },
        )
        app.get(
          '/appended',
          { config: { cache: { vary: { headers: ['x-segment'] } } } },
          async (_request, reply) => {
            void reply.header('vary', [reply.getHeader('vary'), 'X-Segment'].join(', '))
            return 'page'
          },
        )
      },
      when === 'before' ? { before: register } : {},
    )
    assert.equal(
      (await plain.get('/appended', { origin: 'https://a.example' })).headers.vary,
      'Origin, X-Segment',
    )
    const origins = ['https://a.example', 'https://b.example', 'https://evil.example', undefined]
    for (const path of ['/x', '/varied', '/appended']) {
      for (const origin of [...origins, ...origins]) {
        const headers = origin === undefined ? {} : { origin }
        const [answer, expected] = [await cached.get(path, headers), await plain.get(path, headers)]
        for (const name of ['access-control-allow-origin', 'access-control-allow-credentials']) {
          assert.equal(answer.headers[name], expected.headers[name], `${name} for ${origin}`)
        }
        // A handler that writes over the Vary of a hook takes nothing away from hits.
        for (const name of members(expected.headers.vary)) {
          assert.ok(members(answer.headers.vary).includes(name), `Vary: ${answer.headers.vary}`)
        }
      }
      assertHit(await cached.get(path, { origin: 'https://b.example' }))
    }
  })

  test(`@fastify/helmet registered ${when} the cache sends its fields with hits`, async (t) => {
    const { cached, plain } = await startBoth(
      t,
      async (app) => {
        if (when === 'after') await app.register(helmet)
        app.get('/x', { config: { cache: true } }, async () => 'page')
      },
      when === 'before' ? { before: (app) => app.register(helmet) } : {},
    )
    const expected = await plain.get('/x')
    assertStored(await cached.get('/x'))
    const hit = await cached.get('/x')
    assertHit(hit)
    assert.ok(expected.headers['content-security-policy'])
    assert.deepEqual(lastingHeaders(hit), lastingHeaders(expected))
  })
}

function members(vary: string | undefined): string[] {
  return (vary ?? '').toLowerCase().split(/ *, */).sort()
}

test('a list of field values that a hook began and the handler went on with is replayed whole', async (t) => {
  const { cached, plain } = await startBoth(t, (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.raw.setHeader('link', ['</a>; rel=preload'])
      void reply.header('x-list', ['a'])
    })
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      reply.raw.appendHeader('link', '</b>; rel=preload')
      ;(reply.getHeader('x-list') as unknown as string[]).push('b')
      return 'page'
    })
  })
  const expected = lastingHeaders(await plain.get('/x'))
  assert.deepEqual(
    [expected.link, expected['x-list']],
    ['</a>; rel=preload, </b>; rel=preload', 'a, b'],
  )
  for (const assertAs of [assertStored, assertHit, assertHit]) {
    const answer = await cached.get('/x')
    assert.deepEqual(lastingHeaders(answer), expected)
    assertAs(answer)
  }
})

test('a cookie that a hook sets on hits only reaches the client and nobody after', async (t) => {
  const client = await start(
    t,
    (app) => {
      app.addHook('onSend', async (request, reply) => {
        if (request.headers['x-who'] !== undefined)
          reply.setCookie('who', String(request.headers['x-who']))
      })
      app.get('/x', { config: { cache: true } }, async () => 'page')
    },
    { before: (app) => app.register(cookie) },
  )
  assertStored(await client.get('/x'))
  const hit = await client.get('/x', { 'x-who': 'ann' })
  assertHit(hit)
  assert.deepEqual(hit.headers['set-cookie'], ['who=ann; SameSite=Lax'])
  const next = await client.get('/x')
  assertHit(next)
  assert.equal(next.headers['set-cookie'], undefined)
})

test('an upstream Cache-Status that the handler forwards stays in the list', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async (_request, reply) => {
      void reply.header('cache-status', 'Upstream; hit; ttl=30')
      return 'page'
    })
  })
  const miss = await client.get('/x')
  // RFC 9211 §2: a cache appends its own member, the one nearest to the client comes last.
  assert.equal(miss.headers['cache-status'], 'Upstream; hit; ttl=30, fastify; fwd=uri-miss; stored')
  assert.deepEqual(Object.keys(statusOf(await client.get('/x'))), ['hit', 'ttl'])
})
