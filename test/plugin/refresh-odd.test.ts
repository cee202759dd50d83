// Stale responses, refreshes and those who wait, in odd company.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import compress from '@fastify/compress'
import type { FastifyInstance } from 'fastify'

import { start } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'

test('a field that a hook made a number of does not break the refresh', async (t) => {
  let runs = 0
  let own: FastifyInstance
  const client = await start(t, (app) => {
    own = app
    app.addHook('onRequest', (request, _reply, done) => {
      const fields = request.headers as Record<string, unknown>
      fields['x-tenant'] = Number(fields['x-tenant'])
      done()
    })
    const cache = { tags: ['page'], vary: { headers: ['x-tenant'] }, staleWhileRevalidate: 60 }
    app.get('/', { config: { cache } }, (request) => {
      runs++
      return `of ${JSON.stringify(request.headers['x-tenant'])}`
    })
  })
  await client.get('/', { 'x-tenant': '7' })
  await own!.cache.invalidateTags(['page'], { mode: 'soft' })
  assert.equal((await client.get('/', { 'x-tenant': '7' })).text, 'of 7')
  await eventually('a refresh', () => runs === 2)
})

test('requests that wait while a stale response is found share one lookup', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  let runs = 0
  const apps: FastifyInstance[] = []
  const build = (app: FastifyInstance): void => {
    apps.push(app)
    const cache = { ttl: 1, staleWhileRevalidate: '1h' } as const
    app.get('/', { config: { cache } }, () => `page ${++runs}`)
  }
  const cache = { redis: server.url, namespace: 'shop' }
  const filling = await start(t, build, { cache })
  await filling.get('/', { host: 'shop' })
  await start(t, build, { cache: { ...cache, memory: false } })
  const waiting = apps[1]!
  await pause(1100)
  const before = await commands()
  const answers = await Promise.all(
    Array.from({ length: 300 }, () => waiting.inject({ url: '/', headers: { host: 'shop' } })),
  )
  assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(['page 1']))
  const gets = (await commands()) - before
  assert.ok(gets <= 10, `${gets} lookups`)
  await pause(50)
  async function commands(): Promise<number> {
    const info = await server.client().info('commandstats')
    return Number(/cmdstat_get:calls=(\d+)/.exec(info)?.[1] ?? 0)
  }
})

test('who asks for a validated response does not get what another found in a store', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  let runs = 0
  let app: FastifyInstance | undefined
  const build = (own: FastifyInstance): void => {
    app = own
    own.get('/', { config: { cache: { requestDirectives: true } } }, () => `page ${++runs}`)
  }
  const cache = { redis: server.url, namespace: 'shop', memory: false } as const
  await start(t, build, { cache })
  await app!.inject('/')
  // Another begins to look when this one has looked already.
  for (let round = 0; round < 40; round++) {
    const asked = app!.inject({ url: '/', headers: { 'cache-control': 'no-cache' } })
    for (let turn = 0; turn < round % 4; turn++) await new Promise(setImmediate)
    const others = app!.inject('/')
    assert.doesNotMatch(String((await asked).headers['cache-status']), /; hit/, `round ${round}`)
    await others
  }
})

test('a part of a stored response is not compressed', async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get('/', { config: { cache: { ranges: true } } }, (_request, reply) =>
        reply.type('text/plain').header('etag', '"1"').send('0123456789'.repeat(100)),
      )
    },
    { before: (app) => app.register(compress, { threshold: 10 }) },
  )
  const fields = { 'accept-encoding': 'gzip' }
  await client.get('/', fields)
  const part = await client.get('/', { ...fields, range: 'bytes=100-399' })
  assert.deepEqual([part.status, part.text], [206, '0123456789'.repeat(30)])
  assert.equal(part.headers['content-encoding'], undefined)
})
