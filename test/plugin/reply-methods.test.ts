// What a handler says of its answer: reply.cacheTags, reply.cacheTtl, and `ttl: 'headers'`.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyReply } from 'fastify'

import { assertHit, assertNotStored, assertStored, statusOf } from '../support/assert-status.ts'
import { type Client, start } from '../support/app.ts'

async function assertLifetime(client: Client, path: string, seconds: number): Promise<void> {
  assertStored(await client.get(path))
  const hit = await client.get(path)
  assertHit(hit)
  const left = statusOf(hit).ttl!
  assert.ok(left <= seconds && left > seconds - 4, `${path} has ${left} of ${seconds} seconds left`)
}

test('reply.cacheTags adds to the tags of the route', async (t) => {
  let invalidate!: (tags: string[]) => Promise<void>
  let run = 0
  const client = await start(t, (app) => {
    invalidate = (tags) => app.cache.invalidateTags(tags)
    app.get('/:id', { config: { cache: { tags: ['all'] } } }, async (request, reply) => {
      const { id } = request.params as { id: string }
      reply.cacheTags(`one:${id}`, 'some').cacheTags()
      return `run ${++run}`
    })
  })
  for (const tag of ['all', 'one:1', 'some']) {
    for (const path of ['/1', '/2']) await client.get(path)
    await invalidate([tag])
    assertStored(await client.get('/1'), 'stale')
    const other = await client.get('/2')
    if (tag === 'one:1') assertHit(other)
    else assertStored(other, 'stale')
  }
})

test('reply.cacheTtl goes over the lifetime of the route and of its statuses', async (t) => {
  const client = await start(t, (app) => {
    const ttls: Record<string, (reply: FastifyReply) => unknown> = {
      '/number': (reply) => reply.cacheTtl(20),
      '/text': (reply) => reply.cacheTtl('5m'),
      '/twice': (reply) => reply.cacheTtl('5m').cacheTtl('7s'),
      '/status': (reply) => reply.code(404).cacheTtl(30),
    }
    for (const [path, say] of Object.entries(ttls)) {
      app.get(
        path,
        { config: { cache: { ttl: 100, statuses: { 404: 10 } } } },
        async (_request, reply) => {
          say(reply)
          return 'page'
        },
      )
    }
    app.get('/function', { config: { cache: { ttl: () => 100 } } }, async (_request, reply) => {
      reply.cacheTtl(50)
      return 'page'
    })
  })
  for (const [path, seconds] of [
    ['/number', 20],
    ['/text', 300],
    ['/twice', 7],
    ['/status', 30],
    ['/function', 50],
  ] as const) {
    await assertLifetime(client, path, seconds)
  }
})

const WRONG: [string, (reply: FastifyReply) => unknown, RegExp][] = [
  ['cacheTags of a number', (reply) => reply.cacheTags(7 as never), /reply\.cacheTags.*number/],
  ['cacheTags of a list', (reply) => reply.cacheTags(['a'] as never), /reply\.cacheTags.*object/],
  ['cacheTags of nothing', (reply) => reply.cacheTags(''), /reply\.cacheTags.*empty/],
  ['cacheTags too long', (reply) => reply.cacheTags('x'.repeat(1025)), /reply\.cacheTags.*1024/],
  ['cacheTtl of 0', (reply) => reply.cacheTtl(0), /reply\.cacheTtl/],
  ['cacheTtl of text without a unit', (reply) => reply.cacheTtl('60'), /reply\.cacheTtl/],
  ['cacheTtl of NaN', (reply) => reply.cacheTtl(Number.NaN), /reply\.cacheTtl/],
]

for (const [what, say, message] of WRONG) {
  test(`reply.${what} is an error in the handler, whether or not the answer could be stored`, async (t) => {
    const client = await start(t, (app) => {
      const handler = async (_request: unknown, reply: FastifyReply): Promise<string> => {
        say(reply)
        return 'page'
      }
      app.get('/x', { config: { cache: true } }, handler)
      app.get('/uncached', handler)
    })
    for (const [path, headers] of [
      ['/x', {}],
      ['/x', { cookie: 'a=b' }],
      ['/uncached', {}],
    ] as const) {
      const answer = await client.get(path, headers)
      assert.equal(answer.status, 500)
      assert.match(JSON.parse(answer.text).message, message)
    }
  })
}

test('the reply methods do nothing on routes that are not cached and requests that go around', async (t) => {
  const client = await start(t, (app) => {
    for (const [path, cache] of [
      ['/uncached', false],
      ['/cached', true],
    ] as const) {
      app.get(path, { config: { cache } }, async (_request, reply) => {
        reply.cacheTags('a').cacheTtl(5).cacheSkip('why')
        return 'page'
      })
    }
  })
  assert.equal((await client.get('/uncached')).text, 'page')
  const around = await client.get('/cached', { cookie: 'a=b' })
  assert.deepEqual([around.text, statusOf(around)], ['page', { fwd: 'bypass', detail: 'cookie' }])
})

test("ttl 'headers' takes the lifetime that the response states, for a shared cache", async (t) => {
  // From each answer on, and not from the start of a test that may be slow.
  const inAMinute = {
    get expires() {
      return new Date(Date.now() + 60_999).toUTCString()
    },
  }
  const fields: Record<string, [Record<string, string>, number | undefined]> = {
    '/max-age': [{ 'cache-control': 'max-age=30' }, 30],
    '/s-maxage': [{ 'cache-control': 'max-age=30, s-maxage=40' }, 40],
    '/expires': [inAMinute, 60],
    '/both': [{ 'cache-control': 'max-age=30', expires: inAMinute.expires }, 30],
    '/aged': [{ 'cache-control': 'max-age=30', age: '10' }, 20],
    '/old': [{ 'cache-control': 'max-age=30', age: '30' }, undefined],
    '/zero': [{ 'cache-control': 's-maxage=0, max-age=30' }, undefined],
    '/wrong': [{ 'cache-control': 'max-age=soon' }, undefined],
    '/past': [{ expires: '0' }, undefined],
    '/nothing': [{}, undefined],
  }
  const client = await start(t, (app) => {
    for (const [path, [headers]] of Object.entries(fields)) {
      app.get(path, { config: { cache: { ttl: 'headers' } } }, async (_request, reply) => {
        void reply.headers(headers)
        return 'page'
      })
    }
  })
  for (const [path, [, seconds]] of Object.entries(fields)) {
    if (seconds === undefined) assertNotStored(await client.get(path), 'ttl')
    else await assertLifetime(client, path, seconds)
  }
})

test('a ttl function sees request, reply and payload', async (t) => {
  const client = await start(t, (app) => {
    app.get(
      '/x/:id',
      {
        config: {
          cache: {
            ttl: (request, reply, payload) =>
              Number(request.params.id) +
              Number(reply.getHeader('x-plus')) +
              (payload as { plus: number }).plus,
          },
        },
      },
      async (_request, reply) => {
        void reply.header('x-plus', 20)
        return { plus: 300 }
      },
    )
  })
  await assertLifetime(client, '/x/1', 321)
  await assertLifetime(client, '/x/4', 324)
})
