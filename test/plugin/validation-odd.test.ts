// What a stored response that was invalidated or confirmed may and may not do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PassThrough, Readable } from 'node:stream'

import type { FastifyInstance } from 'fastify'

import { start } from '../support/app.ts'

async function startWith(
  t: Parameters<typeof start>[0],
  build: (app: FastifyInstance) => unknown,
): Promise<{ client: Awaited<ReturnType<typeof start>>; app: FastifyInstance }> {
  let own: FastifyInstance
  const client = await start(t, (app) => build((own = app)))
  return { client, app: own! }
}

test('what leads to variants never stands in for an error', async (t) => {
  let fails = false
  const { client, app } = await startWith(t, (app) => {
    app.get('/', { config: { cache: { tags: ['page'] } } }, (_request, reply) => {
      if (fails) throw new Error('down')
      reply.header('vary', 'Accept-Language')
      return 'page'
    })
  })
  await client.get('/', { 'accept-language': 'de' })
  fails = true
  for (const mode of ['soft', 'expire'] as const) {
    await app.cache.invalidateTags(['page'], { mode })
    assert.equal((await client.get('/', { 'accept-language': 'de' })).status, 500, mode)
  }
})

test('a variant that was invalidated softly is served while it is refreshed', async (t) => {
  let runs = 0
  const { client, app } = await startWith(t, (app) => {
    const cache = { tags: ['page'], staleWhileRevalidate: '1h' } as const
    app.get('/', { config: { cache } }, (request, reply) => {
      runs++
      reply.header('vary', 'Accept-Language')
      return `in ${String(request.headers['accept-language'])}`
    })
  })
  await client.get('/', { 'accept-language': 'de' })
  await app.cache.invalidateTags(['page'], { mode: 'soft' })
  const stale = await client.get('/', { 'accept-language': 'de' })
  assert.match(String(stale.headers['cache-status']), /hit/)
  assert.equal(stale.text, 'in de')
  assert.ok(runs >= 1)
})

test('a confirmed response keeps the tags it was stored with', async (t) => {
  let version = 1
  let asked = 0
  const { client, app } = await startWith(t, (app) => {
    const tags = (_request: unknown, _reply: unknown, payload: unknown): string[] => [
      `product:${(payload as { id: number }).id}`,
    ]
    app.get('/', { config: { cache: { tags } } }, (request, reply) => {
      asked++
      const tag = `"${version}"`
      reply.header('etag', tag)
      if (request.headers['if-none-match'] === tag) return reply.code(304).send()
      reply.cacheTags('noted')
      return { id: 7, version }
    })
  })
  await client.get('/')
  await app.cache.invalidateTags(['product:7'])
  const confirmed = await client.get('/')
  assert.deepEqual([confirmed.status, confirmed.text], [200, '{"id":7,"version":1}'])
  assert.match(String(confirmed.headers['cache-status']), /fwd-status=304; stored/)
  for (const tag of ['product:7', 'noted']) {
    version++
    await app.cache.invalidateTags([tag])
    assert.equal((await client.get('/')).text, `{"id":7,"version":${version}}`, tag)
    await app.cache.invalidateTags([tag])
    assert.match(String((await client.get('/')).headers['cache-status']), /fwd-status=304/)
  }
  assert.equal(asked, 6)
})

test('a date that is not older than the invalidated response confirms nothing', async (t) => {
  let text = 'before'
  const { client, app } = await startWith(t, (app) => {
    app.get('/', { config: { cache: { tags: ['page'] } } }, (request, reply) => {
      const date = new Date().toUTCString().replace(/\d\d GMT/, '00 GMT')
      reply.header('last-modified', date)
      if (request.headers['if-modified-since'] === date) return reply.code(304).send()
      return text
    })
  })
  await client.get('/')
  text = 'after'
  await app.cache.invalidateTags(['page'])
  assert.equal((await client.get('/')).text, 'after')
})

test('a serializer of the reply is not applied to a confirmed response', async (t) => {
  const { client, app } = await startWith(t, (app) => {
    app.get('/', { config: { cache: { tags: ['page'] } } }, (request, reply) => {
      reply.serializer((payload: unknown) => JSON.stringify({ data: payload }))
      reply.header('etag', '"1"').type('application/json')
      if (request.headers['if-none-match'] === '"1"') return reply.code(304).send()
      return { id: 7 }
    })
  })
  const first = await client.get('/')
  await app.cache.invalidateTags(['page'])
  assert.equal((await client.get('/')).text, first.text)
  assert.equal((await client.get('/')).text, first.text)
})

