// How routes are declared: HEAD, lists of methods, trailing slashes, scopes, several registrations,
// and routes that are none of the cache's business.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { test } from 'node:test'

import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type CacheClient, type ResponseCacheOptions } from '../../src/index.ts'
import { assertHit, assertStatus, assertStored } from '../support/assert-status.ts'
import { type Client, PATIENCE_MS, listen, start, startBoth } from '../support/app.ts'

test('the HEAD route that Fastify adds reads what GET stored, has its length, and never fills', async (t) => {
  let runs = 0
  const { cached, plain } = await startBoth(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => {
      runs++
      return { page: 'grüße' }
    })
  })
  const expected = await plain.head('/x')
  runs = 0
  const cold = await cached.head('/x')
  assertStatus(cold, { fwd: 'uri-miss' })
  assert.deepEqual([cold.status, cold.body.length], [200, 0])
  assert.equal(cold.headers['content-length'], expected.headers['content-length'])
  assertStored(await cached.get('/x'))
  assert.equal(runs, 2, 'HEAD had not filled')
  const warm = await cached.head('/x')
  assertHit(warm)
  assert.equal(runs, 2)
  assert.deepEqual([warm.status, warm.body.length], [200, 0])
  for (const name of ['content-length', 'content-type']) {
    assert.equal(warm.headers[name], expected.headers[name])
  }
})

test('a HEAD handler of its own is not run on a warm cache, and its answers are not stored', async (t) => {
  const client = await start(t, (app) => {
    app.head('/x', { config: { cache: true } }, (_request, reply) => {
      reply.header('x-from', 'head').send()
    })
    app.get('/x', { config: { cache: true } }, (_request, reply) => {
      reply.header('x-from', 'get').send('page')
    })
  })
  const cold = await client.head('/x')
  assertStatus(cold, { fwd: 'uri-miss' })
  assert.equal(cold.headers['x-from'], 'head')
  const page = await client.get('/x')
  assertStored(page)
  assert.deepEqual([page.text, page.headers['x-from']], ['page', 'get'])
  const warm = await client.head('/x')
  assertHit(warm)
  assert.deepEqual([warm.headers['x-from'], warm.headers['content-length']], ['get', '4'])
})

test('without exposeHeadRoutes HEAD is a 404 as before', async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get('/x', { config: { cache: true } }, async () => 'page')
    },
    { fastify: { exposeHeadRoutes: false } },
  )
  assertStored(await client.get('/x'))
  assert.equal((await client.head('/x')).status, 404)
})

test('a route for several methods caches GET, reads with HEAD, and leaves the others alone', async (t) => {
  let runs = 0
  const client = await start(t, (app) => {
    app.route({
      method: ['GET', 'HEAD', 'POST', 'DELETE'],
      url: '/x',
      config: { cache: { tags: ['x'], invalidates: ['x'] } },
      handler: async (request) => `${request.method} ${++runs}`,
    })
  })
  assertStored(await client.get('/x'))
  assertHit(await client.get('/x'))
  assertHit(await client.head('/x'))
  const post = await client.send('POST', '/x')
  assert.deepEqual([post.text, post.headers['cache-status']], ['POST 2', undefined])
  const again = await client.get('/x')
  assertStored(again, 'stale')
  assert.equal(again.text, 'GET 3')
  assert.equal((await client.send('DELETE', '/x')).text, 'DELETE 4')
  assert.equal((await client.get('/x')).text, 'GET 5')
})

test('a route for GET and POST without invalidates caches GET only, until the next POST', async (t) => {
  let runs = 0
  const client = await start(t, (app) => {
    app.route({
      method: ['GET', 'POST'],
      url: '/x',
      config: { cache: true },
      handler: async (request) => `${request.method} ${++runs}`,
    })
  })
  assertStored(await client.get('/x'))
  for (let run = 2; run < 4; run++) {
    const post = await client.send('POST', '/x')
    assert.deepEqual([post.text, post.headers['cache-status']], [`POST ${run}`, undefined])
  }
  assertStored(await client.get('/x'), 'stale')
  assertHit(await client.get('/x'))
})

test('both paths of a prefixed root route are cached, each for itself', async (t) => {
  const client = await start(t, (app) => {
    app.register(
      async (child) => {
        child.get(
          '/',
          { prefixTrailingSlash: 'both', config: { cache: true } },
          async (request) => request.url,
        )
      },
      { prefix: '/api' },
    )
  })
  for (const path of ['/api', '/api/']) {
    const miss = await client.get(path)
    assertStored(miss)
    assert.equal(miss.text, path)
    const hit = await client.get(path)
    assertHit(hit)
    assert.equal(hit.text, path)
    assertHit(await client.head(path))
  }
})

