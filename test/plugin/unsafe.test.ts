// RFC 9111 §4.4: what the answer to an unsafe request makes the cache forget.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import type { FastifyInstance, FastifyReply, RouteHandlerMethod } from 'fastify'

import { assertStored } from '../support/assert-status.ts'
import { Door } from '../support/app.ts'
import { startSite } from './unsafe-site.ts'

const PATHS = ['/items/1', '/items/1?a=1', '/items/2', '/items/10']
const TARGET = ['/items/1', '/items/1?a=1']

function unsafe(app: FastifyInstance, handler: RouteHandlerMethod, method = 'PUT'): void {
  app.route({ method, url: '/items/:id', handler })
}

const done = async (): Promise<string> => 'done'

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'M-SEARCH', 'PROPPATCH', 'LOCK']) {
  test(`${method} makes the cache forget its target with all queries, and no other path`, async (t) => {
    const site = await startSite(t, (app) => {
      if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
      unsafe(app, done, method)
    })
    for (const target of ['/items/1', '/items/1?b=2']) {
      const forgotten = await site.forgottenBy(() => site.client.send(method, target), PATHS)
      assert.deepEqual(forgotten, TARGET)
    }
  })
}

for (const method of ['OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH']) {
  test(`${method} is safe and makes the cache forget nothing`, async (t) => {
    const site = await startSite(t, (app) => {
      if (!app.supportedMethods.includes(method)) app.addHttpMethod(method)
      unsafe(
        app,
        async (_request, reply) => reply.header('cache-group-invalidation', '"g"').send('done'),
        method,
      )
      app.get('/grouped', { config: { cache: { tags: ['g'] } } }, done)
    })
    const paths = [...PATHS, '/grouped']
    assert.deepEqual(await site.forgottenBy(() => site.client.send(method, '/items/1'), paths), [])
  })
}

const STATUSES: [status: number, invalidates: boolean][] = [
  ...[200, 201, 202, 204, 206, 299, 301, 302, 303, 304, 307, 308, 399].map(
    (status): [number, boolean] => [status, true],
  ),
  ...[400, 401, 404, 409, 412, 422, 500, 503].map((status): [number, boolean] => [status, false]),
]

test('2xx and 3xx answers make it forget, and no others', async (t) => {
  const site = await startSite(t, (app) =>
    unsafe(app, async (request, reply) =>
      reply.code(Number((request.query as { status: string }).status)).send(),
    ),
  )
  for (const [status, invalidates] of STATUSES) {
    const send = async (): Promise<void> => {
      assert.equal((await site.client.send('PUT', `/items/1?status=${status}`)).status, status)
    }
    assert.deepEqual(await site.forgottenBy(send, PATHS), invalidates ? TARGET : [], `${status}`)
  }
})

test('an error, a refusal and an invalid body make it forget nothing', async (t) => {
  const site = await startSite(t, (app) => {
    const body = { type: 'object', required: ['name'] }
    app.post('/items/:id', { schema: { body } }, done)
    app.put('/items/:id', async () => {
      throw new Error('broken')
    })
    const refuse = async (): Promise<never> => {
      throw Object.assign(new Error('no'), { statusCode: 403 })
    }
    app.delete('/items/:id', { preHandler: refuse }, done)
    app.patch('/items/:id', async (_request, reply) => {
      reply.header('location', '/items/2')
      throw new Error('broken')
    })
  })
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'LOCK']) {
    const headers = { 'content-type': 'application/json' }
    const send = async (): Promise<void> => {
      const answer = await site.client.send(method, '/items/1', { headers, body: '{}' })
      assert.ok(answer.status >= 400, `${method} ${answer.status}`)
    }
    assert.deepEqual(await site.forgottenBy(send, PATHS), [], method)
  }
})

test('an error handler that answers 200 makes it forget', async (t) => {
  const site = await startSite(t, (app) => {
    app.setErrorHandler((_error, _request, reply) => reply.code(200).send('all is well'))
    unsafe(app, async () => {
      throw new Error('broken')
    })
  })
  const send = (): Promise<unknown> => site.client.send('PUT', '/items/1')
  assert.deepEqual(await site.forgottenBy(send, PATHS), TARGET)
})

const BODIES: [what: string, handler: RouteHandlerMethod][] = [
  ['an object', async () => ({ done: true })],
  ['a buffer', async () => Buffer.from('done')],
  ['nothing', async (_request, reply) => reply.code(204).send()],
  ['null', async (_request, reply) => reply.code(200).send(null)],
  ['a Node stream', async (_request, reply) => reply.send(Readable.from(['do', 'ne']))],
  ['a web stream', async (_request, reply) => reply.send(new Blob(['done']).stream())],
  ['a web Response', async () => new Response('done', { status: 201 })],
  ['a redirect', async (_request, reply) => reply.redirect('/elsewhere', 303)],
  ['a callback', (_request, reply) => void setImmediate(() => void reply.send('done'))],
]

