// Streams of every kind: kept while they flow to the first client, and answered from there.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { type TestContext, mock, test } from 'node:test'

import compress from '@fastify/compress'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { gunzipSync } from 'node:zlib'

import { type Client, Door, lastingHeaders, start, startBoth } from '../support/app.ts'
import { assertHit, assertStatus, assertStored } from '../support/assert-status.ts'

type Handler = (reply: FastifyReply) => unknown

const CHUNKS = ['first ', 'sécond ', '', 'third 🎉']
const TEXT = CHUNKS.join('')
const BYTES = CHUNKS.map((chunk) => Buffer.from(chunk))

function webStream(chunks: readonly Uint8Array[] = BYTES): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}

const PAYLOADS: [title: string, handler: Handler][] = [
  ['a Node stream of buffers', async () => Readable.from(BYTES)],
  ['a Node stream of texts', async () => Readable.from(CHUNKS.filter((chunk) => chunk !== ''))],
  ['a sent Node stream', (reply) => reply.type('text/plain').send(Readable.from(BYTES))],
  ['a sent Node stream, returned by nobody', (reply) => void reply.send(Readable.from(BYTES))],
  ['an empty Node stream', async () => Readable.from([])],
  [
    'a Node stream with the right length',
    async (reply) => reply.header('content-length', Buffer.byteLength(TEXT)).send(webStream()),
  ],
  ['a web stream', async () => webStream()],
  ['an empty web stream', async () => webStream([])],
  ['a Response', async () => new Response(TEXT)],
  ['a Response of a stream', async () => new Response(webStream() as never)],
  [
    'a Response with fields',
    async () =>
      new Response(TEXT, { headers: { 'content-type': 'text/css', 'x-a': '1', etag: '"e"' } }),
  ],
  ['a Response without a body', async () => new Response(null, { headers: { 'x-a': '1' } })],
  [
    'a Response under fields of the reply',
    async (reply) => reply.header('x-b', '2').send(new Response(TEXT, { headers: { 'x-a': '1' } })),
  ],
]

for (const [title, handler] of PAYLOADS) {
  test(`${title} is kept, and a hit is what the handler answers without the cache`, async (t) => {
    let runs = 0
    const { cached, plain } = await startBoth(t, (app) => {
      app.get('/', { config: { cache: true } }, (_request, reply) => {
        runs++
        return handler(reply)
      })
    })
    const expected = await plain.get('/')
    runs = 0
    const miss = await cached.get('/')
    assertStored(miss)
    const hit = await cached.get('/')
    assertHit(hit)
    assert.equal(runs, 1)
    for (const answer of [miss, hit]) {
      assert.equal(answer.status, expected.status)
      assert.ok(answer.body.equals(expected.body), `${answer.text} is not ${expected.text}`)
    }
    const { 'transfer-encoding': _chunked, ...fields } = lastingHeaders(expected)
    const length = { 'content-length': String(expected.body.length) }
    assert.deepEqual(lastingHeaders(hit), { ...fields, ...length })
    const head = await cached.head('/')
    assertHit(head)
    assert.equal(head.body.length, 0)
    // What hooks make of a stream without a type is not known before it has flowed.
    const { 'content-length': told = length['content-length'], ...others } = lastingHeaders(head)
    assert.deepEqual({ ...others, 'content-length': told }, { ...fields, ...length })
  })
}

test('a Response of another status is kept where the route names it, and not elsewhere', async (t) => {
  const client = await start(t, (app) => {
    const gone = async (): Promise<Response> =>
      new Response('gone', { status: 410, headers: { 'x-a': '1' } })
    app.get('/named', { config: { cache: { statuses: { 410: true } } } }, gone)
    app.get('/unnamed', { config: { cache: true } }, gone)
  })
  assertStored(await client.get('/named'))
  const hit = await client.get('/named')
  assertHit(hit)
  assert.deepEqual([hit.status, hit.text, hit.headers['x-a']], [410, 'gone', '1'])
  for (let times = 0; times < 2; times++) {
    const { status, text } = await client.get('/unnamed')
    assert.deepEqual([status, text], [410, 'gone'])
    assertStatus(await client.get('/unnamed'), { fwd: 'uri-miss', detail: 'status' })
  }
})

test('what a Response says of itself counts: cookies and private are not kept', async (t) => {
  const client = await start(t, (app) => {
    const config = { cache: true }
    app.get(
      '/cookie',
      { config },
      async () => new Response('', { headers: { 'set-cookie': 'a=1' } }),
    )
    app.get(
      '/private',
      { config },
      async () => new Response('', { headers: { 'cache-control': 'private' } }),
    )
  })
  for (let times = 0; times < 2; times++) {
    assertStatus(await client.get('/cookie'), { fwd: 'uri-miss', detail: 'set-cookie' })
    assertStatus(await client.get('/private'), { fwd: 'uri-miss', detail: 'private' })
  }
})

/** The beginning of an answer, and the rest when it has come. */
async function begin(
  client: Client,
): Promise<{ first: string; incoming: IncomingMessage; rest: () => Promise<string> }> {
  const outgoing = request({ port: client.port, host: '127.0.0.1', agent: false }).end()
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  const [chunk] = (await once(incoming, 'data')) as [Buffer]
  incoming.pause()
  return {
    first: chunk.toString(),
    incoming,
    rest: async () => {
      let text = ''
      for await (const more of incoming) text += String(more)
      return text
    },
  }
}