test('global caches every GET route with the defaults, and cache: false opts out', async (t) => {
  const runs: string[] = []
  const client = await start(
    t,
    (app) => {
      const handler = async (request: { url: string }): Promise<string> => {
        runs.push(request.url)
        return request.url
      }
      app.get('/cached', handler as never)
      app.get('/own', { config: { cache: { ttl: 5 } } }, handler as never)
      app.get('/out', { config: { cache: false } }, handler as never)
      app.post('/post', handler as never)
      app.register(async (child) => {
        child.get('/nested', handler as never)
      })
    },
    { cache: { global: true, defaults: { ttl: '1h' } } },
  )
  for (const path of ['/cached', '/own', '/nested']) {
    assertStored(await client.get(path))
    assertHit(await client.get(path))
    assertHit(await client.head(path))
  }
  for (let visit = 0; visit < 2; visit++) {
    for (const [method, path] of [
      ['GET', '/out'],
      ['HEAD', '/out'],
      ['POST', '/post'],
    ] as const) {
      const answer = await client.send(method, path)
      assert.deepEqual([answer.status, answer.headers['cache-status']], [200, undefined], path)
    }
  }
})

test('without global only routes that say so are cached', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', async () => 'page')
    app.get('/no', { config: { cache: false } }, async () => 'page')
  })
  for (const path of ['/x', '/x', '/no', '/no']) {
    assert.equal((await client.get(path)).headers['cache-status'], undefined)
  }
})

test('registered in a child scope, the cache touches only that scope', async (t) => {
  const client = await start(
    t,
    async (app) => {
      const route = (scope: FastifyInstance, path: string): void => {
        scope.get(path, { config: { cache: { ttl: '1h' } } }, async () => path)
      }
      await app.register(async (child) => {
        await child.register(responseCache)
        route(child, '/inside')
        child.register(async (grandchild) => {
          route(grandchild, '/nested')
        })
        assert.equal(child.hasDecorator('cache'), true)
        assert.equal(child.hasReplyDecorator('cacheTags'), true)
      })
      route(app, '/outside')
      await app.register(async (sibling) => {
        route(sibling, '/beside')
        assert.equal(sibling.hasReplyDecorator('cacheTags'), false)
      })
      assert.equal(app.hasDecorator('cache'), false)
    },
    { cache: false },
  )
  for (const path of ['/inside', '/nested']) {
    assertStored(await client.get(path))
    assertHit(await client.get(path))
  }
  for (const path of ['/outside', '/beside', '/outside', '/beside']) {
    assert.equal((await client.get(path)).headers['cache-status'], undefined)
  }
})

type WithTwo = FastifyInstance & { second: CacheClient }

test('two registrations in one scope keep their routes, their entries and their clients apart', async (t) => {
  let app!: WithTwo
  const client = await start(
    t,
    async (instance) => {
      app = instance as WithTwo
      await app.register(responseCache, {
        namespace: 'second',
        decorateAs: 'second',
        defaults: { ttl: '1h' },
      })
      app.get('/first', { config: { cache: true } }, async () => 'first')
      app.get('/second', { config: { second: true } as never }, async () => 'second')
    },
    { cache: { namespace: 'first' } },
  )
  for (const path of ['/first', '/second']) {
    assertStored(await client.get(path))
    assertHit(await client.get(path))
  }
  assert.deepEqual(Object.keys(app.cache.stats().routes), ['/first'])
  assert.ok('/second' in app.second.stats().routes)
  assert.equal(app.second.stats().hits, 1)
  await app.cache.clear()
  assertStored(await client.get('/first'), 'uri-miss')
  assertHit(await client.get('/second'))
})

test('a route that names a registration belongs to it, also when another caches every route', async (t) => {
  let app!: WithTwo
  const client = await start(
    t,
    async (instance) => {
      app = instance as WithTwo
      await app.register(responseCache, {
        namespace: 'second',
        decorateAs: 'second',
        defaults: { ttl: '1h' },
      })
      app.get('/any', async () => 'any')
      app.get('/named', { config: { second: true } as never }, async () => 'named')
      app.get('/both', { config: { cache: true, second: true } as never }, async () => 'both')
    },
    { cache: { namespace: 'first', global: true } },
  )
  for (const path of ['/any', '/named', '/both']) {
    assertStored(await client.get(path))
    assertHit(await client.get(path))
  }
  assert.deepEqual([app.cache.stats().hits, app.second.stats().hits], [1, 2])
})

