// A Node stream on its way to the first client, and what is kept of it.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { connect, createServer as createHttp2Server } from 'node:http2'
import { PassThrough, Readable, Transform } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'
import { gunzipSync } from 'node:zlib'

import compress from '@fastify/compress'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'

import { tapStream } from '../src/exchange-stream.ts'
import { eventually } from './support/app.ts'
import { listening, response, sameWire, standsStill, startTaps, wire } from './support/taps.ts'

const MIB = 1024 * 1024

const chunk = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.uint8Array({ maxLength: 40_000 }).map((bytes) => Buffer.from(bytes)),
  fc.uint8Array({ maxLength: 40 }),
)
const bytesOf = (chunks: readonly (string | Uint8Array)[]): Buffer =>
  Buffer.concat(chunks.map((part) => Buffer.from(part as string)))

test('whatever the chunks, the client gets the same bytes and the same are kept', async (t) => {
  let chunks: (string | Uint8Array)[] = []
  let objectMode = true
  const taps = await startTaps(t, () => Readable.from(chunks, { objectMode, highWaterMark: 3 }))
  await fc.assert(
    fc.asyncProperty(fc.array(chunk, { maxLength: 12 }), fc.boolean(), async (drawn, asObjects) => {
      chunks = drawn
      objectMode = asObjects
      taps.outcomes.length = 0
      await sameWire(taps)
      assert.deepEqual(taps.outcomes, [{ body: bytesOf(drawn) }])
    }),
    { numRuns: 60 },
  )
})

test('the first byte leaves before the second one exists, and the end comes with the outcome', async (t) => {
  const source = new PassThrough()
  const { client, outcomes } = await startTaps(t, () => source)
  source.write('first')
  const incoming = await response(client.port, '/tapped')
  const [first] = await once(incoming, 'data')
  assert.equal(String(first), 'first')
  assert.deepEqual(outcomes, [])
  source.end(' and last')
  await once(incoming, 'end')
  assert.deepEqual(outcomes, [{ body: Buffer.from('first and last') }])
})

test('the payload stays the stream that it was', async () => {
  const source = new Readable({ highWaterMark: 7, read() {} })
  const tapped = tapStream(source, { maxBytes: 1, onEnd: () => assert.fail('nothing ended') })
  assert.equal(tapped, source)
  assert.equal(source.listenerCount('data'), 0)
  assert.equal(source.readableFlowing, null)
  assert.deepEqual(Object.keys(source).includes('emit'), false)
  assert.equal(source.push('123456'), true)
  assert.equal(source.push('7'), false)
})

test('a client that does not read stops a source of 50 MB, and gets all of it later', async (t) => {
  const total = 50 * MIB
  const produced = { '/plain': 0, '/tapped': 0 }
  const { client, outcome } = await startTaps(t, ({ url }) => {
    const path = url as keyof typeof produced
    return new Readable({
      read() {
        produced[path] += 64 * 1024
        this.push(Buffer.alloc(64 * 1024))
        if (produced[path] === total) this.push(null)
      },
    })
  })
  for (const path of ['/plain', '/tapped'] as const) {
    const incoming = await response(client.port, path)
    incoming.pause()
    await standsStill(() => produced[path])
    // What the kernel holds for both ends, and nothing near the whole.
    assert.ok(produced[path] < total / 2, `${path} produced ${produced[path]}`)
    let received = 0
    for await (const part of incoming) received += part.length
    assert.equal(received, total)
  }
  assert.deepEqual(await outcome(), { failure: 'too-big' })
})

test('a body of maxBytes is kept; one byte more is not, told at once, and sent whole', async (t) => {
  let source = new PassThrough()
  const { client, outcomes } = await startTaps(t, () => source, { maxBytes: 10 })
  source.write('12345')
  source.end('67890')
  assert.equal((await client.get('/tapped')).text, '1234567890')
  assert.deepEqual(outcomes, [{ body: Buffer.from('1234567890') }])
  outcomes.length = 0
  source = new PassThrough()
  source.write('12345')
  const incoming = await response(client.port, '/tapped')
  source.write('678901')
  await eventually(() => outcomes.length > 0, 'not told while the stream goes on')
  source.end(' and more')
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part)
  assert.equal(String(Buffer.concat(parts)), '12345678901 and more')
  assert.deepEqual(outcomes, [{ failure: 'too-big' }])
})

test('when the client goes away midway, the source is destroyed and nothing is kept', async (t) => {
  const sources: PassThrough[] = []
  const { client, outcomes, outcome } = await startTaps(t, () => {
    const source = new PassThrough()
    source.write('first')
    sources.push(source)
    return source
  })
  for (const path of ['/plain', '/tapped']) {
    const incoming = await response(client.port, path)
    await once(incoming, 'data')
    incoming.destroy()
  }
  assert.deepEqual(await outcome(), { failure: 'incomplete' })
  await eventually(() => sources.every(({ destroyed }) => destroyed), 'a source lives on')
  await later()
  assert.equal(outcomes.length, 1)
})