test('fields of hooks are on a confirmed response and on one in place of an error, once', async (t) => {
  let fails = false
  const { client, app } = await startWith(t, (app) => {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.header('vary', 'Origin').header('x-hook', 'yes')
      if (fails) reply.header('set-cookie', 'of=hook')
      done()
    })
    const cache = { tags: ['page'], staleIfError: '1h' } as const
    app.get('/', { config: { cache } }, (request, reply) => {
      if (fails) throw new Error('down')
      reply.header('etag', '"1"').header('vary', 'Accept-Language')
      if (request.headers['if-none-match'] === '"1"') return reply.code(304).send()
      return 'page'
    })
  })
  await client.get('/')
  await app.cache.invalidateTags(['page'])
  const confirmed = await client.get('/')
  assert.match(String(confirmed.headers['cache-status']), /fwd-status=304/)
  assert.match(String(confirmed.headers.vary), /origin/i)
  assert.match(String(confirmed.headers.vary), /accept-language/i)
  await app.cache.invalidateTags(['page'], { mode: 'soft' })
  fails = true
  const rescued = await client.get('/')
  assert.deepEqual([rescued.status, rescued.text], [200, 'page'])
  assert.deepEqual(rescued.headers['set-cookie'], ['of=hook'])
  assert.match(String(rescued.headers.vary), /origin/i)
})

test('an error that keeps the status the handler has set is that status', async (t) => {
  let gone = false
  const { client, app } = await startWith(t, (app) => {
    const cache = { tags: ['page'], staleIfError: '1h' } as const
    app.get('/thrown', { config: { cache } }, async (_request, reply) => {
      if (gone) {
        reply.code(404)
        throw new Error('no such page')
      }
      return 'page'
    })
    app.get('/sent', { config: { cache } }, (_request, reply) => {
      if (gone) reply.code(404).send(new Error('no such page'))
      else reply.send('page')
    })
  })
  for (const path of ['/thrown', '/sent']) {
    gone = false
    await client.get(path)
    await app.cache.invalidateTags(['page'], { mode: 'soft' })
    gone = true
    assert.equal((await client.get(path)).status, 404, path)
  }
})

test('whatever a handler throws, what is stored stands in for it', async (t) => {
  let thrown: unknown
  const { client, app } = await startWith(t, (app) => {
    const cache = { tags: ['page'], staleIfError: '1h' } as const
    app.get('/', { config: { cache } }, () =>
      thrown === undefined ? Promise.resolve('page') : Promise.reject(thrown as Error),
    )
  })
  await client.get('/')
  for (thrown of [null, 'text', 0, {}, new Error('down')]) {
    await app.cache.invalidateTags(['page'], { mode: 'soft' })
    const answer = await client.get('/')
    assert.deepEqual([answer.status, answer.text], [200, 'page'], String(thrown))
  }
})

test('a stream is read to its end when the client’s own condition holds', async (t) => {
  const sources: Readable[] = []
  const { client, app } = await startWith(t, (app) => {
    app.get('/', { config: { cache: { tags: ['page'] } } }, (_request, reply) => {
      const source = Readable.from(['a', 'b']).pipe(new PassThrough())
      sources.push(source)
      return reply.header('etag', '"1"').type('text/plain').send(source)
    })
  })
  await client.get('/')
  await app.cache.invalidateTags(['page'])
  const answer = await client.get('/', { 'if-none-match': '"1"' })
  assert.ok(answer.status === 304 || answer.text === 'ab')
  assert.ok(sources[1]!.destroyed || sources[1]!.readableEnded)
  assert.equal((await client.get('/')).text, 'ab')
})

test('an assignment to request.headers does not mix the client’s conditions into ours', async (t) => {
  const { client, app } = await startWith(t, (app) => {
    app.addHook('preHandler', (request, _reply, done) => {
      // As validation with a compiler that returns a new value does.
      ;(request as { headers: unknown }).headers = { ...request.headers }
      done()
    })
    let version = 1
    app.get('/', { config: { cache: { tags: ['page'] } } }, (request, reply) => {
      const tag = `"${version}"`
      if (request.headers['if-none-match'] === tag) return reply.code(304).send()
      return reply.header('etag', tag).send(`page ${version++}`)
    })
  })
  assert.equal((await client.get('/')).text, 'page 1')
  await app.cache.invalidateTags(['page'])
  const answer = await client.get('/', { 'if-none-match': '"2"' })
  assert.notEqual(answer.text, 'page 1')
})

test('without staleIfError an invalidated response never stands in for an error', async (t) => {
  let fails = false
  const { client, app } = await startWith(t, (app) => {
    app.get('/', { config: { cache: { tags: ['page'] } } }, () => {
      if (fails) throw new Error('down')
      return 'page'
    })
  })
  for (const mode of ['soft', 'expire', 'purge'] as const) {
    fails = false
    await client.get('/')
    await app.cache.invalidateTags(['page'], { mode })
    fails = true
    assert.equal((await client.get('/')).status, 500, mode)
  }
})

test('an object with a method destroy is no stream, and not destroyed when something stands in', async (t) => {
  let destroyed = 0
  let fails = false
  const { client, app } = await startWith(t, (app) => {
    const cache = { tags: ['page'], staleIfError: '1h' } as const
    app.get('/', { config: { cache } }, (_request, reply) => {
      if (fails) void reply.code(500).send({ row: 1, destroy: () => destroyed++ })
      else void reply.send({ row: 1 })
    })
  })
  await client.get('/')
  await app.cache.invalidateTags(['page'], { mode: 'soft' })
  fails = true
  assert.equal((await client.get('/')).status, 200)
  assert.equal(destroyed, 0)
})