test('a registration in an inner scope takes its routes over from the outer one', async (t) => {
  const caches: Record<string, CacheClient> = {}
  const client = await start(t, async (app) => {
    caches['outer'] = app.cache
    app.get('/outer', { config: { cache: true } }, async () => 'outer')
    await app.register(async (child) => {
      await child.register(responseCache, { namespace: 'inner', defaults: { ttl: '1h' } })
      caches['inner'] = child.cache
      child.get('/inner', { config: { cache: true } }, async () => 'inner')
    })
  })
  for (const path of ['/outer', '/inner']) {
    assertStored(await client.get(path))
    assertHit(await client.get(path))
  }
  assert.notEqual(caches['outer'], caches['inner'])
  assert.deepEqual([caches['outer']!.stats().hits, caches['inner']!.stats().hits], [1, 1])
})

test('a second registration under the same name is refused with an error that says what to do', async () => {
  const app = Fastify()
  await app.register(responseCache)
  await assert.rejects(async () => app.register(responseCache), /decorateAs.*already has 'cache'/)
})

test('decorateAs names the client and the key under config', async (t) => {
  let app!: FastifyInstance & { pages: CacheClient }
  const client = await start(
    t,
    (instance) => {
      app = instance as typeof app
      app.get('/x', { config: { pages: { ttl: 5 } } as never }, async () => 'page')
    },
    { cache: { decorateAs: 'pages' } },
  )
  assertStored(await client.get('/x'))
  await app.pages.invalidateRoute('/x')
  assertStored(await client.get('/x'), 'stale')
  assert.equal(app.hasDecorator('cache'), false)
})

test('a cached route declared in the tick of a register that is not awaited is warned about', async (t) => {
  const lines: string[] = []
  const app = Fastify({
    logger: { level: 'warn', stream: { write: (line: string) => lines.push(line) } },
  })
  const options: ResponseCacheOptions = { defaults: { ttl: '1h' } }
  void app.register(responseCache, options)
  app.get('/early', { config: { cache: true } }, async () => 'page')
  const client = await listen(t, app)
  for (let visit = 0; visit < 3; visit++) {
    assert.equal((await client.get('/early')).headers['cache-status'], undefined)
  }
  assert.equal(lines.length, 1, lines.join('\n'))
  assert.match(lines[0]!, /GET \/early.*declared before the cache was loaded/)
})

/** The bytes of the first message, after the answer to the upgrade; or the status of a refusal. */
async function upgrade(client: Client, path: string): Promise<string> {
  const outgoing = httpRequest({
    host: '127.0.0.1',
    port: client.port,
    path,
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': Buffer.alloc(16, 'k').toString('base64'),
    },
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).end()
  const [event, [incoming, socket, head]] = await Promise.race([
    once(outgoing, 'upgrade').then((args) => ['upgrade', args] as const),
    once(outgoing, 'response').then((args) => ['response', args] as const),
  ])
  if (event === 'response') {
    incoming.resume()
    return `refused with ${incoming.statusCode}`
  }
  const frame: Buffer = head.length > 0 ? head : (await once(socket, 'data'))[0]
  socket.destroy()
  return frame.subarray(2).toString()
}

for (const when of ['before', 'after'] as const) {
  test(`websocket routes of a plugin registered ${when} the cache work on a warm cache`, async (t) => {
    const client = await start(
      t,
      async (app) => {
        if (when === 'after') await app.register(websocket)
        app.get('/socket', { websocket: true, config: { cache: true } }, (socket) =>
          socket.send('hello'),
        )
        app.route({
          method: 'GET',
          url: '/both',
          config: { cache: true },
          handler: async () => 'page',
          wsHandler: (socket) => socket.send('hello'),
        })
      },
      when === 'before' ? { before: (app) => app.register(websocket) } : {},
    )
    assert.equal(await upgrade(client, '/socket'), 'hello')
    assert.equal((await client.get('/socket')).headers['cache-status'], undefined)
    assert.equal(await upgrade(client, '/both'), 'hello')
    assertStored(await client.get('/both'))
    assertHit(await client.get('/both'))
    assert.equal(await upgrade(client, '/both'), 'hello', 'beside a stored page')
  })
}

// Regression: a route without config could not be declared when both registrations cache every route.
test('of two registrations that cache every route the first has those that name none', async (t) => {
  let app!: WithTwo
  const client = await start(
    t,
    async (instance) => {
      app = instance as WithTwo
      const options = { global: true, defaults: { ttl: '1h' } } as const
      await app.register(responseCache, { decorateAs: 'second', ...options })
      app.get('/any', async () => 'any')
    },
    { cache: { global: true } },
  )
  assertStored(await client.get('/any'))
  assertHit(await client.get('/any'))
  assert.equal(app.cache.stats().hits, 1)
  assert.equal(app.second.stats().hits, 0)
})
