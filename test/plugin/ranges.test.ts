// The route option `ranges`: parts are cut out of a stored 200 (RFC 9110 §14), in bytes.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyReply } from 'fastify'

import { assertHit, assertStatus, assertStored } from '../support/assert-status.ts'
import { type Answer, type Client, Door, openDoor, start } from '../support/app.ts'
import type { RouteCacheOptions } from '../../src/index.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

const MODIFIED = 'Tue, 04 Nov 2025 10:00:00 GMT'
const TEXT = 'Grüße aus Köln — 東京'
const BYTES = Buffer.from(TEXT)

interface Scene {
  client: Client
  part: (range: string, headers?: Record<string, string>) => Promise<Answer>
  runs: () => number
}

async function startPage(
  t: TestContext,
  handle: (reply: FastifyReply) => unknown = () => TEXT,
  { cache = {}, route = {} }: { cache?: object; route?: RouteCacheOptions } = {},
): Promise<Scene> {
  let runs = 0
  const client = await start(
    t,
    (app) => {
      const options = { ttl: '1h', ranges: true, ...route }
      app.get('/page', { config: { cache: options } }, async (_, reply) => {
        runs++
        return handle(reply)
      })
    },
    { cache },
  )
  const part = (range: string, headers = {}): Promise<Answer> =>
    client.get('/page', { range, ...headers })
  return { client, part, runs: () => runs }
}

function assertPart(answer: Answer, start: number, end: number, whole: Buffer = BYTES): void {
  assert.equal(answer.status, 206)
  assertHit(answer)
  assert.deepEqual(answer.body, whole.subarray(start, end))
  assert.equal(answer.headers['content-range'], `bytes ${start}-${end - 1}/${whole.length}`)
  assert.equal(answer.headers['content-length'], String(end - start))
  assert.equal(answer.headers['accept-ranges'], 'bytes')
}

function assertWhole(answer: Answer): void {
  assert.equal(answer.status, 200)
  assert.equal(answer.text, TEXT)
  assert.equal(answer.headers['content-range'], undefined)
  assert.equal(answer.headers['content-length'], String(BYTES.length))
}

const { length } = BYTES
const PARTS: [range: string, start: number, end: number][] = [
  ['bytes=0-0', 0, 1],
  ['bytes=2-6', 2, 7],
  ['bytes=5-', 5, length],
  ['bytes=-4', length - 4, length],
  ['bytes=-9999', 0, length],
  ['bytes=3-9999', 3, length],
  [`bytes=${length - 1}-`, length - 1, length],
  ['BYTES= 2-6 ,', 2, 7],
]

testInAllTiers('one range is cut in bytes, wherever characters begin', async (t, cache) => {
  const { client, part, runs } = await startPage(t, undefined, { cache })
  const first = await client.get('/page')
  assertStored(first)
  for (const [range, from, to] of PARTS) {
    const answer = await part(range)
    assertPart(answer, from, to)
    assert.equal(answer.headers['content-type'], first.headers['content-type'])
  }
  const whole = await client.get('/page')
  assertHit(whole)
  assertWhole(whole)
  assert.equal(whole.headers['accept-ranges'], 'bytes')
  assert.equal(runs(), 1)
})

for (const range of [
  'bytes=0-1,3-4',
  'bytes=4-2',
  'bytes=',
  'bytes=-',
  'bytes=a-b',
  'bytes 0-1',
  'lines=0-1',
  'bytes=0-1;x',
  '0-1',
]) {
  test(`Range: ${range} is answered with the whole`, async (t) => {
    const { client, part } = await startPage(t)
    await client.get('/page')
    const answer = await part(range)
    assertHit(answer)
    assertWhole(answer)
  })
}

