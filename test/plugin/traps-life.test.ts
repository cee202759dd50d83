// Around the handler: clients that go away, tracing, HTTP/2, the process the plugin lives in.
import assert from 'node:assert/strict'
import { tracingChannel } from 'node:diagnostics_channel'
import { connect, constants } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import responseCache from '../../src/index.ts'
import { assertHit, assertStatus, assertStored } from '../support/assert-status.ts'
import { Door, PATIENCE_MS, eventually, openDoor, start, startBoth } from '../support/app.ts'

test('when the client of a leader goes away, its run still serves the others and the cache', async (t) => {
  const door = new Door()
  const gate = openDoor()
  let runs = 0
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true }, preHandler: async () => gate.pass() }, async () => {
      runs++
      await door.pass()
      return `run ${runs}`
    })
  })
  const gone = new AbortController()
  const leader = client.send('GET', '/x', { signal: gone.signal })
  await door.reached()
  const followers = [client.get('/x'), client.get('/x')]
  await gate.reached(3)
  await later()
  gone.abort()
  await assert.rejects(leader, { name: 'AbortError' })
  door.open()
  for (const answer of await Promise.all(followers)) {
    assert.equal(answer.text, 'run 1')
    assertStatus(answer, { fwd: 'uri-miss', collapsed: true })
  }
  assertHit(await client.get('/x'))
  assert.equal(runs, 1)
})

test('when the client of a follower goes away, nobody else notices', async (t) => {
  const door = new Door()
  const gate = openDoor()
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true }, preHandler: async () => gate.pass() }, async () => {
      await door.pass()
      return 'page'
    })
  })
  const leader = client.get('/x')
  await door.reached()
  const gone = new AbortController()
  const follower = client.send('GET', '/x', { signal: gone.signal })
  const other = client.get('/x')
  await gate.reached(3)
  await later()
  gone.abort()
  await assert.rejects(follower, { name: 'AbortError' })
  door.open()
  assertStored(await leader)
  assertStatus(await other, { fwd: 'uri-miss', collapsed: true })
})

test('a leader whose client is gone and whose handler answers nothing frees those who wait', async (t) => {
  const door = new Door()
  const gate = openDoor()
  let runs = 0
  const client = await start(t, (app) => {
    const cache = { coalesce: { maxWaitMs: PATIENCE_MS / 2 } }
    app.get('/x', { config: { cache }, preHandler: async () => gate.pass() }, async () => {
      runs++
      if (runs === 1) await door.pass()
    })
  })
  const gone = new AbortController()
  const leader = client.send('GET', '/x', { signal: gone.signal })
  await door.reached()
  const follower = client.get('/x')
  await gate.reached(2)
  await later()
  gone.abort()
  await assert.rejects(leader, { name: 'AbortError' })
  // Fastify sends nothing for an async handler that resolves with nothing after an abort.
  await later()
  const openedAt = performance.now()
  door.open()
  assert.equal((await follower).status, 200)
  const waited = performance.now() - openedAt
  assert.ok(waited < PATIENCE_MS / 4, `released after ${waited} ms, when waiting was given up`)
})

test('the handler channel of Fastify sees a start and an end for each request, cached or not', async (t) => {
  const channel = tracingChannel<string, { request: FastifyRequest; reply: FastifyReply }>(
    'fastify.request.handler',
  )
  const open = new Map<unknown, string[]>()
  const note =
    (event: string) =>
    (store: object): void => {
      open.set(store, [...(open.get(store) ?? []), event])
    }
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  }
  channel.subscribe(subscribers)
  t.after(() => channel.unsubscribe(subscribers))
  const door = new Door()
  const { cached, plain } = await startBoth(t, (app) => {
    const config = { cache: true }
    app.get('/async', { config }, async () => 'page')
    app.get('/sync', { config }, () => 'page')
    app.get(
      '/callback',
      { config },
      (_request, reply) => void setImmediate(() => void reply.send('page')),
    )
    app.get('/error', { config }, async () => {
      throw new Error('broken')
    })
    app.get('/slow', { config }, async () => {
      await door.pass()
      return 'page'
    })
  })
  const eventsOf = async (ask: () => Promise<unknown>): Promise<string[][]> => {
    open.clear()
    await ask()
    await later()
    return [...open.values()]
  }
  for (const path of ['/async', '/sync', '/callback', '/error']) {
    const expected = await eventsOf(() => plain.get(path))
    assert.deepEqual(await eventsOf(() => cached.get(path)), expected, `${path}, miss`)
    const [events] = await eventsOf(() => cached.get(path))
    if (path === '/error') assert.deepEqual(events, expected[0])
    else assert.deepEqual(events?.slice(0, 2), ['start', 'end'], `${path}, hit`)
  }
  const events = await eventsOf(async () => {
    const together = [cached.get('/slow'), cached.get('/slow'), cached.get('/slow')]
    await door.reached()
    await eventually(() => open.size === together.length, 'all of them have come')
    door.open()
    await Promise.all(together)
  })
  const whole = ['start', 'end', 'asyncStart', 'asyncEnd']
  assert.deepEqual(events, [whole, whole, whole])
})

