// Every hook that changes an answer, with every kind of payload: miss and hit are what the application
// without the cache answers, one after the other on one connection.
import assert from 'node:assert/strict'
import { PassThrough, Readable, Transform } from 'node:stream'
import { test } from 'node:test'

import type { FastifyInstance, FastifyReply } from 'fastify'

import { type Answer, lastingHeaders, startBoth } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { wireTo } from '../support/wire.ts'

const HOOKS: Record<string, (app: FastifyInstance) => unknown> = {
  none: () => {},
  'a field before': (app) =>
    app.addHook('onRequest', async (_, reply) => void reply.header('x-a', 1)),
  'a raw field before': (app) =>
    app.addHook('onRequest', async (_, reply) => void reply.raw.setHeader('x-a', '1')),
  'a type before': (app) =>
    app.addHook('preHandler', async (_, reply) => void reply.type('text/x')),
  'a status before': (app) => app.addHook('preHandler', async (_, reply) => void reply.code(202)),
  'an object around': (app) =>
    app.addHook('preSerialization', async (_request, _reply, payload) => ({ payload })),
  'a text instead of an object': (app) => app.addHook('preSerialization', async () => 'text'),
  'a status with the object': (app) =>
    app.addHook('preSerialization', async (_, reply, payload) => (reply.code(203), payload)),
  'a field with the object': (app) =>
    app.addHook('preSerialization', async (_, reply, payload) => (reply.header('x-a', 1), payload)),
  'a serializer with the object': (app) =>
    app.addHook(
      'preSerialization',
      async (_, reply, payload) => (
        reply.type('text/x').serializer((value) => `of ${JSON.stringify(value)}`),
        payload
      ),
    ),
  'an error with the object': (app) =>
    app.addHook('preSerialization', async () => Promise.reject(new Error('no'))),
  'a field at the end': (app) =>
    app.addHook('onSend', async (_, reply) => void reply.header('x-a', 1)),
  'another body': (app) =>
    app.addHook('onSend', async (_, reply, payload) => longer(reply, payload)),
  'a stream instead': (app) =>
    app.addHook('onSend', async (_, reply, payload) => streamed(reply, payload)),
  'no body': (app) => app.addHook('onSend', async (_, reply) => (reply.code(204), '')),
  'an error at the end': (app) => app.addHook('onSend', async (_, reply) => failOnce(reply)),
  'a reply serializer': (app) => app.setReplySerializer((value) => `by ${JSON.stringify(value)}`),
  'an error handler': (app) =>
    app.setErrorHandler((_error, _request, reply) => reply.code(200).send('ok')),
}

function isBytes(payload: unknown): payload is string | Buffer {
  return typeof payload === 'string' || Buffer.isBuffer(payload)
}

function longer(reply: FastifyReply, payload: unknown): unknown {
  if (isBytes(payload)) {
    reply.removeHeader('content-length')
    return `${payload.toString()}!`
  }
  if (!(payload instanceof Readable)) return payload
  return payload.pipe(
    new Transform({ flush: (done) => done(null, '!'), transform: (c, _, d) => d(null, c) }),
  )
}

function streamed(reply: FastifyReply, payload: unknown): unknown {
  if (!isBytes(payload)) return payload
  reply.removeHeader('content-length')
  return Readable.from([Buffer.from(payload)])
}

const failed = new WeakSet<object>()

function failOnce({ request }: FastifyReply): void {
  if (failed.has(request)) return
  failed.add(request)
  throw new Error('no')
}

const BODIES: Record<string, () => unknown> = {
  object: () => ({ a: 1 }),
  text: () => 'text',
  'no text': () => '',
  bytes: () => Buffer.from('bytes'),
  'no bytes': () => Buffer.alloc(0),
  view: () => new Uint16Array([1, 2]),
  number: () => 42,
  null: () => null,
  stream: () => Readable.from(['str', 'eam']),
  'no stream': () => Readable.from([]),
  'large stream': () => Readable.from([Buffer.alloc(50_000, 'a'), Buffer.alloc(50_000, 'b')]),
  'slow stream': () => Readable.from(slowly()),
  'unread stream': () => new PassThrough().end('text'),
  error: () => new Error('no'),
}

async function* slowly(): AsyncGenerator<string> {
  yield 'str'
  await new Promise((resolve) => setImmediate(resolve))
  yield 'eam'
}

const statuses = { 200: true, 202: true, 203: true } as const
const TYPES = [undefined, 'text/css']

/** How a message is framed is the connection's business; `Wire` sees to it that it is right. */
function comparable(answer: Answer): unknown {
  const { 'content-length': _, 'transfer-encoding': __, ...headers } = lastingHeaders(answer)
  return { status: answer.status, headers, text: answer.text }
}

let hits = 0
for (const [name, hook] of Object.entries(HOOKS)) {
  test(`${name}, whatever the payload: misses and hits are those of the plain application`, async (t) => {
    const { cached, plain } = await startBoth(
      t,
      (app) => {
        for (const [path, make] of Object.entries(BODIES)) {
          for (const type of TYPES) {
            app.get(
              `/${path.replace(' ', '-')}/${type ? 't' : 'u'}`,
              { config: { cache: { statuses } } },
              (_, reply) => {
                if (type !== undefined) reply.type(type)
                reply.send(make())
              },
            )
          }
        }
      },
      { before: hook },
    )
    const [own, others] = [wireTo(t, cached), wireTo(t, plain)]
    for (const path of Object.keys(BODIES)) {
      for (const type of TYPES) {
        const target = `/${path.replace(' ', '-')}/${type ? 't' : 'u'}`
        const expected = comparable(await others.get(target))
        for (const round of ['first', 'second', 'third']) {
          const answer = await own.get(target)
          if (statusOf(answer).hit === true) hits++
          assert.deepEqual(comparable(answer), expected, `${target}, ${round}`)
        }
      }
    }
  })
}

test('many of these were hits', () => {
  assert.ok(hits > 400, `${hits} hits`)
})