for (const range of [`bytes=${length}-`, 'bytes=9999-10000', 'bytes=-0']) {
  // Regression: it said how long it is fresh, so caches on the way could keep it for the page.
  test(`Range: ${range} cannot be satisfied, and that is nothing to keep`, async (t) => {
    const fields = {
      etag: '"v1"',
      'cache-control': 'max-age=60',
      expires: MODIFIED,
      'content-language': 'de',
    }
    for (const route of [{}, { clientCacheControl: 'max-age=5' }]) {
      const { client, part } = await startPage(
        t,
        (reply) => ('clientCacheControl' in route ? TEXT : reply.headers(fields).send(TEXT)),
        { route },
      )
      await client.get('/page')
      const answer = await part(range)
      assert.equal(answer.status, 416)
      assertHit(answer)
      assert.equal(answer.text, '')
      assert.equal(answer.headers['content-range'], `bytes */${length}`)
      assert.equal(answer.headers['content-length'], '0')
      for (const name of ['cache-control', 'expires', 'etag', 'content-language']) {
        assert.equal(answer.headers[name], undefined, name)
      }
    }
  })
}

const STRONG = { etag: '"v1"', 'last-modified': MODIFIED }
const IF_RANGE: [Record<string, string>, string, isPart: boolean][] = [
  [STRONG, '"v1"', true],
  [STRONG, '"v2"', false],
  [STRONG, 'W/"v1"', false],
  [{ etag: 'W/"v1"' }, 'W/"v1"', false],
  [{}, '"v1"', false],
  [STRONG, MODIFIED, true],
  [STRONG, 'Tue, 04 Nov 2025 10:00:01 GMT', false],
  [{ etag: '"v1"' }, MODIFIED, false],
  [STRONG, 'nonsense', false],
]
for (const [fields, value, isPart] of IF_RANGE) {
  test(`If-Range: ${value} with ${JSON.stringify(fields)} gives ${isPart ? 'the part' : 'the whole'}`, async (t) => {
    const { client, part } = await startPage(t, (reply) => reply.headers(fields).send(TEXT))
    await client.get('/page')
    const answer = await part('bytes=0-3', { 'if-range': value })
    assertHit(answer)
    if (isPart) assertPart(answer, 0, 4)
    else assertWhole(answer)
  })
}

test('a tag of our own is weak, so If-Range gives the whole and If-None-Match is honoured first', async (t) => {
  const { client, part } = await startPage(t, undefined, { route: { etag: true } })
  const etag = (await client.get('/page')).headers.etag!
  assertWhole(await part('bytes=0-3', { 'if-range': etag }))
  const plain = await part('bytes=0-3')
  assertPart(plain, 0, 4)
  assert.equal(plain.headers.etag, etag)
  assert.equal((await part('bytes=0-3', { 'if-none-match': etag })).status, 304)
})

const BODIES: [string, (reply: FastifyReply) => unknown, Buffer][] = [
  ['a buffer', () => BYTES, BYTES],
  ['an object', () => ({ text: TEXT }), Buffer.from(JSON.stringify({ text: TEXT }))],
  [
    'JSON as a text',
    (reply) => reply.type('application/json').send('{"a":"ö"}'),
    Buffer.from('{"a":"ö"}'),
  ],
  ['HTML', (reply) => reply.type('text/html').send('<p>ö'), Buffer.from('<p>ö')],
  ['a text without type', () => 'öö', Buffer.from('öö')],
]
for (const [what, handle, whole] of BODIES) {
  // Regression: a part of a text without a type was called application/octet-stream.
  testInAllTiers(`a part of ${what} has the type of the whole`, async (t, cache) => {
    const { client, part } = await startPage(t, handle, { cache })
    const first = await client.get('/page')
    const again = await client.get('/page')
    const answer = await part('bytes=1-3')
    assertPart(answer, 1, 4, whole)
    assert.equal(again.headers['content-type'], first.headers['content-type'])
    assert.equal(answer.headers['content-type'], first.headers['content-type'])
  })
}

