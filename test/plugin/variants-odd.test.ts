// Requests that an application tells apart by a field it varies on never share a response, whatever
// schemas, hooks and the handler itself make of that field on the way.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { assertHit, assertStored } from '../support/assert-status.ts'
import { start } from '../support/app.ts'

test('numbers that a schema makes of a field select different variants', async (t) => {
  const client = await start(t, (app) => {
    const schema = { headers: { type: 'object', properties: { 'x-tenant': { type: 'integer' } } } }
    app.get('/', { schema, config: { cache: true } }, (request, reply) => {
      reply.header('vary', 'X-Tenant')
      return `of tenant ${String(request.headers['x-tenant'])}`
    })
  })
  assert.equal((await client.get('/', { 'x-tenant': '1' })).text, 'of tenant 1')
  assert.equal((await client.get('/', { 'x-tenant': '2' })).text, 'of tenant 2')
  const again = await client.get('/', { 'x-tenant': '1' })
  assertHit(again)
  assert.equal(again.text, 'of tenant 1')
})

test('a field that a schema takes away still selects the variant, as a hook may have read it', async (t) => {
  const client = await start(t, (app) => {
    app.decorateRequest('language', '')
    app.addHook('onRequest', (request, _reply, done) => {
      Object.assign(request, { language: request.headers['accept-language'] })
      done()
    })
    const schema = { headers: { type: 'object', properties: {}, additionalProperties: false } }
    app.get('/', { schema, config: { cache: true } }, (request, reply) => {
      reply.header('vary', 'Accept-Language')
      return `in ${(request as unknown as { language: string }).language}`
    })
  })
  assert.equal((await client.get('/', { 'accept-language': 'de' })).text, 'in de')
  assert.equal((await client.get('/', { 'accept-language': 'en' })).text, 'in en')
})

test('a handler that changes a field of its request does not change whose variant it fills', async (t) => {
  const client = await start(t, (app) => {
    app.get('/', { config: { cache: true } }, (request, reply) => {
      const language = String(request.headers['accept-language'])
      delete request.headers['accept-language']
      reply.header('vary', 'Accept-Language')
      return `in ${language}`
    })
  })
  assertStored(await client.get('/', { 'accept-language': 'de' }))
  assert.equal((await client.get('/')).text, 'in undefined')
  const again = await client.get('/', { 'accept-language': 'de' })
  assert.equal(again.text, 'in de')
  assertHit(again)
})

test('a handler that hides Authorization from its origin does not make the answer everybody’s', async (t) => {
  const client = await start(t, (app) => {
    const cache = { ttl: 'headers', public: true } as const
    app.get('/', { config: { cache } }, (request, reply) => {
      const who = String(request.headers.authorization)
      delete request.headers.authorization
      reply.header('cache-control', 'max-age=60')
      return `for ${who}`
    })
  })
  const first = await client.get('/', { authorization: 'Bearer a' })
  assert.match(String(first.headers['cache-status']), /detail=authorization/)
  assert.equal((await client.get('/', { authorization: 'Bearer b' })).text, 'for Bearer b')
})

test('a hook that adds to a list of fields on a hit adds to its own answer only', async (t) => {
  const client = await start(t, (app) => {
    app.addHook('onSend', (request, reply, payload, done) => {
      const links = reply.getHeader('link')
      const own = String(request.headers['x-own'])
      if (Array.isArray(links)) (links as string[]).push(`</${own}>; rel=preload`)
      const cookies = reply.getHeader('set-cookie')
      if (Array.isArray(cookies)) (cookies as string[]).push(`own=${own}`)
      done(null, payload)
    })
    const cache = { ttl: 'headers', setCookie: 'store' } as const
    app.get('/', { config: { cache } }, (_request, reply) => {
      reply.header('cache-control', 'public, max-age=60')
      reply.header('link', ['</a>; rel=preload', '</b>; rel=preload'])
      return 'page'
    })
  })
  await client.get('/', { 'x-own': 'a' })
  const b = await client.get('/', { 'x-own': 'b' })
  assertHit(b)
  assert.match(String(b.headers.link), /<\/b>; rel=preload, <\/b>; rel=preload$/)
  const c = await client.get('/', { 'x-own': 'c' })
  assert.doesNotMatch(String(c.headers.link), /<\/b>; rel=preload, <\/b>/)
})
