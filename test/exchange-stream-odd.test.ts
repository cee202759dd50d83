// Streams that are not what they should be, and those that must be left alone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable, Stream, Writable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import fc from 'fast-check'
import Fastify, { type FastifyInstance } from 'fastify'

import type { StreamOutcome } from '../src/exchange-recording.ts'
import {
  type StreamPayload,
  agreesWithLength,
  isStream,
  mayTap,
  tapStream,
} from '../src/exchange-stream.ts'
import { listen } from './support/app.ts'
import { response, sameWire, startTaps } from './support/taps.ts'

/** A stream from before there were Readables. */
class Legacy extends Stream {
  readable = true
  read(): void {
    this.emit('data', Buffer.from('le'))
    this.emit('data', 'gacy')
  }
  end(): void {
    this.emit('end')
  }
  destroy(): void {
    this.readable = false
  }
}

test('a stream with nothing but the first pipe of Node is kept when it ends', async (t) => {
  const taps = await startTaps(t, () => {
    const source = new Legacy()
    setImmediate(() => {
      source.read()
      source.end()
    })
    return source
  })
  assert.match(await sameWire(taps), /le[^]*gacy/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('legacy') })
})

test('a stream that has ended or was destroyed tells nothing more, of whatever kind it is', async () => {
  const legacy = Object.assign(new Legacy(), { readable: false })
  const ended = new Readable({ autoDestroy: false, read() {} })
  ended.push(null)
  await once(ended.resume(), 'end')
  assert.equal(ended.destroyed, false)
  const { outcomes, onEnd } = collected()
  for (const source of [legacy, ended, new PassThrough().destroy()]) {
    assert.equal(tapStream(source as StreamPayload, { maxBytes: 9, onEnd }), source)
  }
  assert.deepEqual(
    outcomes.map(({ failure }) => failure),
    ['incomplete', 'incomplete', 'incomplete'],
  )
})

test('a stream that says nothing when it is destroyed is known to be incomplete', async (t) => {
  for (const make of [legacyStart, silentStart]) {
    const { client, outcome } = await startTaps(t, make)
    const incoming = await response(client.port, '/tapped')
    await once(incoming, 'data')
    incoming.destroy()
    assert.deepEqual(await outcome(), { failure: 'incomplete' })
  }
  const { outcomes, onEnd } = collected()
  const silent = new PassThrough({ emitClose: false }).on('error', () => {})
  tapStream(silent, { maxBytes: 9, onEnd })
  silent.destroy(new Error('for a reason'))
  assert.deepEqual(outcomes, [{ failure: 'error' }])
})

function legacyStart(): StreamPayload {
  const source = new Legacy()
  setImmediate(() => source.read())
  return source as unknown as StreamPayload
}

function silentStart(): StreamPayload {
  const source = new PassThrough({ emitClose: false })
  source.write('start')
  return source
}