test('a part has the fields of the whole', async (t) => {
  const fields = { ...STRONG, 'cache-control': 'max-age=60', vary: 'accept-language', 'x-own': '1' }
  const { client, part } = await startPage(t, (reply) => reply.headers(fields).send(TEXT))
  await client.get('/page')
  const answer = await part('bytes=0-3')
  assertPart(answer, 0, 4)
  for (const [name, value] of Object.entries(fields)) assert.equal(answer.headers[name], value)
})

test('a Content-Length of the handler is that of the part, in a part', async (t) => {
  const { client, part } = await startPage(t, (reply) =>
    reply.header('content-length', BYTES.length).send(BYTES),
  )
  await client.get('/page')
  assertPart(await part('bytes=0-3'), 0, 4)
  assertWhole(await client.get('/page'))
})

test('HEAD has no ranges: it says what GET without one would', async (t) => {
  const { client } = await startPage(t)
  await client.get('/page')
  const head = await client.head('/page', { range: 'bytes=0-3' })
  assertHit(head)
  assert.equal(head.status, 200)
  assert.equal(head.headers['content-length'], String(length))
  assert.equal(head.headers['content-range'], undefined)
  assert.equal(head.headers['accept-ranges'], 'bytes')
})

test('a request that waited gets its part', async (t) => {
  const door = new Door()
  const gate = openDoor()
  const client = await start(t, (app) => {
    const config = { cache: { ttl: '1h', ranges: true } }
    app.get('/page', { config, preHandler: async () => gate.pass() }, async () => {
      await door.pass()
      return TEXT
    })
  })
  const leader = client.get('/page')
  await door.reached()
  const follower = client.get('/page', { range: 'bytes=2-6' })
  await gate.reached(2)
  door.open()
  assertStored(await leader)
  const answer = await follower
  assert.equal(answer.status, 206)
  assert.deepEqual(answer.body, BYTES.subarray(2, 7))
  assertStatus(answer, { fwd: 'uri-miss', collapsed: true })
})

test('on a miss the handler answers the Range; its own 206 is not stored', async (t) => {
  const { part, client, runs } = await startPage(t, (reply) =>
    reply.request.headers.range === undefined
      ? TEXT
      : reply.code(206).header('content-range', `bytes 0-1/${length}`).send(BYTES.subarray(0, 2)),
  )
  const first = await part('bytes=0-1')
  assert.equal(first.status, 206)
  assertStatus(first, { fwd: 'uri-miss', detail: 'status' })
  const whole = await client.get('/page')
  assertWhole(whole)
  assertStored(whole)
  assertPart(await part('bytes=0-1'), 0, 2)
  assert.equal(runs(), 2)
})

test('a handler that knows no ranges answers 200 on a miss, and parts are cut out of that', async (t) => {
  const { part, runs } = await startPage(t)
  const first = await part('bytes=0-3')
  assertStored(first)
  assertWhole(first)
  assertPart(await part('bytes=0-3'), 0, 4)
  assert.equal(runs(), 1)
})

test('without the option, and of anything but 200, there are no parts', async (t) => {
  const without = await startPage(t, undefined, { route: { ranges: false } })
  const missing = await startPage(t, (reply) => reply.code(404).send(TEXT), {
    route: { statuses: { 404: '1m' } },
  })
  for (const [{ client, part }, status] of [
    [without, 200],
    [missing, 404],
  ] as const) {
    await client.get('/page')
    const answer = await part('bytes=0-3')
    assertHit(answer)
    assert.equal(answer.status, status)
    assert.equal(answer.text, TEXT)
    assert.equal(answer.headers['accept-ranges'], undefined)
  }
})

test('an empty page has no parts', async (t) => {
  const { client, part } = await startPage(t, () => '')
  await client.get('/page')
  assert.equal((await part('bytes=-5')).status, 200)
  const none = await part('bytes=0-')
  assert.equal(none.status, 416)
  assert.equal(none.headers['content-range'], 'bytes */0')
})
