// Web streams and web responses on their way to the first client, and what is kept of them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'
import { createContext, runInContext } from 'node:vm'
import { gunzipSync } from 'node:zlib'

import compress from '@fastify/compress'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'

import type { StreamOutcome } from '../src/exchange-recording.ts'
import { tapStream } from '../src/exchange-stream.ts'
import { eventually } from './support/app.ts'
import { listening, response, sameWire, standsStill, startTaps, wire } from './support/taps.ts'

type Controller = ReadableStreamDefaultController<unknown>

const encoded = (text: string): Uint8Array => new TextEncoder().encode(text)

function streamOf(...parts: (string | Uint8Array)[]): ReadableStream {
  const rest = parts.slice()
  return new ReadableStream({
    pull(controller) {
      const next = rest.shift()
      if (next === undefined) controller.close()
      else controller.enqueue(next)
    },
  })
}

test('whatever the chunks, the client of a web stream gets the same bytes and the same are kept', async (t) => {
  let chunks: Uint8Array[] = []
  let type: 'bytes' | undefined
  const taps = await startTaps(t, () => {
    const start = (controller: Pick<Controller, 'enqueue' | 'close'>): void => {
      for (const part of chunks) controller.enqueue(part.slice())
      controller.close()
    }
    return type ? new ReadableStream({ type, start }) : new ReadableStream({ start })
  })
  const drawn = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20_000 }), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(drawn, fc.boolean(), async (parts, asBytes) => {
      chunks = parts
      type = asBytes ? 'bytes' : undefined
      taps.outcomes.length = 0
      await sameWire(taps)
      assert.deepEqual(taps.outcomes, [{ body: Buffer.concat(parts) }])
    }),
    { numRuns: 40 },
  )
})

test('the first byte of a web stream leaves before the second one exists', async (t) => {
  let control!: Controller
  const source = new ReadableStream({ start: (controller) => void (control = controller) })
  const { client, outcomes } = await startTaps(t, () => source)
  control.enqueue('first')
  const incoming = await response(client.port, '/tapped')
  const [first] = await once(incoming, 'data')
  assert.equal(String(first), 'first')
  assert.deepEqual(outcomes, [])
  control.enqueue(encoded(' and last'))
  control.close()
  await once(incoming, 'end')
  assert.deepEqual(outcomes, [{ body: Buffer.from('first and last') }])
})

test('a client that does not read stops a web stream of 50 MB, and gets all of it later', async (t) => {
  const total = 50 * 1024 * 1024
  let produced = 0
  const { client, outcome } = await startTaps(t, () => {
    return new ReadableStream({
      pull(controller) {
        produced += 64 * 1024
        controller.enqueue(new Uint8Array(64 * 1024))
        if (produced === total) controller.close()
      },
    })
  })
  const incoming = await response(client.port, '/tapped')
  incoming.pause()
  await standsStill(() => produced)
  assert.ok(produced < total / 2, `produced ${produced}`)
  let received = 0
  for await (const part of incoming) received += part.length
  assert.equal(received, total)
  assert.deepEqual(await outcome(), { failure: 'too-big' })
})

test('when the client goes away, the web stream is cancelled and nothing is kept', async (t) => {
  let cancelled = 0
  const { client, outcome, outcomes } = await startTaps(t, () => {
    return new ReadableStream({
      start: (controller) => controller.enqueue(encoded('first')),
      cancel: () => void cancelled++,
    })
  })
  const incoming = await response(client.port, '/tapped')
  await once(incoming, 'data')
  incoming.destroy()
  assert.deepEqual(await outcome(), { failure: 'incomplete' })
  await eventually(() => cancelled === 1, 'the source goes on')
  assert.equal(outcomes.length, 1)
})

test('a web stream that fails is to the client what it was without the tap', async (t) => {
  let reads = 0
  const taps = await startTaps(t, () => {
    let left = reads
    return new ReadableStream(
      {
        async pull(controller) {
          if (left-- > 0) return controller.enqueue(encoded('first'))
          // The client has the first one by then.
          for (let turn = 0; turn < 5; turn++) await later()
          controller.error(new Error('this is why'))
        },
      },
      { highWaterMark: 0 },
    )
  })
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 [^]*this is why/)
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
  taps.outcomes.length = 0
  reads = 1
  assert.match(await sameWire(taps), /^HTTP\/1\.1 200 [^]*first\r\n$/)
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
})

