// Hooks that change the payload on its way out do so once per response, on a miss and a hit alike,
// and what they make of it for one client is not what others get.
import assert from 'node:assert/strict'
import { Readable, Transform } from 'node:stream'
import { test } from 'node:test'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'

import compress from '@fastify/compress'
import etag from '@fastify/etag'
import type { FastifyInstance } from 'fastify'

import { assertHit, assertStored, statusOf } from '../support/assert-status.ts'
import { type Answer, type Client, lastingHeaders, start, startBoth } from '../support/app.ts'
import { wireTo } from '../support/wire.ts'

const LONG = 'a page that is worth compressing, '.repeat(100)

function decoded({ headers, body }: Answer): string {
  const coding = headers['content-encoding']
  if (coding === 'gzip') return gunzipSync(body).toString()
  if (coding === 'br') return brotliDecompressSync(body).toString()
  assert.equal(coding, undefined)
  return body.toString()
}

function quoted(): Transform {
  return new Transform({
    construct(done) {
      this.push('<')
      done()
    },
    transform: (chunk, _encoding, done) => done(null, chunk),
    flush: (done) => done(null, '>'),
  })
}

const KINDS: [string, unknown][] = [
  ['/text', LONG],
  ['/object', { text: LONG }],
  ['/bytes', Buffer.from(LONG)],
]

function declare(app: FastifyInstance, count: () => void): void {
  for (const [path, payload] of KINDS) {
    app.get(path, { config: { cache: true } }, (_request, reply) => {
      count()
      if (path === '/bytes') reply.type('text/html')
      reply.send(payload)
    })
  }
}

async function startWith(
  t: Parameters<typeof start>[0],
  when: 'before' | 'after',
  register: (app: FastifyInstance) => unknown,
): Promise<{ cached: Client; plain: Client; runs: () => number }> {
  let runs = 0
  const { cached, plain } = await startBoth(
    t,
    async (app) => {
      if (when === 'after') await register(app)
      declare(app, () => runs++)
    },
    when === 'before' ? { before: register } : {},
  )
  return { cached, plain, runs: () => runs }
}

for (const when of ['before', 'after'] as const) {
  test(`@fastify/compress registered ${when} the cache encodes each response for its client`, async (t) => {
    const { cached, plain, runs } = await startWith(t, when, (app) =>
      app.register(compress, { threshold: 100 }),
    )
    for (const first of ['gzip', 'identity', 'br']) {
      for (const [path] of KINDS) {
        for (const accept of [first, 'gzip', 'identity', 'br', 'gzip']) {
          const headers = { 'accept-encoding': accept }
          const [answer, expected] = [
            await cached.get(path, headers),
            await plain.get(path, headers),
          ]
          assert.equal(decoded(answer), decoded(expected), `${path} for ${accept}`)
          for (const name of ['content-encoding', 'content-type', 'vary'] as const) {
            assert.equal(
              answer.headers[name],
              expected.headers[name],
              `${name} of ${path} for ${accept}`,
            )
          }
        }
        assertHit(await cached.get(path, { 'accept-encoding': 'gzip' }))
      }
    }
    const uncached = 3 * 5 * KINDS.length
    assert.equal(runs() - uncached, KINDS.length, 'each was made once, and stored once')
  })

  test(`@fastify/etag registered ${when} the cache gives hits the same tag, and 304 to who has it`, async (t) => {
    const { cached, plain, runs } = await startWith(t, when, (app) => app.register(etag))
    for (const [path] of KINDS) {
      const expected = await plain.get(path)
      const tag = String(expected.headers.etag)
      const before = runs()
      // The request that fills the cache is answered with 304, and still the page is stored.
      const first = await cached.get(path, { 'if-none-match': tag })
      assert.deepEqual([first.status, first.text, first.headers.etag], [304, '', tag])
      assertStored(first)
      const page = await cached.get(path)
      assertHit(page)
      assert.deepEqual([page.status, page.text], [200, expected.text])
      assert.deepEqual(lastingHeaders(page), lastingHeaders(expected))
      const again = await cached.get(path, { 'if-none-match': tag })
      assertHit(again)
      assert.deepEqual([again.status, again.text], [304, ''])
      const other = await cached.get(path, { 'if-none-match': '"other"' })
      assert.deepEqual([other.status, other.text], [200, expected.text])
      assert.equal(runs() - before, 1)
    }
  })

  test(`@fastify/compress and @fastify/etag registered ${when} the cache work together`, async (t) => {
    const { cached, plain } = await startWith(t, when, async (app) => {
      await app.register(etag)
      await app.register(compress, { threshold: 100 })
    })
    for (const accept of ['gzip', 'identity', 'gzip']) {
      const headers = { 'accept-encoding': accept }
      const [answer, expected] = [
        await cached.get('/text', headers),
        await plain.get('/text', headers),
      ]
      assert.equal(decoded(answer), LONG)
      assert.deepEqual(lastingHeaders(answer), lastingHeaders(expected))
    }
  })
}

