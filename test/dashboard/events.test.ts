import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { type TestContext, describe, it } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'

import dashboard from '../../src/dashboard/index.ts'
import type { InvalidationSeen } from '../../src/dashboard/messages.ts'
import responseCache from '../../src/index.ts'
import { type Client, Door, eventually } from '../support/app.ts'
import { PREFIX, Watcher, connectTo, startDashboard, watch } from './watching.ts'

const FAST = { unprotected: true, intervalMs: 250 }
const EVENTS = `${PREFIX}/api/events`

/** Counts how often the page is told anything. */
function countLooks(
  app: FastifyInstance,
  seen: () => InvalidationSeen[] = () => [],
): { count: number } {
  const looks = { count: 0 }
  Object.assign(app.cache, {
    invalidations: () => {
      looks.count++
      return seen()
    },
  })
  return looks
}

/** Another dashboard, whose ticks tell the time. */
async function addClock(app: FastifyInstance): Promise<void> {
  await app.register(responseCache, { decorateAs: 'other', defaults: { ttl: '1m' } })
  const { other } = app as unknown as { other: typeof app.cache }
  await app.register(dashboard, { prefix: '/clock', ...FAST, caches: other })
}

const addRoutes = (app: FastifyInstance): void => {
  for (const path of ['/a', '/b']) app.get(path, { config: { cache: true } }, () => path)
}

describe('A page that is open', () => {
  it('is told how all stands, and then what has changed', async (t) => {
    const client = await startDashboard(t, { options: FAST, build: addRoutes })
    await client.get('/a')
    const watcher = await watch(client)
    t.after(() => watcher.close())
    const [first] = watcher.told
    assert.equal(first!.event, 'state')
    assert.deepEqual(Object.keys(first!.data.stats.routes), ['/a', '/b'])
    assert.equal(first!.data.caches[0], 'cache')
    await watcher.hasTicks(2)
    await client.get('/a')
    await eventually(
      () => watcher.ticks.some(({ data }) => data.stats.hits === 1),
      'the hit was not told',
    )
    const told = watcher.ticks.slice(1).flatMap(({ data }) => Object.keys(data.stats.routes))
    assert.deepEqual(told, ['/a'], 'once, and of that route alone')
    const { data } = watcher.ticks.at(-1)!
    assert.equal('ageAtHit' in data.stats || 'namespaces' in data.stats, false)
  })

  it('is told the same as all others, and its end ends nothing for them', async (t) => {
    let looks = { count: 0 }
    const client = await startDashboard(t, {
      options: FAST,
      build: (app) => {
        looks = countLooks(app)
      },
    })
    const watchers = await Promise.all([watch(client), watch(client), watch(client)])
    t.after(() => watchers.forEach((watcher) => watcher.close()))
    const [one, two] = watchers
    await Promise.all(watchers.map((watcher) => watcher.hasTicks(2)))
    const at = one!.ticks.at(-1)!.data.at
    await eventually(() => two!.ticks.some(({ data }) => data.at === at), 'another tick was told')
    assert.ok(looks.count <= 3 + one!.ticks.length + 2, 'each tick was made once for all')
    one!.close()
    const before = two!.ticks.length
    await two!.hasTicks(before + 2)
  })

  it('costs nothing any more when the last is closed', async (t) => {
    let looks = { count: 0 }
    const client = await startDashboard(t, {
      options: FAST,
      build: async (app) => {
        looks = countLooks(app)
        await addClock(app)
      },
    })
    const watcher = await watch(client)
    await watcher.hasTicks(1)
    const clock = await watch(client, '', '/clock')
    t.after(() => clock.close())
    watcher.close()
    await clock.hasTicks(2)
    const before = looks.count
    await clock.hasTicks(5)
    assert.equal(looks.count, before)
    const again = await watch(client)
    await again.hasTicks(2)
    again.close()
  })

  it('is one of fifty: more are refused until one is closed', async (t) => {
    const client = await startDashboard(t, { options: FAST })
    const streams = await Promise.all(Array.from({ length: 50 }, () => connectTo(client, EVENTS)))
    for (const stream of streams) {
      assert.equal(stream.statusCode, 200)
      stream.resume().on('error', () => undefined)
    }
    const refused = await client.get(EVENTS)
    assert.equal(refused.status, 503)
    assert.match(JSON.parse(refused.text).message, /50 pages are open/)
    streams[0]!.destroy()
    let status: number | undefined
    while (status !== 200) {
      const stream = await connectTo(client, EVENTS)
      stream.on('error', () => undefined).destroy()
      status = stream.statusCode
    }
    for (const stream of streams) stream.destroy()
  })

  it('of another cache is told of that', async (t) => {
    const client = await startDashboard(t, {
      options: (app) => ({ ...FAST, caches: { one: app.cache, two: app.cache } }),
    })
    const watcher = await watch(client, '?cache=two')
    assert.equal(watcher.told[0]!.data.cache, 'two')
    watcher.close()
    assert.equal((await client.get(`${EVENTS}?cache=three`)).status, 400)
    assert.equal((await client.head(EVENTS)).status, 404)
  })
})

