// Conditions, entity tags and ranges beside @fastify/etag and @fastify/compress, which work on each
// client's answer, registered before the cache or after it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import compress from '@fastify/compress'
import etag from '@fastify/etag'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'

import responseCache, { type RouteCacheOptions } from '../../src/index.ts'
import { assertHit, assertStatus, assertStored } from '../support/assert-status.ts'
import { type Answer, type Client, listen } from '../support/app.ts'

const TEXT = 'Grüße aus Köln. '.repeat(400)
const BYTES = Buffer.from(TEXT)

type Part = 'cache' | 'etag' | 'compress'
const ORDERS: Part[][] = [
  ['cache', 'etag', 'compress'],
  ['cache', 'compress', 'etag'],
  ['etag', 'compress', 'cache'],
  ['compress', 'etag', 'cache'],
  ['etag', 'cache', 'compress'],
  ['compress', 'cache', 'etag'],
]

async function startPage(
  t: TestContext,
  order: readonly Part[],
  handle: (reply: FastifyReply) => unknown,
  route: RouteCacheOptions = {},
): Promise<Client> {
  const app = Fastify()
  const parts: Record<Part, (to: FastifyInstance) => unknown> = {
    cache: (to) => to.register(responseCache, { defaults: { ttl: '1h' } }),
    etag: (to) => to.register(etag),
    compress: (to) => to.register(compress, { encodings: ['gzip'] }),
  }
  for (const part of order) await parts[part](app)
  app.get('/page', { config: { cache: { ttl: '1h', ...route } } }, async (_, reply) =>
    handle(reply),
  )
  return listen(t, app)
}

function plainBody({ headers, body }: Answer): string {
  const coding = headers['content-encoding']
  assert.ok(coding === undefined || coding === 'gzip', `coding ${coding}`)
  return String(coding === undefined ? body : gunzipSync(body))
}

function assertNotModified(answer: Answer): void {
  assert.equal(answer.status, 304)
  assert.equal(answer.text, '')
  assert.equal(answer.headers['content-encoding'], undefined)
}

for (const order of ORDERS) {
  const title = order.join(', ')

  for (const accepted of ['gzip', 'identity']) {
    const headers = { 'accept-encoding': accepted }

    test(`${title}: with the handler's own tag a hit is compared by the cache, for ${accepted}`, async (t) => {
      const client = await startPage(t, order, (reply) =>
        reply.type('text/plain').header('etag', '"own"').send(TEXT),
      )
      const first = await client.get('/page', headers)
      assertStored(first)
      assert.equal(plainBody(first), TEXT)
      for (const value of ['"own"', 'W/"own"', '"a", "own"', '*']) {
        const same = await client.get('/page', { ...headers, 'if-none-match': value })
        assertNotModified(same)
        assertHit(same)
        assert.equal(same.headers.etag, '"own"')
      }
      const other = await client.get('/page', { ...headers, 'if-none-match': '"other"' })
      assert.equal(other.status, 200)
      assertHit(other)
      assert.equal(plainBody(other), TEXT)
      assert.equal(other.headers['content-encoding'], first.headers['content-encoding'])
    })

    test(`${title}: without a tag of the handler the plugin's is the same on every hit, for ${accepted}`, async (t) => {
      const client = await startPage(t, order, (reply) => reply.type('text/plain').send(TEXT))
      const first = await client.get('/page', headers)
      assertStored(first)
      const tag = first.headers.etag
      const hit = await client.get('/page', headers)
      assertHit(hit)
      assert.equal(hit.headers.etag, tag)
      assert.equal(plainBody(hit), TEXT)
      if (tag === undefined) return
      const same = await client.get('/page', { ...headers, 'if-none-match': tag })
      assert.equal(same.status, 304)
      assert.equal(same.text, '')
      // Its own 304 on a request that fills leaves the whole answer in the cache.
      assert.equal(plainBody(await client.get('/page', headers)), TEXT)
    })

    test(`${title}: the option etag goes before the plugin, for ${accepted}`, async (t) => {
      const client = await startPage(t, order, () => ({ text: TEXT }), { etag: true })
      const first = await client.get('/page', headers)
      assertStored(first)
      const tag = first.headers.etag!
      assert.match(tag, /^W\/"~/)
      const hit = await client.get('/page', headers)
      assertHit(hit)
      assert.equal(hit.headers.etag, tag)
      assert.deepEqual(JSON.parse(plainBody(hit)), { text: TEXT })
      assertNotModified(await client.get('/page', { ...headers, 'if-none-match': tag }))
    })

    test(`${title}: a part is cut out of the plain body and not compressed, for ${accepted}`, async (t) => {
      const client = await startPage(t, order, (reply) => reply.type('text/plain').send(TEXT), {
        ranges: true,
        etag: true,
      })
      const first = await client.get('/page', headers)
      const part = await client.get('/page', { ...headers, range: 'bytes=3-4000' })
      assert.equal(part.status, 206)
      assertHit(part)
      assert.equal(part.headers['content-encoding'], undefined)
      assert.equal(part.headers['content-range'], `bytes 3-4000/${BYTES.length}`)
      assert.deepEqual(part.body, BYTES.subarray(3, 4001))
      // Weak: the compressed whole has it as well, and so no client puts parts of both together.
      assert.equal(part.headers.etag, first.headers.etag)
      assert.match(part.headers.etag ?? '', /^W\//)
    })
  }

  test(`${title}: a 304 that the plugin makes on a fill is this client's alone`, async (t) => {
    let runs = 0
    const client = await startPage(t, order, (reply) => {
      runs++
      return reply.type('text/plain').header('etag', '"own"').send(TEXT)
    })
    const first = await client.get('/page', { 'if-none-match': '"own"' })
    assert.equal(first.status, 304)
    assert.equal(first.text, '')
    assertStatus(first, { fwd: 'uri-miss', stored: true })
    const whole = await client.get('/page')
    assertHit(whole)
    assert.equal(whole.status, 200)
    assert.equal(whole.text, TEXT)
    assert.equal(runs, 1)
  })
}