test('what the handler encodes with reply.compress is stored for clients that accept the same', async (t) => {
  const runs: Record<string, number> = {}
  const client = await start(
    t,
    (app) => {
      app.get('/x', { config: { cache: true } }, (request, reply) => {
        const accept = String(request.headers['accept-encoding'])
        runs[accept] = (runs[accept] ?? 0) + 1
        reply.type('text/plain').compress(LONG)
      })
    },
    { before: (app) => app.register(compress, { global: false, threshold: 100 }) },
  )
  for (const accept of ['gzip', 'br', 'gzip', 'identity', 'br', 'identity']) {
    const answer = await client.get('/x', { 'accept-encoding': accept })
    const coding = accept === 'identity' ? undefined : accept
    assert.equal(answer.headers['content-encoding'], coding)
    assert.equal(decoded(answer), LONG)
  }
  assert.ok(runs['gzip']! <= 2 && runs['br']! <= 2)
})

interface Transformation {
  title: string
  hook: (payload: unknown) => unknown
}

// Each as people write it: for the type of payload that their routes have without a cache.
const TRANSFORMATIONS: Transformation[] = [
  { title: 'joins text to it', hook: (payload) => `${String(payload)}, seen` },
  {
    title: 'changes strings only',
    hook: (payload) => (typeof payload === 'string' ? payload.replace('page', 'PAGE') : payload),
  },
  {
    title: 'calls a method of strings',
    hook: (payload) => (payload as string).replaceAll('p', 'P'),
  },
  {
    title: 'parses it as JSON',
    hook: (payload) => JSON.stringify({ wrapped: JSON.parse(payload as string) as unknown }),
  },
  {
    title: 'makes it a Buffer',
    hook: (payload) => Buffer.concat([Buffer.from(payload as string), Buffer.from('!')]),
  },
]

for (const level of ['instance', 'route'] as const) {
  for (const { title, hook } of TRANSFORMATIONS) {
    test(`an onSend hook of the ${level} that ${title} is applied once, on a miss and a hit alike`, async (t) => {
      const onSend = async (
        _request: unknown,
        _reply: unknown,
        payload: unknown,
      ): Promise<unknown> => hook(payload)
      const { cached, plain } = await startBoth(t, (app) => {
        if (level === 'instance') app.addHook('onSend', onSend)
        const own = level === 'route' ? { onSend } : {}
        app.get('/text', { config: { cache: true }, ...own }, async () => '"page"')
        app.get('/object', { config: { cache: true }, ...own }, async () => ({ a: 'page' }))
      })
      for (const path of ['/text', '/object']) {
        const expected = await plain.get(path)
        for (const assertAs of [assertStored, assertHit, assertHit]) {
          const answer = await cached.get(path)
          assert.deepEqual([answer.status, answer.text], [expected.status, expected.text], path)
          assertAs(answer)
        }
      }
    })
  }
}

