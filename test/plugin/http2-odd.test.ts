// HTTP/2 requests have other objects beneath: what validates, stands in and waits works there, too.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Session, connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify from 'fastify'

import responseCache from '../../src/index.ts'
import { eventually } from '../support/clock.ts'

async function get(
  session: ClientHttp2Session,
  path: string,
  fields: Record<string, string> = {},
): Promise<{ status: number; text: string; fields: Record<string, unknown> }> {
  const stream = session.request({ ':path': path, ...fields })
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>]
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk
  return { status: Number(head[':status']), text, fields: head }
}

test('over HTTP/2 a stale response is confirmed, stands in, and outlives clients that go away', async (t) => {
  let fails = false
  let runs = 0
  const app = Fastify({ http2: true })
  await app.register(responseCache, { defaults: { ttl: '1h' } })
  const cache = { tags: ['page'], staleIfError: '1h' } as const
  app.get('/', { config: { cache } }, async (request, reply) => {
    runs++
    await pause(20)
    if (fails) throw new Error('down')
    reply.header('etag', '"1"').header('vary', 'Accept-Language')
    if (request.headers['if-none-match'] === '"1"') return reply.code(304).send()
    return `in ${String(request.headers['accept-language'])}`
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.after(() => {
    // An application that closes waits for it.
    session.destroy()
    return app.close()
  })
  const fields = { 'accept-language': 'de' }
  assert.equal((await get(session, '/', fields)).text, 'in de')
  await app.cache.invalidateTags(['page'])
  const confirmed = await get(session, '/', fields)
  assert.deepEqual([confirmed.status, confirmed.text], [200, 'in de'])
  assert.match(String(confirmed.fields['cache-status']), /fwd-status=304; stored/)
  assert.equal((await get(session, '/', { ...fields, 'if-none-match': '"1"' })).status, 304)
  await app.cache.invalidateTags(['page'], { mode: 'soft' })
  fails = true
  assert.equal((await get(session, '/', fields)).text, 'in de')
  fails = false
  const before = runs
  const gone = session.request({ ':path': '/', ...fields })
  gone.on('error', () => {})
  await eventually('the handler runs', () => runs > before)
  gone.close()
  assert.equal((await get(session, '/', fields)).text, 'in de')
  assert.match(String((await get(session, '/', fields)).fields['cache-status']), /hit/)
})

// Regression: a response over HTTP/2 has no `destroyed`, so nobody noticed that its client had gone
// before a stream was sent, and those who waited did so until maxWaitMs.
test('over HTTP/2 a stream for a client that has gone frees those who wait', async (t) => {
  let runs = 0
  const app = Fastify({ http2: true })
  await app.register(responseCache, { defaults: { ttl: '1h' } })
  app.get('/', { config: { cache: true } }, (request, reply) => {
    runs++
    void eventually('the client is gone', () => runs > 1 || request.raw.aborted).then(async () => {
      await pause(50)
      reply.send(Readable.from(['pa', 'ge']))
    })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.after(() => {
    session.destroy()
    return app.close()
  })
  const gone = session.request({ ':path': '/' })
  gone.on('error', () => {})
  await eventually('the handler runs', () => runs === 1)
  const waiting = get(session, '/')
  await pause(30)
  const since = performance.now()
  gone.close(8)
  assert.equal((await waiting).text, 'page')
  const passed = performance.now() - since
  assert.ok(passed < 3000, `waited ${passed} ms`)
})
