// What hooks say of the reply before the handler runs is a part of its answer: a type, a serializer, a
// status. Requests for which they say different things share nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { start } from '../support/app.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Neighbour, ORDERS, assertServed, compare, course } from './course.ts'

const config = { cache: true }

interface Format {
  type?: string
  serialize: (payload: unknown) => string
}

function lines(payload: unknown): string {
  return Object.entries(payload as object)
    .map(([name, value]) => `${name}: ${String(value)}\n`)
    .join('')
}

const FORMATS: Record<string, Format> = {
  'application/yaml': { type: 'application/yaml', serialize: lines },
  'text/lines': { type: 'text/lines', serialize: (payload) => `lines\n${lines(payload)}` },
  // As an application writes it that leaves the type alone.
  // Regression: to a type with json in it, Fastify added a charset on hits and not on misses.
  'application/hal+json': {
    type: 'application/hal+json',
    serialize: (object) => lines({ object }),
  },
  'application/json; pretty': { serialize: (payload) => JSON.stringify(payload, undefined, 2) },
  'application/json; wide': { serialize: (payload) => JSON.stringify(payload, undefined, 8) },
}

/** As @fastify/accepts-serializer does it, whose types do not let other routes be. */
function serializeAsAccepted(app: FastifyInstance): void {
  app.addHook('preHandler', async (request, reply) => {
    const format = FORMATS[request.headers.accept ?? '']
    if (format?.type !== undefined) void reply.type(format.type)
    if (format !== undefined) void reply.serializer(format.serialize)
  })
}

// Regression: the bytes that one serializer had made went out under the type of another.
for (const order of ORDERS) {
  test(`serializers that a hook chooses ${order} make the bytes for those who asked for them`, async (t) => {
    const serializers: Neighbour = {
      name: 'a hook that chooses serializers',
      register: serializeAsAccepted,
      declare: (app) => {
        app.get('/object', { config }, async () => ({ name: 'value' }))
        app.get('/text', { config }, async () => 'text')
      },
      visits: () => {
        const accepted = [{}, ...Object.keys(FORMATS).map((accept) => ({ accept })), {}]
        const visits = ['/object', '/text'].flatMap((path) =>
          accepted.flatMap((fields) => course(path, fields)),
        )
        return [...visits, ...visits.toReversed()]
      },
    }
    const answered = await compare(t, serializers, order, true)
    assert.ok(answered.filter(({ told }) => told?.hit === true).length > answered.length / 2)
  })
}

test('a type that hooks choose, and that the handler renders for, tells answers apart', async (t) => {
  const rendering: Neighbour = {
    name: 'a hook that negotiates',
    register: (app) =>
      app.addHook('preHandler', async (request, reply) => {
        const { accept } = request.headers
        if (accept !== undefined) void reply.type(accept)
      }),
    declare: (app) => {
      app.get('/page', { config }, async (_request, reply) => {
        return reply.getHeader('content-type') === 'text/html' ? '<p>page</p>' : 'page'
      })
    },
    visits: () =>
      [{}, { accept: 'text/html' }, { accept: 'text/plain' }, {}, { accept: 'text/html' }].flatMap(
        (fields) => course('/page', fields),
      ),
  }
  for (const order of ORDERS) assertServed(await compare(t, rendering, order, true), 3)
})

// Regression: the page of a maintenance that had begun was a 200 on a warm cache.
test('a status that a hook has set before the handler is the status on a warm cache too', async (t) => {
  const maintained: Neighbour = {
    name: 'a hook that sets a status',
    register: (app) =>
      app.addHook('onRequest', async (request, reply) => {
        if (request.headers['x-state'] === 'maintenance') void reply.code(503)
        if (request.headers['x-state'] === 'old') void reply.code(203)
      }),
    declare: (app) => {
      const cache = { statuses: { 200: true, 203: true } as const }
      app.get('/page', { config: { cache } }, async () => 'page')
    },
    visits: () =>
      [{}, { 'x-state': 'maintenance' }, { 'x-state': 'old' }, {}].flatMap((fields) =>
        course('/page', fields),
      ),
  }
  for (const order of ORDERS) {
    const answered = await compare(t, maintained, order)
    for (const { visit, told } of answered) {
      if (visit.fields?.['x-state'] === 'maintenance') assert.notEqual(told?.hit, true)
    }
    const hits = answered.filter(({ told }) => told?.hit === true)
    assert.deepEqual([...new Set(hits.map(({ answer }) => answer.status))].sort(), [200, 203])
  }
})

test('what a hook says of every reply makes no more handler runs than without it', async (t) => {
  let runs = 0
  const client = await start(t, (app: FastifyInstance) => {
    app.addHook('onRequest', async (_request, reply) => {
      void reply.type('application/json').code(200)
    })
    app.get('/page', { config }, async () => `{"run":${++runs}}`)
  })
  assertStored(await client.get('/page'))
  for (const headers of [{}, { accept: 'text/html' }]) {
    const hit = await client.get('/page', headers)
    assertHit(hit)
    assert.equal(hit.text, '{"run":1}')
  }
})

// Regression: RFC 9111 §3.2 lets a client take the fields of a 304 for those of what it has stored.
test('a 304 does not say what a hook said and the handler overruled', async (t) => {
  const overruled: Neighbour = {
    name: 'a hook that is overruled',
    register: (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        void reply.type('application/json').headers({ 'content-language': 'en', 'x-hook': 'said' })
      }),
    declare: (app) => {
      app.get('/page', { config }, (_request, reply) => {
        reply.headers({ etag: '"page"', 'content-language': 'de' }).type('text/css').send('page')
      })
    },
    visits: () => course('/page'),
  }
  const answered = await compare(t, overruled, 'before the cache')
  const unchanged = answered.filter(({ answer }) => answer.status === 304)
  assert.equal(unchanged.length, 3)
  for (const { answer } of unchanged) {
    assert.equal(answer.headers['x-hook'], 'said')
    assert.notEqual(answer.headers['content-language'], 'en')
    assert.notEqual(answer.headers['content-type'], 'application/json')
  }
})
