// A hit never skips validation: what a schema refuses on a cold cache it refuses on a warm one.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { start, startBoth } from '../support/app.ts'

test('a query that the schema refuses is a 400 on a warm cache too', async (t) => {
  const { cached, plain } = await startBoth(t, (app) => {
    const querystring = {
      type: 'object',
      properties: { page: { type: 'integer', minimum: 1 } },
      required: ['page'],
    }
    app.get('/list', { schema: { querystring }, config: { cache: true } }, async () => 'page')
  })
  assertStored(await cached.get('/list?page=1'))
  for (const path of ['/list?page=1', '/list?page=0', '/list', '/list?page=x', '/list?page=1']) {
    const [answer, expected] = [await cached.get(path), await plain.get(path)]
    assert.deepEqual([answer.status, answer.text], [expected.status, expected.text], path)
  }
  assertHit(await cached.get('/list?page=1'))
})

test('header and path schemas refuse on a warm cache as without one', async (t) => {
  const { cached, plain } = await startBoth(t, (app) => {
    const schema = {
      headers: {
        type: 'object',
        required: ['x-client'],
        properties: { 'x-client': { const: 'app' } },
      },
      params: { type: 'object', properties: { id: { type: 'integer' } } },
    }
    app.get('/item/:id', { schema, config: { cache: true } }, async () => 'item')
  })
  assertStored(await cached.get('/item/1', { 'x-client': 'app' }))
  assertHit(await cached.get('/item/1', { 'x-client': 'app' }))
  const refused: [string, Record<string, string>][] = [
    ['/item/1', {}],
    ['/item/1', { 'x-client': 'other' }],
    ['/item/one', { 'x-client': 'app' }],
  ]
  for (const [path, headers] of refused) {
    const [answer, expected] = [await cached.get(path, headers), await plain.get(path, headers)]
    assert.equal(expected.status, 400)
    assert.deepEqual([answer.status, answer.text], [expected.status, expected.text], path)
  }
})

test('a handler that looks at attached validation errors is never answered for', async (t) => {
  const client = await start(t, (app) => {
    const schema = { headers: { type: 'object', required: ['x-client'] } }
    app.get(
      '/lenient',
      { schema, attachValidation: true, config: { cache: true } },
      async (request) => (request.validationError ? 'invalid' : 'valid'),
    )
  })
  const strange = await client.get('/lenient')
  assert.equal(strange.text, 'invalid')
  assertBypass(strange, 'validation-error')
  assertStored(await client.get('/lenient', { 'x-client': 'app' }))
  assertHit(await client.get('/lenient', { 'x-client': 'app' }))
  assert.equal((await client.get('/lenient')).text, 'invalid')
})

test('coerced and defaulted queries keep the values that the requests had', async (t) => {
  const client = await start(t, (app) => {
    const querystring = {
      type: 'object',
      additionalProperties: false,
      properties: { page: { type: 'integer', default: 1 } },
    }
    app.get(
      '/list',
      { schema: { querystring }, config: { cache: true } },
      async (request) => request.query,
    )
  })
  for (const round of ['cold', 'warm', 'hot']) {
    for (const [path, body] of [
      ['/list', '{"page":1}'],
      ['/list?page=1', '{"page":1}'],
      ['/list?page=01', '{"page":1}'],
      ['/list?page=2', '{"page":2}'],
      ['/list?page=2&other=x', '{"page":2}'],
    ] as const) {
      assert.equal((await client.get(path)).text, body, `${path} on a ${round} cache`)
    }
  }
})

test('a hook that answers by itself keeps answering on a warm cache', async (t) => {
  let maintenance = false
  const client = await start(t, (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      if (maintenance) return reply.code(503).send('back soon')
      return undefined
    })
    app.get('/page', { config: { cache: true } }, async () => 'page')
  })
  assertStored(await client.get('/page'))
  assertHit(await client.get('/page'))
  maintenance = true
  const answer = await client.get('/page')
  assert.deepEqual([answer.status, answer.text], [503, 'back soon'])
  assert.equal(answer.headers['cache-status'], undefined)
  maintenance = false
  assertHit(await client.get('/page'))
})
