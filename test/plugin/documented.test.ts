// What the pages in docs/ show, as they show it.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import { isRefresh } from '../../src/index.ts'
import { eventually, start } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'

test('a handler that varies on Accept-Language needs no declaration', async (t) => {
  const client = await start(t, (app) => {
    app.get('/hello', { config: { cache: { ttl: '1h' } } }, async (request, reply) => {
      reply.header('vary', 'accept-language')
      return request.headers['accept-language']?.startsWith('de') ? 'Hallo' : 'Hello'
    })
  })
  const texts: string[] = []
  for (const language of ['de', 'en', 'de', 'en']) {
    const answer = await client.get('/hello', { 'accept-language': language })
    texts.push(`${answer.text} ${statusOf(answer).fwd ?? 'hit'}`)
  }
  assert.deepEqual(texts, ['Hallo uri-miss', 'Hello vary-miss', 'Hallo hit', 'Hello hit'])
})

test('with normalize the handler sees one of its languages, or none', async (t) => {
  const seen: unknown[] = []
  const client = await start(t, (app) => {
    app.get(
      '/greeting',
      { config: { cache: { ttl: '1h', vary: { normalize: { acceptLanguage: ['en', 'de'] } } } } },
      async (request, reply) => {
        seen.push(request.headers['accept-language'])
        reply.header('vary', 'accept-language')
        return 'Hello'
      },
    )
  })
  const sent = ['de-AT, en;q=0.5', 'de', 'en, de', 'fr', 'it, fr']
  for (const language of sent) await client.get('/greeting', { 'accept-language': language })
  assert.deepEqual(seen, ['de', 'en', undefined])
})

test('a handler that answers 304 to request.cacheStale makes the stored response fresh again', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  let made = 0
  const client = await start(t, (app) => {
    app.get('/documents/:id', { config: { cache: { ttl: '10s' } } }, async (request, reply) => {
      const version = '"7"'
      reply.header('etag', version)
      if (request.cacheStale?.etag === version) return reply.code(304).send()
      return `the document, ${++made}`
    })
  })
  const get = async (headers = {}): Promise<unknown> => {
    const { status, text, headers: fields } = await client.get('/documents/1', headers)
    return [status, text, fields['cache-status']]
  }
  assert.deepEqual(await get(), [200, 'the document, 1', 'fastify; fwd=uri-miss; stored'])
  mock.timers.tick(11_000)
  const confirmed = 'fastify; fwd=stale; fwd-status=304; stored'
  assert.deepEqual(await get(), [200, 'the document, 1', confirmed])
  assert.deepEqual(await get(), [200, 'the document, 1', 'fastify; hit; ttl=10'])
  mock.timers.tick(11_000)
  assert.deepEqual(await get({ 'if-none-match': '"7"' }), [304, '', confirmed])
})

test('a background refresh passes hooks and logs as a request, and isRefresh tells it', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const seen: [refresh: boolean, url: string, ip: string, agent: unknown][] = []
  const client = await start(t, (app) => {
    app.addHook('onResponse', async (request) => {
      const agent = request.headers['user-agent']
      seen.push([isRefresh(request), request.url, request.ip, agent])
    })
    app.get(
      '/ranking',
      { config: { cache: { ttl: 1, staleWhileRevalidate: '10m' } } },
      async () => 1,
    )
  })
  const ask = async () => statusOf(await client.get('/ranking?a=1', { 'user-agent': 'browser' }))
  await ask()
  mock.timers.tick(21_000)
  assert.deepEqual(await ask(), { hit: true, ttl: -20 })
  await eventually(() => seen.length === 3, 'the refresh has been answered')
  assert.deepEqual(
    seen.toSorted((a, b) => Number(a[0]) - Number(b[0])),
    [
      [false, '/ranking?a=1', '127.0.0.1', 'browser'],
      [false, '/ranking?a=1', '127.0.0.1', 'browser'],
      [true, '/ranking?a=1', '127.0.0.1', undefined],
    ],
  )
  assert.deepEqual(await ask(), { hit: true, ttl: 1 })
})

test('X-Cache says STALE for a stale response', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const client = await start(
    t,
    (app) => {
      app.get(
        '/',
        { config: { cache: { ttl: 1, staleWhileRevalidate: '10m' } } },
        async () => 'page',
      )
    },
    { cache: { statusHeader: 'x-cache' } },
  )
  const told = async (): Promise<unknown> => (await client.get('/')).headers['x-cache']
  assert.deepEqual([await told(), await told()], ['MISS', 'HIT'])
  mock.timers.tick(2000)
  assert.equal(await told(), 'STALE')
})
