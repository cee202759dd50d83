// Promise 11: a hit is, byte for byte and field for field, what the handler would have answered.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance, FastifyReply, RouteShorthandOptions } from 'fastify'

import { assertHit, assertStored } from '../support/assert-status.ts'
import { lastingHeaders, startBoth } from '../support/app.ts'

type Handler = (reply: FastifyReply) => unknown

interface Representation {
  title: string
  handler: Handler
  route?: RouteShorthandOptions
  /** Before the route is declared. */
  prepare?: (app: FastifyInstance) => unknown
  /** Whether a 204 or another status is to be stored. */
  statuses?: Record<number, true>
}

const text = 'Grüße, 世界 🎉 \u0000 end'
const view = new Uint8Array([0, 1, 2, 250, 255]).subarray(1, 4)

const plain: Representation[] = [
  { title: 'a string', handler: async () => 'page' },
  { title: 'a string of many scripts', handler: async () => text },
  { title: 'a sent string', handler: (reply) => void reply.send(text) },
  { title: 'an empty string', handler: async () => '' },
  { title: 'an empty string with a type', handler: (reply) => reply.type('text/css').send('') },
  { title: 'a typed string', handler: async (reply) => reply.type('text/csv').send('a,ü') },
  {
    title: 'a JSON string',
    handler: async (reply) => reply.type('application/json').send('{"a":1}'),
  },
  {
    title: 'a string with another charset',
    handler: (reply) => reply.type('application/json; charset=latin1').send('"x"'),
  },
  { title: 'a Buffer', handler: async () => Buffer.from([0, 255, 128, 10]) },
  { title: 'an empty Buffer', handler: async () => Buffer.alloc(0) },
  {
    title: 'a Buffer with a type',
    handler: (reply) => reply.type('image/png').send(Buffer.from([137, 80])),
  },
  { title: 'a part of a typed array', handler: async () => view },
  { title: 'a Float64Array', handler: async () => new Float64Array([1.5, -2]) },
  { title: 'a DataView', handler: async () => new DataView(new ArrayBuffer(4)) },
  { title: 'an object', handler: async () => ({ a: 1, b: [text], c: undefined, d: null }) },
  { title: 'a sent object', handler: (reply) => void reply.send({ a: 1 }) },
  { title: 'an array', handler: async () => [1, 'two', null] },
  { title: 'a number', handler: async () => 42 },
  { title: 'zero', handler: async () => 0 },
  { title: 'true', handler: async () => true },
  { title: 'false', handler: async () => false },
  { title: 'null', handler: async () => null },
  { title: 'a sent null', handler: (reply) => void reply.send(null) },
  { title: 'a date', handler: async () => new Date(0) },
  { title: 'an object with toJSON', handler: async () => ({ toJSON: () => 'as it likes' }) },
  { title: 'nothing', handler: (reply) => void reply.send() },
  { title: 'a promise of nothing', handler: async () => undefined },
  {
    title: 'nothing, with a status of 204',
    handler: (reply) => void reply.code(204).send(),
    statuses: { 204: true },
  },
  {
    title: 'an object with a status of 404 and fields',
    handler: (reply) => reply.code(404).header('x-why', 'gone').send({ no: 'such thing' }),
    statuses: { 404: true },
  },
  {
    title: 'an object of another JSON type',
    handler: (reply) => reply.type('application/problem+json').send({ title: 'x' }),
  },
]

const schema = {
  response: {
    200: { type: 'object', properties: { id: { type: 'integer' }, name: { type: 'string' } } },
  },
}
const person = { id: 7, name: 'Ann', secret: 'not in the schema' }
const byType = {
  response: {
    200: {
      content: {
        'application/json': { schema: { type: 'object', properties: { id: { type: 'integer' } } } },
        'application/vnd.v2+json': {
          schema: { type: 'object', properties: { name: { type: 'string' } } },
        },
        '*/*': { schema: { type: 'object', properties: { id: { type: 'string' } } } },
      },
    },
    '4xx': { type: 'object', properties: { why: { type: 'string' } } },
    default: { type: 'object', properties: { other: { type: 'string' } } },
  },
}
const upper = (payload: unknown): string => `<${JSON.stringify(payload).toUpperCase()}>`
const wrap = async (_request: unknown, _reply: unknown, data: unknown): Promise<unknown> => ({
  data,
})
// What Fastify takes, and its types do not know of.
const upperBytes = ((payload: unknown) => Buffer.from(upper(payload))) as never

