// The route option `invalidates`: after a write succeeded, before its client has the answer.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, Door, start } from '../support/app.ts'

/** One page under the tag `a`, and another under `b`. */
function declarePages(app: FastifyInstance): void {
  let version = 0
  for (const tag of ['a', 'b']) {
    app.get(`/${tag}`, { config: { cache: { tags: [tag] } } }, async () => `${tag} ${++version}`)
  }
}

async function warm(client: Client): Promise<void> {
  for (const path of ['/a', '/b']) {
    await client.get(path)
    assertHit(await client.get(path))
  }
}

/** Whether the page under the tag `a` was forgotten; the one under `b` never is. */
async function isForgotten(client: Client): Promise<boolean> {
  assertHit(await client.get('/b'))
  const page = await client.get('/a')
  const forgotten = !/hit/.test(String(page.headers['cache-status']))
  if (forgotten) assertStored(page, 'stale')
  return forgotten
}

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
  test(`${method} with a list of tags invalidates them, and its answer tells nothing of a cache`, async (t) => {
    const client = await start(t, (app) => {
      declarePages(app)
      app.route({
        method,
        url: '/w',
        config: { cache: { invalidates: ['a'] } },
        handler: async () => 'done',
      })
    })
    await warm(client)
    const answer = await client.send(method, '/w')
    assert.deepEqual(
      [answer.text, answer.headers['cache-status'], answer.headers.age],
      ['done', undefined, undefined],
    )
    assert.ok(await isForgotten(client))
  })
}

test('only 2xx and 3xx answers invalidate', async (t) => {
  const client = await start(t, (app) => {
    declarePages(app)
    app.post(
      '/w/:status',
      { config: { cache: { invalidates: ['a'] } } },
      async (request, reply) => {
        const status = Number((request.params as { status: string }).status)
        return reply.code(status).header('location', '/a').send()
      },
    )
  })
  for (const [status, expected] of [
    [200, true],
    [201, true],
    [204, true],
    [302, true],
    [303, true],
    [400, false],
    [404, false],
    [409, false],
    [500, false],
  ] as const) {
    await warm(client)
    await client.send('POST', `/w/${status}`)
    assert.equal(await isForgotten(client), expected, String(status))
  }
})

test('a write that is refused, or that throws, invalidates nothing', async (t) => {
  const client = await start(t, (app) => {
    declarePages(app)
    const config = { cache: { invalidates: ['a'] } }
    app.post('/throws', { config }, async () => {
      throw new Error('broken')
    })
    const refuse = async (): Promise<never> => {
      throw Object.assign(new Error('no'), { statusCode: 403 })
    }
    app.post('/refused', { config, preHandler: refuse }, async () => 'done')
    const body = { type: 'object', required: ['name'] }
    app.post('/invalid', { config, schema: { body } }, async () => 'done')
  })
  await warm(client)
  for (const path of ['/throws', '/refused', '/invalid']) {
    const headers = { 'content-type': 'application/json' }
    const answer = await client.send('POST', path, { headers, body: '{}' })
    assert.ok(answer.status >= 400)
    assert.equal(await isForgotten(client), false, path)
  }
})

test('a function sees request and reply as the handler left them', async (t) => {
  const client = await start(t, (app) => {
    declarePages(app)
    app.post(
      '/w/:tag',
      {
        config: {
          cache: {
            invalidates: (request, reply) => [
              request.params.tag as string,
              String(reply.getHeader('x-tag')),
              ...(reply.statusCode === 201 ? (request.body as string[]) : []),
            ],
          },
        },
      },
      async (_request, reply) => reply.code(201).header('x-tag', 'from the reply').send('done'),
    )
    app.get('/c', { config: { cache: { tags: ['from the reply'] } } }, async () => 'c')
    app.get('/d', { config: { cache: { tags: ['from the body'] } } }, async () => 'd')
  })
  await warm(client)
  for (const path of ['/c', '/d']) await client.get(path)
  const headers = { 'content-type': 'application/json' }
  await client.send('POST', '/w/a', { headers, body: '["from the body"]' })
  for (const path of ['/c', '/d']) assertStored(await client.get(path), 'stale')
  assert.ok(await isForgotten(client))
})

const BROKEN: [string, () => unknown][] = [
  ['throws', () => assert.fail('broken option')],
  ['returns nothing', () => undefined],
  ['returns a number', () => 7],
  ['returns a wrong tag', () => ['a', 7]],
  ['returns an empty tag', () => ['']],
]