test('an onSend hook sees the type of payload that the route gives it without a cache', async (t) => {
  const types: string[] = []
  const { cached, plain } = await startBoth(t, (app) => {
    app.addHook('onSend', async (_request, _reply, payload) => {
      types.push(Buffer.isBuffer(payload) ? 'Buffer' : typeof payload)
    })
    app.get('/text', { config: { cache: true } }, async () => 'page')
    app.get('/object', { config: { cache: true } }, async () => ({ page: 1 }))
    app.get('/bytes', { config: { cache: true } }, async () => Buffer.from('page'))
    app.get('/view', { config: { cache: true } }, async () => new Uint8Array(3))
    app.get('/nothing', { config: { cache: true } }, (_request, reply) => void reply.send())
  })
  for (const path of ['/text', '/object', '/bytes', '/view', '/nothing']) {
    types.length = 0
    await plain.get(path)
    const [expected] = types
    for (const round of ['miss', 'hit']) {
      types.length = 0
      await cached.get(path)
      assert.deepEqual(types, [expected], `${path}, ${round}`)
    }
  }
})

test('a preSerialization hook runs when the object is made, not on hits', async (t) => {
  let ran = 0
  const client = await start(t, (app) => {
    app.addHook('preSerialization', async (_request, _reply, payload) => ({ run: ++ran, payload }))
    app.get('/x', { config: { cache: true } }, async () => ({ page: 1 }))
  })
  const miss = await client.get('/x')
  assert.equal((await client.get('/x')).text, miss.text)
  assert.equal(ran, 1)
})

// Regression: a stream without a type is replayed as one, and its hits told the length of what was
// stored, so a hook that makes the stream longer or shorter broke the message, and the next on the wire.
test('a hook that makes another stream of one without a type does so on hits', async (t) => {
  const build = (app: FastifyInstance): void => {
    app.addHook('onSend', async (_request, _reply, payload) =>
      payload instanceof Readable ? payload.pipe(quoted()) : payload,
    )
    app.get('/', { config: { cache: true } }, async () => Readable.from(['page']))
    app.get('/empty', { config: { cache: true } }, async () => Readable.from([]))
  }
  const { cached, plain } = await startBoth(t, build)
  const wire = wireTo(t, cached)
  for (const path of ['/', '/empty']) {
    const expected = await plain.get(path)
    assert.equal(expected.text, path === '/' ? '<page>' : '<>')
    for (const round of ['miss', 'hit', 'hit']) {
      const answer = await wire.get(path)
      assert.equal(answer.text, expected.text, `${path}, ${round}`)
      assert.equal(statusOf(answer).hit ?? false, round === 'hit')
    }
  }
})

// Regression: the status was taken when the handler answered, so what such a hook makes of it was on
// misses only.
test('a status that a preSerialization hook chooses is that of hits, with its own lifetime', async (t) => {
  const client = await start(t, (app) => {
    app.addHook('preSerialization', async (request, reply, payload) => {
      void reply.code(request.url === '/x' ? 203 : 202)
      return payload
    })
    const statuses = { 200: true, 203: 60 } as const
    for (const path of ['/x', '/y']) {
      app.get(path, { config: { cache: { statuses } } }, async () => ({ page: 1 }))
    }
  })
  assert.equal((await client.get('/x')).status, 203)
  const hit = await client.get('/x')
  assertHit(hit)
  assert.equal(hit.status, 203)
  assert.match(String(hit.headers['cache-status']), /ttl=(?:59|60)$/)
  for (const round of ['first', 'second']) {
    const answer = await client.get('/y')
    assert.equal(answer.status, 202, round)
    assert.match(String(answer.headers['cache-status']), /detail=status/)
  }
})

test('onSend and onResponse hooks run for hits as for misses', async (t) => {
  const seen: string[] = []
  const client = await start(t, (app) => {
    for (const hook of ['onRequest', 'preHandler', 'onResponse'] as const) {
      app.addHook(hook, async () => {
        seen.push(hook)
      })
    }
    app.addHook('onSend', async () => {
      seen.push('onSend')
    })
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  await client.get('/x')
  const ofMiss = seen.splice(0)
  assertHit(await client.get('/x'))
  assert.deepEqual(ofMiss.sort(), ['onRequest', 'onResponse', 'onSend', 'preHandler'])
  assert.deepEqual(seen.sort(), ofMiss)
})