// Regression: a subscriber makes Fastify take another way, on which error handlers that set no
// status answer 500 instead of 200; on every route, and in other applications of the process.
test('the plugin does not change how routes that are not cached answer errors', async (t) => {
  const declare = (app: FastifyInstance): void => {
    app.setErrorHandler(async () => 'handled')
    app.get('/x', async () => {
      throw new Error('broken')
    })
  }
  // Asked before any cache is in the process: what is changed by one may be changed for all.
  const plain = await start(t, declare, { cache: false })
  const expected = await plain.get('/x')
  const cached = await start(t, declare)
  for (const client of [cached, plain]) {
    const answer = await client.get('/x')
    assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
  }
})

test('the plugin subscribes to no channel of Fastify', async (t) => {
  const before = tracingChannel('fastify.request.handler').start.hasSubscribers
  await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  assert.deepEqual(
    [before, tracingChannel('fastify.request.handler').start.hasSubscribers],
    [false, false],
  )
})

test('an HTTP/2 application caches, also large bodies, and keeps authorities apart', async (t) => {
  const app = Fastify({ http2: true })
  await app.register(responseCache, { defaults: { ttl: '1h' } })
  let runs = 0
  app.get('/x', { config: { cache: true } }, async (request, reply) => {
    runs++
    void reply.header('x-own', 'yes')
    return `${request.host} ${'x'.repeat(300_000)}`
  })
  app.get('/skip', { config: { cache: true } }, async (_request, reply) => {
    reply.header('set-cookie', 'a=1')
    return 'page'
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const session = connect(`http://127.0.0.1:${port}`)
  // The server waits for its sessions.
  t.after(async () => {
    session.destroy()
    await app.close()
  })
  const get = (
    path: string,
    fields: Record<string, string> = {},
  ): Promise<{ headers: never; text: string }> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ [constants.HTTP2_HEADER_PATH]: path, ...fields })
      let headers: unknown
      let text = ''
      stream.setEncoding('utf8').on('response', (received) => (headers = received))
      stream.on('data', (chunk: string) => (text += chunk)).on('error', reject)
      stream.on('end', () => resolve({ headers: headers as never, text }))
    })
  const miss = await get('/x')
  assert.equal(miss.headers['cache-status'], 'fastify; fwd=uri-miss; stored')
  const hit = await get('/x')
  assert.match(hit.headers['cache-status'], /^fastify; hit; ttl=\d+$/)
  assert.deepEqual([hit.text, hit.headers['x-own'], hit.headers['age']], [miss.text, 'yes', '0'])
  const other = await get('/x', { ':authority': 'other.example' })
  assert.ok(other.text.startsWith('other.example '))
  assert.equal(runs, 2)
  const anonymous = await get('/x', { authorization: 'Bearer x' })
  assert.match(anonymous.headers['cache-status'], /fwd=bypass/)
  for (let visit = 0; visit < 2; visit++) {
    assert.match((await get('/skip')).headers['cache-status'], /detail=set-cookie/)
  }
})

test('closing the application while requests wait lets them go', async (t) => {
  const door = new Door()
  const gate = openDoor()
  let close!: () => Promise<undefined>
  const client = await start(t, (app) => {
    close = () => app.close()
    app.get('/x', { config: { cache: true }, preHandler: async () => gate.pass() }, async () => {
      await door.pass()
      return 'page'
    })
  })
  const together = [client.get('/x'), client.get('/x')]
  await gate.reached(2)
  await door.reached()
  const closed = close()
  door.open()
  for (const answer of await Promise.all(together)) assert.equal(answer.text, 'page')
  await closed
})