test('a stream with a pipe of its own is left alone', async (t) => {
  class OwnPipe extends Stream {
    override pipe<T extends NodeJS.WritableStream>(destination: T): T {
      destination.end('past all events')
      setImmediate(() => this.emit('end'))
      return destination
    }
  }
  const taps = await startTaps(t, () => Object.assign(new OwnPipe(), { readable: true }))
  assert.match(await sameWire(taps), /past all events/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a Readable that pipes another one and ends in its name is not kept', async (t) => {
  class Front extends Readable {
    override _read(): void {}
    override pipe<T extends NodeJS.WritableStream>(destination: T): T {
      const behind = Readable.from(['from behind'])
      behind.on('end', () => this.emit('end'))
      return behind.pipe(destination)
    }
  }
  const taps = await startTaps(t, () => new Front())
  assert.match(await sameWire(taps), /from behind/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a stream that takes no new property is refused as without the tap', async (t) => {
  const taps = await startTaps(t, () => Object.preventExtensions(Readable.from(['sealed'])))
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 /)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('a payload that only has pipe is refused as without the tap', async (t) => {
  const taps = await startTaps(t, () => ({ pipe: () => assert.fail('piped') }))
  assert.match(await sameWire(taps), /^HTTP\/1\.1 500 /)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('what a hook reads and puts back is sent once, and the body is not kept', async (t) => {
  const before = (app: FastifyInstance): unknown =>
    app.addHook('onSend', async (_request, _reply, payload) => {
      const source = payload as Readable
      await once(source, 'readable')
      source.unshift(source.read())
      return source
    })
  const make = (): Readable => {
    const source = new PassThrough()
    source.end('peeked at')
    return source
  }
  const taps = await startTaps(t, make, { before })
  assert.match(await sameWire(taps), /\r\n\r\n9\r\npeeked at\r\n0\r\n\r\n$/)
  assert.deepEqual(await taps.outcome(), { failure: 'incomplete' })
})

test('what a hook puts in front before anything is read is part of the body', async (t) => {
  const before = (app: FastifyInstance): unknown =>
    app.addHook('onSend', async (_request, _reply, payload) => {
      const source = payload as Readable
      source.unshift('before ')
      return source
    })
  const make = (): Readable => {
    const source = new PassThrough()
    source.end('after')
    return source
  }
  const taps = await startTaps(t, make, { before })
  await sameWire(taps)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('before after') })
})

test('a source that uses one buffer for all its chunks is kept as it was sent', async (t) => {
  const taps = await startTaps(t, () => {
    const buffer = Buffer.alloc(3)
    return Readable.from(
      (async function* () {
        for (const part of ['one', 'two', 'six']) {
          buffer.write(part)
          yield buffer
          // The client has it by then.
          for (let turn = 0; turn < 5; turn++) await later()
        }
      })(),
      { highWaterMark: 0 },
    )
  })
  assert.match(await sameWire(taps), /one\r\n3\r\ntwo\r\n3\r\nsix\r\n/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('onetwosix') })
})

test('a hook that changes the bytes in place changes them for this client only', async (t) => {
  const before = (app: FastifyInstance): unknown =>
    app.addHook('onSend', async (_request, _reply, payload) =>
      (payload as Readable).map((part: Buffer) => part.fill('x')),
    )
  const make = (): Readable => {
    const source = new PassThrough()
    source.end('clear')
    return source
  }
  const taps = await startTaps(t, make, { before })
  assert.match(await sameWire(taps), /xxxxx/)
  assert.deepEqual(await taps.outcome(), { body: Buffer.from('clear') })
})

/** A source and all who do something to it; `received` is what a client would have. */
class Stage {
  received = ''
  isOver = false
  readonly source = new Readable({ read() {} }).on('error', () => {})
  readonly #sink = new Writable({
    decodeStrings: false,
    write: (part, _encoding, done) => {
      this.received += String(part)
      done()
    },
  })
  readonly isWhole = new Promise<boolean>((resolve) => {
    this.source.on('end', () => resolve(true)).on('close', () => resolve(false))
  })

  push(part: string | null): void {
    if (this.isOver) return
    this.isOver = part === null
    this.source.push(part)
  }

  read(): void {
    this.received += String(this.source.read() ?? '')
  }

  putBack(): void {
    const part: unknown = this.isOver ? null : this.source.read()
    if (part !== null) this.source.unshift(part)
  }

  pipe(): void {
    if (this.source.listenerCount('data') === 0) this.source.pipe(this.#sink)
  }
}

const acts = {
  turn: () => later(),
  push: (on: Stage) => on.push('some'),
  'push much': (on: Stage) => on.push('x'.repeat(40)),
  read: (on: Stage) => on.read(),
  'put back': (on: Stage) => on.putBack(),
  pipe: (on: Stage) => on.pipe(),
  end: (on: Stage) => on.push(null),
  destroy: (on: Stage) => on.source.destroy(),
  fail: (on: Stage) => on.source.destroy(new Error('failed')),
}

test('whatever happens to a stream, there is one outcome; a body is all that was received', async () => {
  const kinds = new Set<string>()
  const steps = fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom('turn', 'push', 'push much', 'read') },
      fc.constantFrom(...(Object.keys(acts) as (keyof typeof acts)[])),
    ),
    { maxLength: 12 },
  ) as fc.Arbitrary<(keyof typeof acts)[]>
  const run = async (drawn: (keyof typeof acts)[]): Promise<void> => {
    const { outcomes, onEnd } = collected()
    const stage = new Stage()
    tapStream(stage.source, { maxBytes: 120, onEnd })
    for (const step of drawn) await acts[step](stage)
    stage.push(null)
    stage.pipe()
    const isWhole = await stage.isWhole
    await later()
    assert.equal(outcomes.length, 1)
    const [{ body, failure }] = outcomes as [StreamOutcome]
    kinds.add(failure ?? 'body')
    if (body !== undefined) assert.equal(String(body), stage.received)
    if (!isWhole) assert.equal(body, undefined)
  }
  await fc.assert(fc.asyncProperty(steps, run), { numRuns: 500 })
  assert.deepEqual([...kinds].toSorted(), ['body', 'error', 'incomplete', 'too-big'])
})