async function startSlow(
  t: TestContext,
  wrap: (source: Readable) => unknown = (source) => source,
): Promise<{ client: Client; door: Door; runs: () => number }> {
  const door = new Door()
  let runs = 0
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: { coalesce: { maxWaitMs: 5000 } } } }, async () => {
      runs++
      return wrap(
        Readable.from(
          (async function* () {
            yield Buffer.from('first ')
            await door.pass()
            yield Buffer.from('second')
          })(),
        ),
      )
    })
  })
  return { client, door, runs: () => runs }
}

for (const [title, wrap] of [
  ['a Node stream', undefined],
  ['a web stream', (source: Readable) => Readable.toWeb(source)],
  ['a Response', (source: Readable) => new Response(Readable.toWeb(source) as never)],
] as const) {
  test(`the first byte of ${title} leaves before the second one exists`, async (t) => {
    const { client, door } = await startSlow(t, wrap)
    const { first, rest } = await begin(client)
    assert.equal(first, 'first ')
    door.open()
    assert.equal(await rest(), 'second')
    const hit = await client.get('/')
    assertHit(hit)
    assert.equal(hit.text, 'first second')
  })
}

test('requests that come while a stream flows wait for its end and share it', async (t) => {
  const { client, door, runs } = await startSlow(t)
  const leader = await begin(client)
  const followers = [client.get('/'), client.get('/')]
  await door.reached()
  door.open()
  assert.equal(await leader.rest(), 'second')
  for (const answer of await Promise.all(followers)) {
    assert.equal(answer.text, 'first second')
    assert.ok(
      answer.headers['cache-status'] === 'fastify; fwd=uri-miss; collapsed' ||
        String(answer.headers['cache-status']).startsWith('fastify; hit'),
    )
  }
  assert.equal(runs(), 1)
})

test('what was invalidated while a stream flowed is not kept, and not shared', async (t) => {
  const door = new Door()
  let app!: FastifyInstance
  let version = 'old'
  const client = await start(t, (instance) => {
    app = instance
    app.get('/', { config: { cache: { tags: ['page'] } } }, async () =>
      Readable.from(
        (async function* () {
          yield `${version} `
          await door.pass()
          yield 'end'
        })(),
      ),
    )
  })
  const { rest } = await begin(client)
  version = 'new'
  await app.cache.invalidateTags(['page'])
  door.open()
  assert.equal(await rest(), 'end')
  assert.equal((await client.get('/')).text, 'new end')
})

test('compression is made for each client, and the stored bytes are those of the handler', async (t) => {
  const long = 'a text that compresses well. '.repeat(200)
  const client = await start(t, async (app) => {
    await app.register(compress, { threshold: 0, encodings: ['gzip'] })
    app.get('/', { config: { cache: true } }, async (_request, reply) =>
      reply.type('text/plain').send(Readable.from([long])),
    )
  })
  const zipped = await client.get('/', { 'accept-encoding': 'gzip' })
  assert.equal(zipped.headers['content-encoding'], 'gzip')
  assert.equal(gunzipSync(zipped.body).toString(), long)
  const plain = await client.get('/')
  assertHit(plain)
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.text, long)
  const again = await client.get('/', { 'accept-encoding': 'gzip' })
  assertHit(again)
  assert.equal(gunzipSync(again.body).toString(), long)
})

test('a stored stream answers ranges and conditions as any other stored response', async (t) => {
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: { ranges: true } } }, async (_request, reply) =>
      reply.header('etag', '"e"').send(Readable.from(BYTES)),
    )
  })
  assertStored(await client.get('/'))
  const part = await client.get('/', { range: 'bytes=0-4' })
  assert.deepEqual([part.status, part.text], [206, 'first'])
  const unchanged = await client.get('/', { 'if-none-match': '"e"' })
  assert.deepEqual([unchanged.status, unchanged.text], [304, ''])
})

test('a part and a confirmed response have the type of the whole, and none where that has none', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const types: [path: string, type: string | undefined, answer: () => unknown][] = [
    ['/stream', undefined, () => Readable.from(BYTES)],
    ['/buffer', 'application/octet-stream', () => Buffer.from(TEXT)],
    ['/text', 'text/plain; charset=utf-8', () => TEXT],
  ]
  const client = await start(t, (app) => {
    for (const [path, , answer] of types) {
      const config = { cache: { ttl: 1, ranges: true } }
      app.get(path, { config }, async (request, reply) => {
        reply.header('etag', '"e"')
        return request.headers['if-none-match'] === '"e"' ? reply.code(304).send() : answer()
      })
    }
  })
  for (const [path, type] of types) {
    const seen = async (headers = {}): Promise<unknown> => {
      const answer = await client.get(path, headers)
      return [answer.status, answer.text, answer.headers['content-type']]
    }
    assert.deepEqual(await seen(), [200, TEXT, type])
    assert.deepEqual(await seen({ range: 'bytes=0-4' }), [206, 'first', type])
    mock.timers.tick(2000)
    assert.deepEqual(await seen(), [200, TEXT, type], 'confirmed')
    assert.deepEqual(await seen(), [200, TEXT, type], 'a hit after that')
    assert.deepEqual(await seen({ range: 'bytes=0-4' }), [206, 'first', type])
  }
})

test('a slow reader slows the source down, and the whole is kept in the end', async (t) => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  let made = 0
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: true } }, async () =>
      Readable.from(
        (function* () {
          for (; made < 100; made++) yield chunk
        })(),
      ),
    )
  })
  const { incoming, rest } = await begin(client)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.ok(made < 100, 'the source waits for the reader')
  assert.ok(incoming.isPaused())
  await rest()
  const hit = await client.get('/')
  assertHit(hit)
  assert.equal(hit.body.length, 100 * chunk.length)
})
