import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { promisify } from 'node:util'

import { Door } from './support/app.ts'
import { eventually, inTime } from './support/clock.ts'
import { markStored, refreshingApp } from './support/refreshing-app.ts'

describe('a handler that does not come to an end', () => {
  it('frees the place, counts as failed, sees a client that goes, and may answer late', async (t) => {
    const door = new Door()
    const seen: string[] = []
    const { run, start, troubles, revalidator } = await refreshingApp(
      t,
      (app) => {
        app.addHook('onRequestAbort', async (_request) => void seen.push('aborted'))
        app.addHook('onSend', async () => void seen.push('sent'))
        app.get('/', async (request) => {
          request.signal.addEventListener('abort', () => seen.push('signal'))
          await door.pass()
          return 'x'.repeat(100_000)
        })
      },
      { maxRunMs: 30 },
    )
    await run()
    assert.match(troubles[0]!, /no complete answer within 30 ms$/)
    assert.equal(start(), undefined)
    await eventually('the application knows', () => seen.length === 2)
    door.open()
    await eventually('the late answer is made', () => seen.length === 3)
    assert.deepEqual(seen, ['signal', 'aborted', 'sent'])
    assert.equal(revalidator.running, 0)
    assert.equal(troubles.length, 1)
  })

  it('sees a client that goes, although it has waited for the end of the request', async (t) => {
    const seen: string[] = []
    const { run } = await refreshingApp(
      t,
      (app) => {
        app.addHook('onRequestAbort', async (_request) => void seen.push('aborted'))
        app.get('/', async (request, reply) => {
          await once(request.raw.resume(), 'end')
          reply.raw.on('close', () => seen.push('closed'))
          return new Promise(() => {})
        })
      },
      { maxRunMs: 30 },
    )
    await run()
    await eventually('the application knows', () => seen.length === 2)
    assert.deepEqual(seen, ['aborted', 'closed'])
  })

  it('is ended when it streams without end, and its source is closed', async (t) => {
    const source = new Readable({
      read(): void {
        setImmediate(() => this.push('again'))
      },
    })
    const { run, troubles } = await refreshingApp(
      t,
      (app) => app.get('/', (_request, reply) => reply.send(source)),
      { maxRunMs: 50 },
    )
    await run()
    assert.match(troubles[0]!, /no complete answer within 50 ms$/)
    await eventually('the source is closed', () => source.destroyed)
  })
})

describe('a large answer', () => {
  const CHUNK_BYTES = 64 * 1024
  const CHUNKS = 6400
  const sources: [string, (next: () => Buffer | undefined) => unknown][] = [
    [
      'a stream of Node',
      (next) =>
        new Readable({
          read(): void {
            this.push(next() ?? null)
          },
        }),
    ],
    [
      'a web stream',
      (next) =>
        new ReadableStream<Buffer>({
          pull(controller): void {
            const chunk = next()
            if (chunk === undefined) controller.close()
            else controller.enqueue(chunk)
          },
        }),
    ],
  ]
  for (const [name, source] of sources) {
    it(`is dropped as it comes, and others get their turn: ${name}`, async (t) => {
      let left = CHUNKS
      let peak = 0
      let turns = 0
      const held = (): number => process.memoryUsage().arrayBuffers
      const next = (): Buffer | undefined => {
        peak = Math.max(peak, held())
        return left-- > 0 ? Buffer.alloc(CHUNK_BYTES, 'x') : undefined
      }
      const { run, troubles } = await refreshingApp(t, (app) => {
        app.get('/', (request, reply) => {
          markStored(request)
          return reply.send(source(next))
        })
      })
      const before = held()
      const timer = setInterval(() => turns++, 1)
      await run()
      clearInterval(timer)
      assert.deepEqual(troubles, [])
      assert.equal(left, -1)
      // What the collector has not come to yet is counted too.
      assert.ok(peak - before < (CHUNKS * CHUNK_BYTES) / 2, `${peak - before} bytes were held`)
      assert.ok(turns > 10, `the event loop turned ${turns} times`)
    })
  }
})