for (const [what, invalidates] of BROKEN) {
  test(`an invalidates function that ${what} leaves the answer as it is, and is reported`, async (t) => {
    const errors: string[] = []
    const client = await start(
      t,
      (app) => {
        app.post('/w', { config: { cache: { invalidates: invalidates as never } } }, async () => ({
          done: true,
        }))
      },
      { cache: { onError: (_error, { operation }) => errors.push(operation) } },
    )
    const answer = await client.send('POST', '/w')
    assert.deepEqual([answer.status, answer.text], [200, '{"done":true}'])
    assert.deepEqual(errors, ['invalidates'])
  })
}

test('an empty list invalidates nothing', async (t) => {
  const client = await start(t, (app) => {
    declarePages(app)
    app.post('/w', { config: { cache: { invalidates: () => [] } } }, async () => 'done')
  })
  await warm(client)
  await client.send('POST', '/w')
  assert.equal(await isForgotten(client), false)
})

test('the tags are forgotten before the client of the write has the first byte', async (t) => {
  const positions: number[] = []
  const client = await start(t, (app) => {
    declarePages(app)
    const note = (): unknown => positions.push(app.cache.stats().log.seq)
    app.post('/w', { config: { cache: { invalidates: ['a'] } } }, async (_request, reply) => {
      note()
      const { raw } = reply
      const writeHead = raw.writeHead.bind(raw) as (...args: unknown[]) => never
      raw.writeHead = (...args: unknown[]) => {
        note()
        return writeHead(...args)
      }
      return 'done'
    })
  })
  await warm(client)
  await client.send('POST', '/w')
  assert.deepEqual(positions, [0, 1])
  assert.ok(await isForgotten(client))
})

test('what a handler read before the write is not stored when the write comes in between', async (t) => {
  const door = new Door()
  let value = 'old'
  const client = await start(t, (app) => {
    app.get('/value', { config: { cache: true } }, async (_request, reply) => {
      const read = value
      await door.pass()
      // Known only after the work is done.
      reply.cacheTags('value')
      return read
    })
    app.put('/value', { config: { cache: { invalidates: ['value'] } } }, async () => {
      value = 'new'
      return 'done'
    })
  })
  const early = client.get('/value')
  await door.reached()
  await client.send('PUT', '/value')
  door.open()
  const answer = await early
  assert.equal(answer.text, 'old', 'it was asked before the write')
  assert.match(String(answer.headers['cache-status']), /detail=invalidated/)
  const next = await client.get('/value')
  assert.equal(next.text, 'new')
  assertStored(next)
})

// Regression: tags that were added anywhere but in the handler were lost without a word.
for (const hook of ['onRequest', 'preHandler', 'preSerialization', 'onSend'] as const) {
  test(`tags that a hook in ${hook} adds with reply.cacheTags invalidate the response`, async (t) => {
    let run = 0
    let invalidate!: (tags: string[]) => Promise<void>
    const client = await start(t, (app) => {
      invalidate = (tags) => app.cache.invalidateTags(tags)
      const addHook = app.addHook.bind(app) as (name: string, fn: unknown) => unknown
      addHook(hook, async (_request: unknown, reply: { cacheTags: (tag: string) => unknown }) => {
        reply.cacheTags('added')
      })
      app.get('/x', { config: { cache: true } }, async () => ({ run: ++run }))
    })
    assertStored(await client.get('/x'))
    assertHit(await client.get('/x'))
    await invalidate(['added'])
    assertStored(await client.get('/x'), 'stale')
  })
}

test('invalidateUrl reaches what was stored under an absolute-form target', async (t) => {
  let run = 0
  let invalidateUrl!: (url: string) => Promise<void>
  const client = await start(t, (app) => {
    invalidateUrl = (url) => app.cache.invalidateUrl(url)
    app.get('/x', { config: { cache: true } }, async () => `run ${++run}`)
  })
  for (const target of ['/x', 'http://localhost/x', '/x?a=1', 'http://localhost/x?a=1']) {
    const first = await client.target(target)
    assert.equal((await client.target(target)).text, first.text, 'it is cached')
    await invalidateUrl('/x')
    assert.notEqual((await client.target(target)).text, first.text, target)
  }
})
