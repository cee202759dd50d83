// What many requests together may make this process hold.
import assert from 'node:assert/strict'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { type Client, Door, eventually, listen } from '../support/app.ts'
import { requestText } from '../support/wire.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'

async function start(
  t: TestContext,
  cache: ResponseCacheOptions,
  build: (app: FastifyInstance) => unknown,
): Promise<{ app: FastifyInstance; client: Client }> {
  const app = Fastify({ forceCloseConnections: true })
  await app.register(responseCache, { defaults: { ttl: '1h' }, ...cache })
  build(app)
  return { app, client: await listen(t, app) }
}

test('the pages that are in use stay in memory under a flood of URLs that are asked for once', async (t) => {
  const { app, client } = await start(t, { memory: { maxBytes: 400_000 } }, (app) => {
    app.get('/:id', { config: { cache: true } }, async () => 'x'.repeat(100))
  })
  const hot = Array.from({ length: 30 }, (_, at) => `/hot${at}`)
  for (let round = 0; round < 3; round++) for (const path of hot) await client.get(path)
  for (let n = 0; n < 450; n++) {
    assertStored(await client.get(`/once${n}`))
    if (n % 9 === 0) assertHit(await client.get(hot[(n / 9) % hot.length]!))
  }
  assert.ok(app.cache.stats().memory!.bytes <= 400_000)
})

/** Half a body of 30 kB, and the rest when the door is open. */
function half(door: Door): Readable {
  return Readable.from(
    (async function* () {
      yield Buffer.alloc(15_000, 'a')
      await door.pass()
      yield Buffer.alloc(15_000, 'b')
    })(),
  )
}

test('streamed bodies on their way are recorded within a bound for all of them', async (t) => {
  const door = new Door()
  const { app, client } = await start(
    t,
    // A quarter of it: 60 kB.
    { memory: { maxBytes: 240_000, maxEntryBytes: 50_000 } },
    (app) => app.get('/:id', { config: { cache: true } }, async () => half(door)),
  )
  const answers = Array.from({ length: 8 }, (_, at) => client.get(`/${at}`))
  await door.reached(8)
  door.open()
  for (const answer of await Promise.all(answers)) assert.equal(answer.text.length, 30_000)
  const { failures } = app.cache.stats()
  assert.ok(failures['stream']! >= 1 && failures['stream']! < 8, JSON.stringify(failures))
  // What was given back is there for the next.
  await client.get('/later')
  assertHit(await client.get('/later'))
  assert.equal(app.cache.stats().failures['stream'], failures['stream'])
})

test('a client that hangs up gives back what was recorded for it, although the source goes on', async (t) => {
  const door = new Door()
  const { app, client } = await start(
    t,
    { memory: { maxBytes: 240_000, maxEntryBytes: 50_000 } },
    (app) => {
      app.get('/slow/:id', { config: { cache: true } }, async () => half(door))
      app.get('/fast', { config: { cache: true } }, async () => Readable.from(['x'.repeat(40_000)]))
    },
  )
  let closed = 0
  for (let n = 0; n < 12; n++) {
    const asked: ClientRequest = request(`${client.origin}/slow/${n}`).end()
    asked.on('error', () => {})
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    answer.on('error', () => {}).on('close', () => closed++)
    await once(answer, 'data')
    asked.destroy()
  }
  await eventually(() => closed === 12, 'all are closed')
  await eventually(() => app.cache.stats().flights === 0, 'the server knows')
  await client.get('/fast')
  assertHit(await client.get('/fast'))
  assert.equal(app.cache.stats().failures['stream'], undefined)
  door.open()
})

// Regression: before Node 24 a response that waits behind others on its connection is told nothing when
// that closes. What was recorded for it was held for good, so that in the end no stream was kept, and
// those who waited did so until maxWaitMs.
test('clients that pipeline requests and hang up leave nothing behind', async (t) => {
  const options = { memory: { maxBytes: 1_200_000, maxEntryBytes: 250_000 } }
  // More than a response takes before it has its turn.
  const chunk = 'x'.repeat(100_000)
  const door = new Door()
  const { app, client } = await start(t, options, (app) => {
    app.get('/before', async () => door.pass().then(() => 'late'))
    app.get('/page/:id', { config: { cache: true } }, async () => Readable.from([chunk, chunk]))
  })
  let gone = 0
  app.server.on('connection', (socket) => socket.on('close', () => gone++))
  for (let n = 0; n < 12; n++) {
    const socket = connect(client.port, '127.0.0.1').on('error', () => {})
    socket.write(requestText('/before') + requestText(`/page/${n}`))
    await eventually(() => door.arrived === n + 1 && app.cache.stats().flights === 1, 'both run')
    socket.destroy()
    await eventually(() => gone === n + 1, 'the server knows')
    await eventually(() => app.cache.stats().flights === 0, 'nobody would wait')
  }
  assert.equal((await client.get('/page/0')).text, chunk + chunk)
  assertHit(await client.get('/page/0'))
  assert.equal(app.cache.stats().failures['stream'], undefined)
  door.open()
})

test('a client that hangs up before the first byte of a stream leaves nothing that others could wait for', async (t) => {
  const [before, during] = [new Door(), new Door()]
  const { app, client } = await start(t, {}, (app) => {
    app.get<{ Params: { when: string } }>(
      '/:when',
      { config: { cache: true } },
      async (request) => {
        if (request.params.when === 'before') await before.pass()
        return Readable.from(
          (async function* () {
            await during.pass()
            yield 'late'
          })(),
        )
      },
    )
  })
  let gone = 0
  app.server.on('connection', (socket) => socket.on('close', () => gone++))
  for (const [path, door] of [
    ['/before', before],
    ['/during', during],
  ] as const) {
    const asked = request(`${client.origin}${path}`).end()
    asked.on('error', () => {})
    await door.reached()
    asked.destroy()
  }
  await eventually(() => gone === 2, 'the server knows')
  before.open()
  await eventually(() => app.cache.stats().flights === 0, 'no flight is left')
  during.open()
  assertStored(await client.get('/during'))
})