test('a web stream that is locked or has been read from is left alone', async (t) => {
  let make: () => unknown = () => undefined
  const taps = await startTaps(t, () => make())
  make = () => {
    const source = streamOf('text')
    source.getReader()
    return source
  }
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 [^]*FST_ERR_REP_READABLE_STREAM_LOCKED/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
  taps.outcomes.length = 0
  make = async () => {
    const source = streamOf('read', 'the rest')
    const reader = source.getReader()
    await reader.read()
    reader.releaseLock()
    return source
  }
  assert.match(await sameWire(taps), /\r\n\r\n8\r\nthe rest\r\n0/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a Response is answered as Fastify answers it: status, fields, body', async (t) => {
  const several = new Headers([
    ['x-one', '1'],
    ['set-cookie', 'a=1'],
    ['set-cookie', 'b=2; Path=/'],
    ['vary', 'accept'],
    ['vary', 'origin'],
  ])
  const makers: (() => Response)[] = [
    () => new Response('text'),
    () => new Response(encoded('bytes'), { status: 404, headers: several }),
    () => new Response(streamOf(encoded('some'), encoded('more')), { status: 203 }),
    () => new Response(null, { status: 204, headers: several }),
    () => new Response(null, { headers: { 'content-type': 'text/html' } }),
    () => new Response('', { headers: { 'content-length': '0' } }),
    () => Response.redirect('http://localhost/elsewhere', 302),
    () => Response.json({ a: 1 }),
    () => Response.error(),
    () => overridden(new Response('text'), 'status', 'a text'),
    () => overridden(new Response(null), 'body', 'neither stream nor null'),
    () => overridden(new Response('text'), 'body', Readable.from(['of another package'])),
  ]
  const taps = await startTaps(t, (request, reply) => {
    reply.header('set-cookie', 'own=1')
    reply.header('x-one', 'overwritten')
    return makers[Number(request.headers['x-maker'])]!()
  })
  for (const index of makers.keys()) await sameWire(taps, { fields: [`X-Maker: ${index}`] })
})

function overridden(response: Response, name: string, value: unknown): Response {
  return Object.defineProperty(response, name, { value })
}

test('the body of a Response is kept, its fields are on the reply when it is sent', async (t) => {
  const taps = await startTaps(t, () => new Response('the text', { status: 203 }))
  assert.match(await sameWire(taps), /^HTTP\/1\.1 203 [^]*content-type: text\/plain[^]*the text/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('the text') })
})

test('a Response that was read already is refused as without the tap', async (t) => {
  const taps = await startTaps(t, async () => {
    const used = new Response('text', { headers: { 'x-one': '1' } })
    await used.text()
    return used
  })
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 [^]*FST_ERR_REP_RESPONSE_BODY_CONSUMED/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a Response of another realm is one', async (t) => {
  const context = createContext({ body: () => streamOf('from afar') })
  const taps = await startTaps(t, () =>
    runInContext(
      `({ status: 202, headers: new Map([['x-one', '1']]), body: body(), bodyUsed: false,
          [Symbol.toStringTag]: 'Response' })`,
      context,
    ),
  )
  assert.match(await sameWire(taps), /^HTTP\/1\.1 202 [^]*x-one: 1\r\n[^]*from afar/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('from afar') })
})

test('what fetch answers is kept when it is whole, and not when upstream breaks off', async (t) => {
  let cut = false
  const upstream = createServer((_request, outgoing) => {
    outgoing.writeHead(200, { 'x-upstream': 'yes' })
    outgoing.write('from upstream')
    setImmediate(() => (cut ? outgoing.destroy() : outgoing.end()))
  })
  const port = await listening(t, upstream)
  const taps = await startTaps(t, async () => {
    const { body, status } = await fetch(`http://127.0.0.1:${port}/`)
    return new Response(body, { status })
  })
  assert.match(await sameWire(taps), /from upstream\r\n0\r\n\r\n$/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('from upstream') })
  taps.outcomes.length = 0
  cut = true
  await wire(taps.client, '/tapped')
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
})

test('compression of a Response sends its own bytes, and those of the handler are kept', async (t) => {
  const text = 'the same words again and again '.repeat(5000)
  const before = (app: FastifyInstance): unknown => app.register(compress, { threshold: 0 })
  const make = (): Response => new Response(streamOf(encoded(text)))
  const taps = await startTaps(t, make, { before })
  const { body } = await taps.client.get('/tapped', { 'accept-encoding': 'gzip' })
  assert.equal(String(gunzipSync(body)), text)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from(text) })
})

test('objects of a web stream flow on to the hook that makes bytes of them, and are not kept', async (t) => {
  const before = (app: FastifyInstance): unknown =>
    app.addHook('onSend', async (_request, _reply, payload) =>
      (payload as ReadableStream).pipeThrough(
        new TransformStream({ transform: (item, out) => out.enqueue(JSON.stringify(item)) }),
      ),
    )
  const taps = await startTaps(t, () => streamOf({ a: 1 } as never), { before })
  assert.match(await sameWire(taps), /\{"a":1\}/)
  assert.deepEqual(await taps.outcome(), { failure: 'error' })
})

test('a HEAD request cancels a web stream, and nothing is kept', async (t) => {
  const taps = await startTaps(t, () => streamOf('con', 'tent'))
  assert.match(await sameWire(taps, { method: 'HEAD' }), /^HTTP\/1\.1 200 [^]*\r\n\r\n$/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a tapped web stream reads one chunk when one is read, and none before', async () => {
  let pulls = 0
  const pull = (controller: Controller): void => controller.enqueue(++pulls)
  const source = new ReadableStream({ pull }, { highWaterMark: 0 })
  const onEnd = (): void => {}
  const reader = (tapStream(source, { maxBytes: 9, onEnd }) as ReadableStream).getReader()
  await later()
  assert.equal(pulls, 0)
  assert.deepEqual(await reader.read(), { done: false, value: 1 })
  await later()
  assert.equal(pulls, 1)
})

test('a tapped web stream is cancelled with its reason, also while a chunk is awaited', async () => {
  let reason: unknown
  const outcomes: StreamOutcome[] = []
  const source = new ReadableStream({ cancel: (given) => void (reason = given) })
  const onEnd = (outcome: StreamOutcome): void => void outcomes.push(outcome)
  const reader = (tapStream(source, { maxBytes: 9, onEnd }) as ReadableStream).getReader()
  const pending = reader.read()
  await later()
  await reader.cancel('no longer wanted')
  assert.deepEqual(await pending, { done: true, value: undefined })
  assert.equal(reason, 'no longer wanted')
  await later()
  assert.deepEqual(outcomes, [{ failure: 'incomplete' }])
})