test('a source that fails is to the client what it was without the tap', async (t) => {
  let fail: (source: PassThrough) => void = () => {}
  const taps = await startTaps(t, () => {
    const source = new PassThrough()
    setImmediate(() => fail(source))
    return source
  })
  const told = async (): Promise<unknown> => {
    const outcome = await taps.outcome()
    taps.outcomes.length = 0
    return outcome
  }
  fail = (source) => source.destroy(new Error('before the first byte'))
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 [^]*before the first byte/)
  assert.deepEqual(await told(), { failure: 'error' })

  const afterFirst = (error?: Error) => (source: PassThrough) => {
    source.write('first')
    setImmediate(() => setImmediate(() => source.destroy(error)))
  }
  fail = afterFirst(new Error('after the first byte'))
  assert.match(await sameWire(taps), /^HTTP\/1\.1 200 [^]*first\r\n$/)
  assert.deepEqual(await told(), { failure: 'error' })

  fail = afterFirst()
  assert.match(await sameWire(taps), /^HTTP\/1\.1 200 [^]*first\r\n$/)
  assert.deepEqual(await told(), { failure: 'incomplete' })
})

test('a stream that is over already is answered as ever, and nothing is kept', async (t) => {
  let over: () => unknown = () => undefined
  const taps = await startTaps(t, () => over())
  over = async () => {
    const source = Readable.from(['gone'])
    for await (const part of source) assert.equal(part, 'gone')
    return source
  }
  assert.match(await sameWire(taps), /^HTTP\/1\.1 200 [^]*content-length: 0\r\n\r\n$/i)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
  taps.outcomes.length = 0
  over = () => new PassThrough().destroy()
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 /)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('an empty stream is an empty body', async (t) => {
  const taps = await startTaps(t, () => Readable.from([]))
  assert.match(await sameWire(taps), /content-length: 0\r\n\r\n$/i)
  assert.deepEqual(await taps.outcome(), { body: Buffer.alloc(0) })
})

test('objects flow on to the hook that makes bytes of them, and are not kept', async (t) => {
  const before = (app: FastifyInstance): unknown =>
    app.addHook('onSend', async (_request, _reply, payload) =>
      (payload as Readable).pipe(
        new Transform({
          writableObjectMode: true,
          transform: (item, _encoding, done) => done(null, `${JSON.stringify(item)}\n`),
        }),
      ),
    )
  const taps = await startTaps(t, () => Readable.from([{ a: 1 }, { b: 2 }]), { before })
  assert.match(await sameWire(taps), /\{"a":1\}\n[^]*\{"b":2\}\n/)
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
})

test('answers without content are what they were: HEAD, 204, 304', async (t) => {
  for (const status of [200, 204, 304]) {
    const before = (app: FastifyInstance): unknown =>
      app.addHook('onSend', async (_request, reply, payload) => {
        reply.code(status)
        return payload
      })
    const taps = await startTaps(t, () => Readable.from(['con', 'tent']), { before })
    const received = await sameWire(taps, { method: status === 200 ? 'HEAD' : 'GET' })
    assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\n\r\n$`))
    assert.deepEqual(await taps.outcome(), { body: Buffer.from('content') })
  }
})

test('compression sends its own bytes, and those of the handler are kept', async (t) => {
  const text = 'the same words again and again '.repeat(5000)
  const source = (): Readable => Readable.from(text.match(/[^]{1,999}/g)!)
  const before = (app: FastifyInstance): unknown => app.register(compress, { threshold: 0 })
  const make = (_request: unknown, reply: { type: (type: string) => unknown }): Readable => {
    reply.type('text/plain')
    return source()
  }
  const taps = await startTaps(t, make, { before })
  const sent = { fields: ['Accept-Encoding: gzip'] }
  assert.match(await sameWire(taps, sent), /content-encoding: gzip/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from(text) })
  const { body } = await taps.client.get('/tapped', { 'accept-encoding': 'gzip' })
  assert.equal(String(gunzipSync(body)), text)
})

test('a reply with trailers sends them after a tapped stream', async (t) => {
  const taps = await startTaps(t, (_request, reply) => {
    reply.trailer('x-sum', async () => '42')
    return Readable.from(['counted'])
  })
  assert.match(await sameWire(taps), /counted\r\n0\r\nx-sum: 42\r\n\r\n$/i)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('counted') })
})

test('an answer from upstream is kept when it is whole, trailers left out', async (t) => {
  let cut = false
  const upstream = createServer((_request, response) => {
    response.writeHead(200, { trailer: 'x-end' })
    response.write('from upstream')
    response.addTrailers({ 'x-end': 'yes' })
    setImmediate(() => (cut ? response.destroy() : response.end()))
  })
  const port = await listening(t, upstream)
  const taps = await startTaps(t, () => response(port, '/'))
  assert.match(await sameWire(taps), /from upstream\r\n0\r\n\r\n$/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('from upstream') })
  taps.outcomes.length = 0
  cut = true
  assert.match(await sameWire(taps), /from upstream\r\n$/)
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
})

test('an HTTP/2 stream whose session is cut off ends, and is not kept as if it were whole', async (t) => {
  let cut = false
  const upstream = createHttp2Server()
  upstream.on('stream', (stream) => {
    stream.on('error', () => {})
    stream.respond({ ':status': 200 })
    stream.write('from upstream')
    setImmediate(() => (cut ? stream.session!.destroy() : stream.end()))
  })
  const port = await listening(t, upstream)
  const taps = await startTaps(t, () => {
    const session = connect(`http://127.0.0.1:${port}`).on('error', () => {})
    const stream = session.request({ ':path': '/' })
    return stream.on('close', () => session.destroy())
  })
  assert.match(await sameWire(taps), /from upstream\r\n0\r\n\r\n$/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('from upstream') })
  taps.outcomes.length = 0
  cut = true
  assert.match(await wire(taps.client, '/tapped'), /from upstream/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})