for (const [what, handler] of BODIES) {
  test(`it forgets when the handler answers with ${what}, and the answer is as it was`, async (t) => {
    const site = await startSite(t, (app) => {
      unsafe(app, handler)
      app.put('/plain', { config: { cache: false } }, handler)
    })
    const [plain, watched] = [
      await site.client.send('PUT', '/plain'),
      await site.client.send('PUT', '/items/2'),
    ]
    assert.deepEqual([watched.status, watched.text], [plain.status, plain.text])
    assert.deepEqual(Object.keys(watched.headers), Object.keys(plain.headers))
    const send = (): Promise<unknown> => site.client.send('PUT', '/items/1')
    assert.deepEqual(await site.forgottenBy(send, PATHS), TARGET)
  })
}

test('a web Response that says it failed makes it forget nothing', async (t) => {
  const site = await startSite(t, (app) =>
    unsafe(app, async () => new Response('no', { status: 409, headers: { location: '/items/2' } })),
  )
  const send = (): Promise<unknown> => site.client.send('PUT', '/items/1')
  assert.deepEqual(await site.forgottenBy(send, PATHS), [])
})

/** `ORIGIN` stands for that of the server. */
const REFERENCES: [value: string, forgotten: string[]][] = [
  ['/items/2', ['/items/2']],
  ['2', ['/items/2']],
  ['./2?x=1#part', ['/items/2']],
  ['../other/../items/2', ['/items/2']],
  ['/items/%32', []],
  ['/items/2%20x', []],
  ['ORIGIN/items/2', ['/items/2']],
  ['//localhost/items/2', []],
  ['http://localhost/items/2', []],
  ['https://127.0.0.1/items/2', []],
  ['http://127.0.0.1:1/items/2', []],
  ['http://127.0.0.1:/items/2', []],
  ['http://[', []],
  ['', []],
]

for (const name of ['Location', 'Content-Location']) {
  for (const [value, others] of REFERENCES) {
    test(`${name}: ${value} makes it forget ${others.join() || 'no other path'}`, async (t) => {
      const site = await startSite(t, (app) =>
        unsafe(app, async (request, reply) =>
          reply
            .code(201)
            .header(name, value.replace('ORIGIN', `http://${request.host}`))
            .send('done'),
        ),
      )
      const send = (): Promise<unknown> => site.client.send('PUT', '/items/1')
      assert.deepEqual(await site.forgottenBy(send, PATHS), [...TARGET, ...others])
    })
  }
}

const PLACES: [where: string, answer: (reply: FastifyReply) => unknown][] = [
  ['of the raw response', (reply) => void reply.raw.setHeader('location', '/items/2')],
  ['of a redirect', (reply) => reply.redirect('/items/2')],
  ['of a web Response', () => new Response('x', { headers: { location: '/items/2' } })],
]

for (const [where, answer] of PLACES) {
  test(`it sees the Location ${where}`, async (t) => {
    const site = await startSite(t, (app) =>
      app.put('/items/:id', async (_request, reply) => answer(reply) ?? 'done'),
    )
    const headers = { host: 'localhost' }
    const send = (): Promise<unknown> => site.client.send('PUT', '/items/1', { headers })
    assert.deepEqual(await site.forgottenBy(send, PATHS), [...TARGET, '/items/2'])
  })
}

test('a rewritten target is forgotten under both of its names', async (t) => {
  const site = await startSite(t, (app) => unsafe(app, done), {
    fastify: { rewriteUrl: (request) => request.url!.replace(/^\/v1/, '') },
  })
  const paths = ['/items/1', '/v1/items/1', '/v1/items/2']
  for (const path of ['/items/1', '/v1/items/1']) {
    const send = (): Promise<unknown> => site.client.send('PUT', path)
    assert.deepEqual(await site.forgottenBy(send, paths), ['/items/1', '/v1/items/1'])
  }
})

test('one write is one record of the log, made before its client has the first byte', async (t) => {
  const positions: number[] = []
  const site = await startSite(t, (app) => {
    const config = { cache: { invalidates: ['a', 'b'] } }
    app.put('/items/:id', { config }, async (_request, reply) => {
      const note = (): unknown => positions.push(app.cache.stats().log.seq)
      note()
      const writeHead = reply.raw.writeHead.bind(reply.raw) as (...args: unknown[]) => never
      reply.raw.writeHead = (...args: unknown[]) => {
        note()
        return writeHead(...args)
      }
      return reply.header('location', '/items/2').send('done')
    })
  })
  await site.client.send('PUT', '/items/1')
  assert.deepEqual(positions, [0, 1])
  assert.equal(site.cache.stats().log.tags, 4)
})

test('what a handler read before the write is not stored when the write comes in between', async (t) => {
  const door = new Door()
  let value = 'old'
  const { client } = await startSite(t, (app) => {
    app.get('/value', { config: { cache: true } }, async () => {
      const read = value
      await door.pass()
      return read
    })
    app.put('/value', async () => {
      value = 'new'
      return 'done'
    })
  })
  const early = client.get('/value')
  await door.reached()
  await client.send('PUT', '/value')
  door.open()
  assert.equal((await early).text, 'old', 'it was asked before the write')
  const next = await client.get('/value')
  assert.equal(next.text, 'new')
  assertStored(next)
})