describe('A page that takes nothing', () => {
  const MB = 1024 * 1024

  async function startSlow(
    t: TestContext,
    bytes: number,
  ): Promise<{
    client: Client
    replies: FastifyReply[]
    looks: { count: number }
    app: FastifyInstance
  }> {
    const replies: FastifyReply[] = []
    let looks = { count: 0 }
    let own!: FastifyInstance
    const tags = [{ kind: 'tag', name: 'x'.repeat(bytes) }]
    const huge = (): InvalidationSeen[] => [{ seq: 1, at: 0, mode: 'soft', count: 1, tags }]
    const client = await startDashboard(t, {
      options: FAST,
      build: (app) => {
        own = app
        looks = countLooks(app, huge)
        addRoutes(app)
        app.addHook('onRequest', async (request, reply) => {
          if (request.url === EVENTS) replies.push(reply)
        })
      },
    })
    return { client, replies, looks, app: own }
  }

  it('is not written to until it does, and then has all that it missed', async (t) => {
    const { client, replies, looks } = await startSlow(t, 4 * MB)
    const response = await connectTo(client, EVENTS)
    response.pause()
    await eventually(() => replies[0]!.raw.writableNeedDrain, 'it takes all')
    const before = looks.count
    await client.get('/a')
    await eventually(() => looks.count > before + 3, 'time stands still')
    const waiting = replies[0]!.raw.writableLength
    assert.ok(waiting < 12 * MB, `${waiting} bytes wait for it`)
    const watcher = new Watcher(response)
    t.after(() => watcher.close())
    response.resume()
    await eventually(() => {
      return watcher.ticks.some(({ data }) => data.stats.routes['/a']?.misses === 1)
    }, 'what it missed was not told')
  })

  it('does not keep the application from closing', async (t) => {
    // More than the buffers of two sockets take.
    const { client, replies, looks, app } = await startSlow(t, 32 * MB)
    const socket = connect(client.port, '127.0.0.1')
    t.after(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.write(`GET ${EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    socket.pause()
    await eventually(() => looks.count > 2, 'time stands still')
    assert.equal(replies[0]!.raw.writableNeedDrain, true)
    await app.close()
    assert.equal(replies[0]!.raw.writableFinished, false)
  })
})

describe('The end', () => {
  it('comes after a quarter of an hour, so that whoever watches is let in anew', async (t) => {
    const client = await startDashboard(t, { options: FAST })
    const watcher = await watch(client)
    await watcher.hasTicks(1)
    const now = performance.now.bind(performance)
    t.mock.method(performance, 'now', () => now() + 16 * 60_000)
    await watcher.ended()
    const again = await watch(client)
    await again.hasTicks(1)
    again.close()
  })

  it('of the application ends all streams', async (t) => {
    const app = Fastify({ forceCloseConnections: false })
    t.after(() => app.close())
    await app.register(responseCache, { defaults: { ttl: '1m' } })
    await app.register(dashboard, { prefix: PREFIX, ...FAST })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = { port: (app.server.address() as { port: number }).port } as Client
    const watchers = await Promise.all([watch(client), watch(client)])
    await app.close()
    for (const watcher of watchers) await watcher.ended()
  })

  it('of a client that has gone before it was answered leaves nothing behind', async (t) => {
    let looks = { count: 0 }
    let isGone = false
    const door = new Door()
    const client = await startDashboard(t, {
      options: FAST,
      build: async (app) => {
        looks = countLooks(app)
        Object.assign(app.cache, { processes: () => door.pass().then(() => []) })
        app.addHook('onRequest', async (_request, reply) => {
          reply.raw.once('close', () => (isGone = true))
        })
        await addClock(app)
      },
    })
    const socket = connect(client.port, '127.0.0.1')
    socket.write(`GET ${EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await door.reached()
    socket.destroy()
    await eventually(() => isGone, 'the server has not noticed')
    door.open()
    const clock = await watch(client, '', '/clock')
    t.after(() => clock.close())
    const before = looks.count
    await clock.hasTicks(3)
    assert.equal(looks.count, before)
  })

  it('of a tick that cannot be made ends the streams, and not the process', async (t) => {
    let breaks = false
    const lines: string[] = []
    const client = await startDashboard(t, {
      fastify: { logger: { stream: { write: (line: string) => void lines.push(line) } } },
      options: FAST,
      build: (app) => {
        countLooks(app, () => {
          if (breaks) throw new Error('cannot be made')
          return []
        })
      },
    })
    const watcher = await watch(client)
    breaks = true
    await watcher.ended()
    assert.ok(lines.some((line) => line.includes('cannot tell how the cache stands')))
    breaks = false
    const again = await watch(client)
    await again.hasTicks(1)
    again.close()
  })
})

describe('Over HTTP/2', () => {
  it('a page is told the same, and the application closes', async (t) => {
    const app = Fastify({ http2: true })
    await app.register(responseCache, { defaults: { ttl: '1m' } })
    await app.register(dashboard, { prefix: PREFIX, ...FAST })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as { port: number }
    const session: ClientHttp2Session = connectHttp2(`http://127.0.0.1:${port}`)
    t.after(() => session.destroy())
    const stream = session.request({ ':path': EVENTS })
    let text = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    const [headers] = await once(stream, 'response')
    assert.equal(headers[':status'], 200)
    assert.match(String(headers['content-security-policy']), /^default-src 'none'/)
    await eventually(() => text.includes('event: tick'), 'no tick came')
    assert.match(text, /^retry: 1000\nevent: state\ndata: /)
    const body = JSON.stringify({ by: 'tag', value: 'a' })
    const changed = session.request({
      ...{ ':method': 'POST', ':path': `${PREFIX}/api/invalidate` },
      ...{ origin: `http://127.0.0.1:${port}`, 'content-type': 'application/json' },
    })
    changed.end(body)
    assert.equal(
      await changed.setEncoding('utf8').reduce((all, part) => all + part, ''),
      '{"seq":1}',
    )
    await app.close()
  })
})