describe('close', () => {
  it('waits for what is nearly done, and refuses further refreshes', async (t) => {
    const door = new Door()
    const ended: string[] = []
    const { start, revalidator } = await refreshingApp(t, (app) => {
      app.addHook('onResponse', async () => void ended.push('answered'))
      app.get('/', async (request) => {
        await door.pass()
        markStored(request)
        return 'fresh'
      })
    })
    start()
    await door.reached()
    const closed = revalidator.close().then(() => ended.push('closed'))
    assert.equal(start({}, 'other'), undefined)
    door.open()
    await inTime('the end', closed)
    assert.deepEqual(ended, ['answered', 'closed'])
  })

  it('goes when its time is over, and ends what is under way without a complaint', async (t) => {
    const door = new Door()
    const seen: string[] = []
    const { start, revalidator, troubles } = await refreshingApp(
      t,
      (app) => {
        app.addHook('onRequestAbort', async (_request) => void seen.push('aborted'))
        app.get('/', async () => door.pass())
      },
      { maxCloseMs: 20 },
    )
    start()
    await door.reached()
    await inTime('the end', Promise.all([revalidator.close(), revalidator.close()]))
    assert.equal(revalidator.running, 0)
    await eventually('the application knows', () => seen.length === 1)
    assert.deepEqual(troubles, [])
    door.open()
  })

  it('does not begin what was only about to begin when its time is over', async (t) => {
    let asked = 0
    const { start, revalidator } = await refreshingApp(
      t,
      (app) => app.get('/', () => `${asked++}`),
      { maxCloseMs: 0 },
    )
    // From here on timers come first, and the time of `close` is over before the refresh begins.
    await nextTurn()
    start()
    const closed = revalidator.close()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
    await closed
    assert.equal(revalidator.running, 0)
    await nextTurn()
    await nextTurn()
    assert.equal(asked, 0)
  })

  it('is no failure of a refresh that the closing application refuses', async (t) => {
    const door = new Door()
    const { start, app, revalidator, troubles } = await refreshingApp(t, (app) => {
      app.addHook('onClose', () => revalidator.close())
      app.addHook('onRequest', () => door.pass())
      app.get('/', (_request, reply) => reply.code(503).send('closing'))
    })
    start()
    await door.reached()
    const closed = app.close()
    await eventually('nothing is accepted', () => start({}, 'other') === undefined)
    door.open()
    await inTime('the end', closed)
    assert.equal(revalidator.running, 0)
    assert.deepEqual(troubles, [])
  })
})

it('keeps no process alive', async () => {
  const program = `
    import Fastify from 'fastify'
    import { Revalidator } from ${JSON.stringify(new URL('../src/revalidator.js', import.meta.url).href)}
    const app = Fastify()
    app.get('/', () => new Promise(() => {}))
    await app.ready()
    const revalidator = new Revalidator({ dispatch: app.routing, now: Date.now, onTrouble: () => {} })
    const request = { url: '/', host: 'a', protocol: 'http', remoteAddress: undefined, headers: {} }
    revalidator.refresh('key', request, { key: 'key' })
    setTimeout(() => console.log('running', revalidator.running), 20)`
  const node = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
  })
  const { stdout } = await inTime('the end of the process', node)
  assert.equal(stdout, 'running 1\n')
})

it('has a bound without being told one', async (t) => {
  const { start, revalidator } = await refreshingApp(
    t,
    (app) => app.get('/', () => new Promise(() => {})),
    { maxCloseMs: 0 },
  )
  for (let at = 0; at < 64; at++) assert.notEqual(start({}, `key ${at}`), undefined)
  assert.equal(start({}, 'one more'), undefined)
  assert.equal(revalidator.running, 64)
})