test('the body is a buffer with nothing around it', async () => {
  for (const parts of [['one chunk'], ['several', ' ', 'chunks'], ['x'.repeat(20_000), 'y', 'z']]) {
    const { outcomes, onEnd } = collected()
    const source = new PassThrough()
    tapStream(source, { maxBytes: 100_000, onEnd })
    for (const part of parts) source.write(part)
    source.end()
    await once(source.resume(), 'end')
    const { body } = outcomes[0]!
    assert.equal(String(body), parts.join(''))
    assert.equal(body!.buffer.byteLength, body!.length)
  }
})

test('a reply that was hijacked, or sends events without end, is not to be tapped', async (t) => {
  const app = Fastify()
  let allowed: boolean | undefined
  app.get('/', (_request, reply) => {
    reply.hijack()
    allowed = mayTap(undefined, reply.sent)
    reply.raw.end('by hand')
  })
  const client = await listen(t, app)
  assert.equal((await client.get('/')).text, 'by hand')
  assert.equal(allowed, false)
  const never = [
    'text/event-stream',
    ' Text/Event-Stream ; charset=utf-8',
    'text/event-stream;charset=utf-8',
    'multipart/x-mixed-replace; boundary=b',
    ['text/event-stream'],
  ]
  for (const type of never) assert.equal(mayTap(type), false, String(type))
  for (const type of [undefined, '', 'text/html', 'text/event-streams', 'x/text/event-stream']) {
    assert.equal(mayTap(type), true, type)
  }
})

test('a length that is missing agrees with all bytes, any other with its own number only', () => {
  for (const length of [undefined, '12', '012', 12, ['12']]) {
    assert.equal(agreesWithLength(length, 12), true, String(length))
  }
  for (const length of ['11', '', '-12', '12, 12', ['12', '12'], '1e1', '0xc', ' 12', 13, 12.5]) {
    assert.equal(agreesWithLength(length, 12), false, String(length))
  }
})

test('a stream is what Fastify streams', () => {
  const streams = [new PassThrough(), new ReadableStream(), new Response('x'), { pipe() {} }]
  for (const payload of streams) assert.equal(isStream(payload), true)
  const others = [undefined, null, 'pipe', Buffer.from('x'), { pipe: true }, {}, 1]
  for (const payload of others) assert.equal(isStream(payload), false)
})

function collected(): { outcomes: StreamOutcome[]; onEnd: (outcome: StreamOutcome) => void } {
  const outcomes: StreamOutcome[] = []
  return { outcomes, onEnd: (outcome) => void outcomes.push(outcome) }
}
