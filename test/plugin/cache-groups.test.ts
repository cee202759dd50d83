// Cache-Group-Invalidation (RFC 9875 §3): groups are tags.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyInstance, FastifyReply } from 'fastify'

import { startSite } from './unsafe-site.ts'

const FIELD = 'cache-group-invalidation'
const PATHS = ['/a', '/b', '/added']

/** Two pages with a tag of the route, one with a tag of the handler. */
function declarePages(app: FastifyInstance): void {
  for (const tag of ['a', 'b']) {
    app.get(`/${tag}`, { config: { cache: { tags: [tag] } } }, async () => 'a page')
  }
  app.get('/added', { config: { cache: true } }, async (_request, reply) => {
    reply.cacheTags('added', 'a b')
    return 'a page'
  })
}

const VALUES: [value: string | string[], forgotten: string[]][] = [
  ['"a"', ['/a']],
  ['"a", "added"', ['/a', '/added']],
  [
    ['"a"', '"b"'],
    ['/a', '/b'],
  ],
  ['"a b"', ['/added']],
  ['"b";why="changed"', ['/b']],
  ['"A", "none"', []],
  ['a', []],
  ['"a', []],
  ['"a", b', []],
  ['("a" "b")', []],
  ['', []],
]

for (const [value, forgotten] of VALUES) {
  test(`${JSON.stringify(value)} makes the cache forget ${forgotten.join() || 'nothing'}`, async (t) => {
    const site = await startSite(t, (app) => {
      declarePages(app)
      app.post('/write', async (_request, reply) => reply.header(FIELD, value).send('done'))
    })
    const send = async (): Promise<void> => {
      const { headers } = await site.client.send('POST', '/write')
      assert.equal(headers[FIELD], [value].flat().join(', '), 'it is passed on')
    }
    assert.deepEqual(await site.forgottenBy(send, PATHS), forgotten)
  })
}

const ANSWERS: [what: string, answer: (reply: FastifyReply) => unknown][] = [
  ['a failure', (reply) => reply.code(500).header(FIELD, '"a"').send('failed')],
  ['a refusal', (reply) => reply.code(409).header(FIELD, '"a"').send('no')],
  [
    'an error that is thrown',
    (reply) => {
      reply.header(FIELD, '"a"')
      throw new Error('half of it is done')
    },
  ],
  ['no body', (reply) => reply.code(204).header(FIELD, '"a"').send()],
  ['a web Response', () => new Response('done', { headers: { [FIELD]: '"a"' } })],
  [
    'a field of the raw response',
    (reply) => {
      reply.raw.setHeader(FIELD, '"a"')
      return 'done'
    },
  ],
]

for (const [what, answer] of ANSWERS) {
  test(`groups are forgotten when the answer is ${what}`, async (t) => {
    const site = await startSite(t, (app) => {
      declarePages(app)
      app.post('/write', async (_request, reply) => answer(reply))
    })
    const send = (): Promise<unknown> => site.client.send('POST', '/write')
    assert.deepEqual(await site.forgottenBy(send, PATHS), ['/a'])
  })
}

test('GET and HEAD make the cache forget no group', async (t) => {
  const site = await startSite(t, (app) => {
    declarePages(app)
    app.get('/read', async (_request, reply) => reply.header(FIELD, '"a"').send('done'))
    app.all('/any', { config: { cache: true } }, async (_request, reply) =>
      reply.header(FIELD, '"a"').send('done'),
    )
  })
  for (const path of ['/read', '/any']) {
    for (const method of ['GET', 'HEAD']) {
      const send = (): Promise<unknown> => site.client.send(method, path)
      assert.deepEqual(await site.forgottenBy(send, PATHS), [], `${method} ${path}`)
    }
  }
  const send = (): Promise<unknown> => site.client.send('POST', '/any')
  assert.deepEqual(await site.forgottenBy(send, PATHS), ['/a'])
})

test('a route that the cache stays away from makes it forget no group', async (t) => {
  const site = await startSite(t, (app) => {
    declarePages(app)
    app.post('/write', { config: { cache: false } }, async (_request, reply) =>
      reply.header(FIELD, '"a"').send('done'),
    )
  })
  const send = (): Promise<unknown> => site.client.send('POST', '/write')
  assert.deepEqual(await site.forgottenBy(send, PATHS), [])
})

test('groups, tags and the target of one write are one record of the log', async (t) => {
  const site = await startSite(t, (app) => {
    declarePages(app)
    app.post(
      '/a',
      { config: { cache: { invalidates: ['a', 'added'] } } },
      async (_request, reply) => reply.header(FIELD, '"a", "b"').send('done'),
    )
  })
  const send = (): Promise<unknown> => site.client.send('POST', '/a')
  assert.deepEqual(await site.forgottenBy(send, PATHS), PATHS)
  const { seq, tags } = site.cache.stats().log
  assert.deepEqual([seq, tags], [1, 4])
})

test('many groups of one answer are all forgotten', async (t) => {
  const site = await startSite(t, (app) => {
    declarePages(app)
    const groups = Array.from({ length: 1500 }, (_, n) => `"g${n}"`)
    app.post('/write', async (_request, reply) =>
      reply.header(FIELD, [...groups, '"b"'].join(', ')).send('done'),
    )
  })
  const send = (): Promise<unknown> => site.client.send('POST', '/write')
  assert.deepEqual(await site.forgottenBy(send, PATHS), ['/b'])
})
