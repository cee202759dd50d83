// The route option `etag`: what has no entity tag gets one, and the same on the fill and on all hits.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance, FastifyReply } from 'fastify'

import { assertHit, assertNotStored, assertStored } from '../support/assert-status.ts'
import { type Answer, type Client, start } from '../support/app.ts'
import type { RouteCacheOptions } from '../../src/index.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

const MADE = /^W\/"[^"\s]+"$/

function startPage(
  t: TestContext,
  handle: (reply: FastifyReply) => unknown,
  { cache = {}, route = {} }: { cache?: object; route?: RouteCacheOptions } = {},
): Promise<Client> {
  return start(
    t,
    (app) => {
      app.get(
        '/page',
        { config: { cache: { ttl: '1h', etag: true, ...route } } },
        async (_, reply) => handle(reply),
      )
    },
    { cache },
  )
}

/** The tag of the answer that fills the cache, once a hit and a 304 have been seen to agree. */
async function tagOf(client: Client): Promise<string> {
  const first = await client.get('/page')
  assertStored(first)
  const hit = await client.get('/page')
  assertHit(hit)
  const { etag } = first.headers
  assert.match(etag ?? '', MADE)
  assert.equal(hit.headers.etag, etag)
  assert.deepEqual(hit.body, first.body)
  const head = await client.head('/page')
  assert.equal(head.headers.etag, etag)
  const same = await client.get('/page', { 'if-none-match': etag! })
  assertHit(same)
  assert.equal(same.status, 304)
  assert.equal(same.headers.etag, etag)
  assert.equal(same.text, '')
  return etag!
}

const ANSWERS: [string, (reply: FastifyReply) => unknown][] = [
  ['a text', () => 'text'],
  ['an empty text', () => ''],
  ['a text with a type', (reply) => reply.type('text/html').send('<p>text')],
  ['JSON as a text', (reply) => reply.type('application/json').send('{"a":1}')],
  ['a buffer', () => Buffer.from('text')],
  ['bytes', () => new Uint8Array([1, 2, 3])],
  ['an object', () => ({ a: 1 })],
  ['a list', () => [1, 2, 3]],
  [
    'what a serializer of the handler makes',
    (reply) =>
      reply
        .type('text/x')
        .serializer(() => 'own')
        .send({}),
  ],
]

for (const [what, handle] of ANSWERS) {
  testInAllTiers(`${what} has the same tag on fill, hit, HEAD and 304`, async (t, cache) => {
    await tagOf(await startPage(t, handle, { cache }))
  })
}

test('equal representations have equal tags, and others have others', async (t) => {
  const tags = new Map<string, string>()
  for (const [what, handle] of ANSWERS) {
    const tag = await tagOf(await startPage(t, handle))
    assert.equal(tags.get(tag), undefined, `${what} and ${tags.get(tag)} have one tag`)
    tags.set(tag, what)
    assert.equal(await tagOf(await startPage(t, handle)), tag)
  }
})

test('a type, coding or language makes another tag of the same bytes', async (t) => {
  const tags = new Set<string>()
  const sections: Record<string, string>[] = [
    { 'content-type': 'text/plain' },
    { 'content-type': 'text/html' },
    { 'content-type': 'text/html; charset=utf-8' },
    { 'content-type': 'text/html', 'content-language': 'de' },
    { 'content-type': 'text/html', 'content-encoding': 'x-own', vary: 'accept-encoding' },
  ]
  for (const fields of sections) {
    tags.add(await tagOf(await startPage(t, (reply) => reply.headers(fields).send('text'))))
  }
  assert.equal(tags.size, sections.length)
})

test('a page that is computed again keeps its tag as long as it stays the same', async (t) => {
  let text = 'one'
  let invalidate!: () => Promise<void>
  const client = await start(t, (app) => {
    invalidate = () => app.cache.clear()
    app.get('/page', { config: { cache: { ttl: '1h', etag: true } } }, async () => ({ text }))
  })
  const tag = await tagOf(client)
  await invalidate()
  assert.equal(await tagOf(client), tag)
  await invalidate()
  text = 'two'
  const changed = await client.get('/page', { 'if-none-match': tag })
  assert.equal(changed.status, 200)
  assert.notEqual(changed.headers.etag, tag)
})

test('the tag of the handler stays', async (t) => {
  const client = await startPage(t, (reply) => reply.header('etag', '"own"').send('text'))
  for (const check of [assertStored, assertHit]) {
    const page = await client.get('/page')
    check(page)
    assert.equal(page.headers.etag, '"own"')
  }
})

test('the tag of a hook before the handler stays, and is made anew on a hit', async (t) => {
  let requests = 0
  const client = await start(
    t,
    (app) => {
      app.get('/page', { config: { cache: { ttl: '1h', etag: true } } }, async () => 'text')
    },
    {
      before: (app: FastifyInstance) =>
        app.addHook('onRequest', async (_, reply) => {
          reply.header('etag', `"${++requests}"`)
        }),
    },
  )
  assert.equal((await client.get('/page')).headers.etag, '"1"')
  assert.equal((await client.get('/page')).headers.etag, '"2"')
})

test('a stream has none', async (t) => {
  const client = await startPage(t, (reply) =>
    reply.type('text/plain').send(Readable.from(['a', 'b'])),
  )
  for (const check of [assertStored, assertHit]) {
    const page = await client.get('/page')
    check(page)
    assert.equal(page.text, 'ab')
    assert.equal(page.headers.etag, undefined)
  }
})

test('only a 200 has one', async (t) => {
  const client = await startPage(t, (reply) => reply.code(404).send('none'), {
    route: { statuses: { 404: '1m' } },
  })
  for (const check of [assertStored, assertHit]) {
    const page = await client.get('/page')
    check(page)
    assert.equal(page.status, 404)
    assert.equal(page.headers.etag, undefined)
  }
})

test('what is not stored has one all the same or none, but never one of something else', async (t) => {
  let runs = 0
  const client = await startPage(t, (reply) => {
    reply.header('cache-control', 'private')
    return `run ${++runs}`
  })
  const seen: (string | undefined)[] = []
  for (let at = 0; at < 3; at++) {
    const page = await client.get('/page')
    assertNotStored(page, 'private')
    if (page.headers.etag !== undefined) seen.push(page.headers.etag)
  }
  assert.equal(new Set(seen).size, seen.length)
})

test('without the option there is none', async (t) => {
  const client = await startPage(t, () => 'text', { route: { etag: false } })
  for (const page of [await client.get('/page'), await client.get('/page')]) {
    assert.equal(page.headers.etag, undefined)
  }
})

test('each variant has the tag of its own body', async (t) => {
  const client = await start(t, (app) => {
    app.get('/page', { config: { cache: { ttl: '1h', etag: true } } }, async (request, reply) => {
      reply.header('vary', 'accept-language')
      return { in: request.headers['accept-language'] }
    })
  })
  const get = (language: string, tag?: string): Promise<Answer> =>
    client.get('/page', { 'accept-language': language, ...(tag && { 'if-none-match': tag }) })
  const german = (await get('de')).headers.etag
  const english = (await get('en')).headers.etag
  assert.notEqual(german, english)
  assert.equal((await get('de', german)).status, 304)
  assert.equal((await get('en', german)).status, 200)
})
