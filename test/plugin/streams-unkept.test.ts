// Streams that are not whole, not finite or not small: sent, and never kept.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { test } from 'node:test'

import type { FastifyReply } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import { Door, start } from '../support/app.ts'
import { assertHit, assertNotStored, assertStatus, statusOf } from '../support/assert-status.ts'

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from('only a part')
  // The head is on its way by now, so nobody can be told but by cutting the connection.
  await new Promise((resolve) => setImmediate(resolve))
  throw new Error('the source broke')
}

const CUT: [title: string, answer: (reply: FastifyReply) => unknown][] = [
  ['a Node stream that fails', async () => Readable.from(broken())],
  ['a web stream that fails', async () => Readable.toWeb(Readable.from(broken()))],
  [
    'a Response whose stream fails',
    async () => new Response(Readable.toWeb(Readable.from(broken())) as never),
  ],
  [
    'a Node stream that is destroyed',
    async () => {
      const stream = new Readable({ read() {} })
      stream.push('only a part')
      setTimeout(() => stream.destroy(), 20)
      return stream
    },
  ],
]

for (const [title, answer] of CUT) {
  test(`${title} is cut for its client and not kept for the next`, async (t) => {
    let breaks = true
    let runs = 0
    const client = await start(t, (app) => {
      app.get('/', { config: { cache: true } }, (_request, reply) => {
        runs++
        return breaks ? answer(reply) : reply.send('whole')
      })
    })
    await assert.rejects(client.get('/'))
    await assert.rejects(client.get('/'))
    assert.equal(runs, 2)
    breaks = false
    const next = await client.get('/')
    assert.equal(next.text, 'whole')
    assert.equal(statusOf(next).hit, undefined)
    assertHit(await client.get('/'))
  })
}

const LENGTHS: [title: string, length: number][] = [
  ['shorter than its Content-Length', 100],
  ['longer than its Content-Length', 3],
]
for (const [title, length] of LENGTHS) {
  test(`a stream ${title} is not kept`, async (t) => {
    const client = await start(t, (app) => {
      app.get('/', { config: { cache: true } }, async (_request, reply) =>
        reply.header('content-length', length).send(Readable.from(['five.'])),
      )
    })
    for (let times = 0; times < 2; times++) {
      const received = await client.raw('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      assert.doesNotMatch(received, /cache-status: fastify; hit/)
    }
  })
}

const TOO_BIG: [title: string, fields: Record<string, string>, detail: string | undefined][] = [
  ['that says so', { 'content-length': '11' }, 'too-big'],
  ['that does not say so', {}, undefined],
]
for (const [title, fields, detail] of TOO_BIG) {
  test(`a stream of more than maxBytes, ${title}, is sent whole and not kept`, async (t) => {
    const client = await start(t, (app) => {
      app.get('/', { config: { cache: { maxBytes: 10 } } }, async (_request, reply) =>
        reply.headers(fields).send(Readable.from(['12345', '67890', '1'])),
      )
    })
    for (let times = 0; times < 2; times++) {
      const answer = await client.get('/')
      assert.equal(answer.text, '12345678901')
      if (detail !== undefined) assertNotStored(answer, detail)
      assert.equal(statusOf(answer).hit, undefined)
    }
  })
}

test('a stream of maxBytes is kept', async (t) => {
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: { maxBytes: 10 } } }, async () =>
      Readable.from(['12345', '67890']),
    )
  })
  await client.get('/')
  assertHit(await client.get('/'))
})

for (const [title, stream] of [
  ['a Node stream', () => Readable.from(['data: 1\n\n'])],
  ['a web stream', () => Readable.toWeb(Readable.from([Buffer.from('data: 1\n\n')]))],
] as const) {
  test(`${title} of events is passed on and never kept`, async (t) => {
    const client = await start(t, (app) => {
      app.get('/', { config: { cache: true } }, async (_request, reply) =>
        reply.type('text/event-stream').send(stream()),
      )
    })
    for (let times = 0; times < 2; times++) {
      const answer = await client.get('/')
      assert.equal(answer.text, 'data: 1\n\n')
      assertNotStored(answer, 'stream')
    }
  })
}

test('those who would wait for a stream of events run at once', async (t) => {
  const door = new Door()
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: true } }, async (_request, reply) =>
      reply.type('text/event-stream').send(
        Readable.from(
          (async function* () {
            yield 'data: 1\n\n'
            await door.pass()
          })(),
        ),
      ),
    )
  })
  const both = [client.get('/'), client.get('/')]
  await door.reached(2)
  door.open()
  for (const { text } of await Promise.all(both)) assert.equal(text, 'data: 1\n\n')
})

test('a Response of events is passed on and never kept', async (t) => {
  const client = await start(t, (app) => {
    app.get(
      '/',
      { config: { cache: true } },
      async () => new Response('data: 1\n\n', { headers: { 'content-type': 'text/event-stream' } }),
    )
  })
  for (let times = 0; times < 2; times++) assertNotStored(await client.get('/'), 'stream')
})

test('a client that leaves midway leaves nothing behind for the next one', async (t) => {
  let runs = 0
  let destroyed = 0
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: true } }, async () => {
      if (++runs > 1) return 'whole'
      const stream = new Readable({
        read() {
          this.push(Buffer.alloc(16 * 1024, 'x'))
        },
        destroy(error, done) {
          destroyed++
          done(error)
        },
      })
      return stream
    })
  })
  const outgoing = request({ port: client.port, host: '127.0.0.1', agent: false }).end()
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  await once(incoming, 'data')
  const waiting = client.get('/')
  incoming.on('error', () => {})
  incoming.destroy()
  assert.equal((await waiting).text, 'whole')
  assert.equal((await client.get('/')).text, 'whole')
  assert.equal(destroyed, 1)
})

test('the body of HEAD is not waited for and does not fill the cache', async (t) => {
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: true } }, async () => Readable.from(['text']))
  })
  const head = await client.head('/')
  assert.equal(head.status, 200)
  assertStatus(head, { fwd: 'uri-miss' })
  assertStatus(await client.get('/'), { fwd: 'uri-miss', stored: true })
})

test('a stream whose page carries the nonce of its Content-Security-Policy is not kept', async (t) => {
  let nth = 0
  const client = await start(t, (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      Object.assign(reply, { cspNonce: { script: `nonce-${++nth}` } })
    })
    app.get('/', { config: { cache: true } }, async (_request, reply) => {
      const { script } = (reply as unknown as { cspNonce: { script: string } }).cspNonce
      return Readable.from([`<script nonce="${script}">`])
    })
  })
  assert.match((await client.get('/')).text, /nonce-1/)
  assert.match((await client.get('/')).text, /nonce-2/)
})

const OPTIONS: [title: string, options: RouteCacheOptions][] = [
  ['storable refuses', { storable: () => false }],
  ['ttl is undefined', { ttl: () => undefined }],
]
for (const [title, options] of OPTIONS) {
  test(`a stream is not kept where ${title}`, async (t) => {
    const client = await start(t, (app) => {
      app.get(
        '/',
        { config: { cache: options } },
        async () =>
          new ReadableStream({
            start(controller) {
              controller.enqueue(Buffer.from('text'))
              controller.close()
            },
          }),
      )
    })
    for (let times = 0; times < 2; times++) {
      const answer = await client.get('/')
      assert.equal(answer.text, 'text')
      assert.equal(statusOf(answer).fwd, 'uri-miss')
      assert.equal(statusOf(answer).stored, undefined)
    }
  })
}