const serialized: Representation[] = [
  { title: 'an object with a response schema', route: { schema }, handler: async () => person },
  ...['application/json', 'application/vnd.v2+json', 'application/x+json', 'Application/JSON'].map(
    (type): Representation => ({
      title: `an object of type ${type} with a schema by media type`,
      route: { schema: byType },
      handler: (reply) => reply.type(type).send(person),
    }),
  ),
  {
    title: 'an object with a schema for its class of statuses',
    route: { schema: byType },
    handler: (reply) => reply.code(404).send({ why: 'x', secret: 1 }),
    statuses: { 404: true },
  },
  {
    title: 'an object with the default schema',
    route: { schema: byType },
    handler: (reply) => reply.code(201).send({ other: 'x', secret: 1 }),
    statuses: { 201: true },
  },
  {
    title: 'an object with a serializer of the handler',
    handler: (reply) => reply.type('application/x-up').serializer(upper).send(person),
  },
  {
    title: 'an object with a serializer of the handler that makes bytes',
    handler: (reply) => reply.type('application/x-up').serializer(upperBytes).send(person),
  },
  {
    title: 'a string with a serializer of the handler',
    handler: (reply) => reply.type('text/x-up').serializer(upper).send('text'),
  },
  {
    title: 'a string without a type with a serializer of the handler',
    handler: (reply) => reply.serializer(upper).send('text'),
  },
  {
    title: 'a null with a serializer of the handler',
    handler: (reply) => reply.type('text/x-up').serializer(upper).send(null),
  },
  {
    title: 'an object with a serializer that a hook has set',
    route: {
      preHandler: async (_request, reply) => {
        reply.type('application/x-up').serializer(upper)
      },
    },
    handler: async () => person,
  },
  {
    title: 'a string with a serializer that a hook has set',
    route: {
      onRequest: async (_request, reply) => {
        reply.type('text/x-up').serializer(upper)
      },
    },
    handler: async () => 'text',
  },
  {
    title: 'an object with a serializer that a preSerialization hook has set',
    route: {
      preSerialization: async (_request, reply) => {
        reply.serializer(upper)
      },
    },
    handler: async () => person,
  },
  {
    title: 'an object with the reply serializer of the app',
    prepare: (app) => app.setReplySerializer((payload, status) => `${status}:${upper(payload)}`),
    handler: async () => person,
  },
  {
    title: 'an object with a schema and the reply serializer of the app',
    prepare: (app) => app.setReplySerializer((payload, status) => `${status}:${upper(payload)}`),
    route: { schema: byType },
    handler: async () => person,
  },
  {
    title: 'an object with a serializer compiler of its own',
    route: { schema, serializerCompiler: () => (payload: unknown) => upper(payload) },
    handler: async () => person,
  },
  {
    title: 'an object that a preSerialization hook of the app wraps',
    prepare: (app) => app.addHook('preSerialization', wrap),
    handler: async () => person,
  },
  {
    title: 'an object that a preSerialization hook of the route wraps',
    route: { preSerialization: wrap },
    handler: async () => person,
  },
  {
    title: 'an object whose preSerialization hooks make it null',
    route: { preSerialization: (_request, _reply, _payload, done) => done(null, null) },
    handler: async () => person,
  },
]

async function check(t: TestContext, representation: Representation): Promise<void> {
  const { handler, route, prepare, statuses } = representation
  let runs = 0
  const { cached, plain: oracle } = await startBoth(t, async (app) => {
    await prepare?.(app)
    app.get('/x', {
      ...route,
      config: { cache: { ttl: '1h', ...(statuses ? { statuses } : {}) } },
      handler: (_request, reply) => {
        runs++
        return handler(reply)
      },
    })
  })
  const expected = await oracle.get('/x')
  const expectedHead = await oracle.head('/x')
  runs = 0
  for (const assertAs of [assertStored, assertHit, assertHit]) {
    const answer = await cached.get('/x')
    assert.equal(answer.status, expected.status)
    assert.deepEqual(answer.body, expected.body, `${answer.text} as ${expected.text}`)
    assert.deepEqual(lastingHeaders(answer), lastingHeaders(expected))
    assertAs(answer)
  }
  assert.equal(runs, 1)
  const head = await cached.head('/x')
  assertHit(head)
  assert.equal(head.body.length, 0)
  assert.deepEqual(
    [head.status, lastingHeaders(head)],
    [expectedHead.status, lastingHeaders(expectedHead)],
  )
}

for (const representation of [...plain, ...serialized]) {
  test(`a hit equals the miss and the uncached answer: ${representation.title}`, async (t) => {
    await check(t, representation)
  })
}

test('a Buffer that the handler changes after its answer is stored as it was sent', async (t) => {
  // Memory of its own: a small Buffer of the pool would be copied in any case.
  const shared = Buffer.alloc(5, 'first')
  const { cached } = await startBoth(t, (app) => {
    app.get('/x', { config: { cache: true } }, (_request, reply) => {
      reply.send(shared)
    })
  })
  assert.equal((await cached.get('/x')).text, 'first')
  shared.write('later')
  assert.equal((await cached.get('/x')).text, 'first')
})
