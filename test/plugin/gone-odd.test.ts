// A handler that answers after its client has gone frees those who wait, whatever it answers with.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { FastifyReply } from 'fastify'

import { start } from '../support/app.ts'
import { eventually } from '../support/clock.ts'

const PAYLOADS: [string, () => unknown][] = [
  ['a text', () => 'page'],
  ['a Node stream', () => Readable.from(['pa', 'ge'])],
  ['a web stream', () => webStream()],
  ['a Response', () => new Response('page')],
]

function webStream(): ReadableStream {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('page'))
      controller.close()
    },
  })
}

for (const [name, make] of PAYLOADS) {
  test(`${name} for a client that has gone frees those who wait`, async (t) => {
    let runs = 0
    const client = await start(t, (app) => {
      app.get('/', { config: { cache: true } }, async (request, reply) => {
        runs++
        if (runs === 1) await eventually('the client is gone', () => request.raw.aborted)
        if (runs === 1) await pause(50)
        return reply.type('text/plain').send(make())
      })
    })
    const leaving = new AbortController()
    const gone = client.send('GET', '/', { signal: leaving.signal }).catch(() => {})
    await eventually('the handler runs', () => runs === 1)
    const waiting = client.get('/')
    await pause(30)
    const since = performance.now()
    leaving.abort()
    await gone
    assert.equal((await waiting).text, 'page')
    const passed = performance.now() - since
    assert.ok(passed < 3000, `waited ${passed} ms`)
  })
}

const WAYS: [string, (reply: FastifyReply) => void][] = [
  ['that a hook makes a stream of', (reply) => void reply.send('page')],
  ['that is a web stream and not kept', (reply) => void reply.code(201).send(webStream())],
  ['written past Fastify', (reply) => void reply.raw.end('page')],
]

for (const [name, answer] of WAYS) {
  // Regression: a client that has gone sees no header section of a stream, nor of a reply that was taken
  // over, and only for handlers that return a promise did anybody look whether it has gone.
  test(`an answer ${name}, after its client has gone, frees those who wait`, async (t) => {
    let runs = 0
    const client = await start(t, (app) => {
      app.addHook('onSend', async (_request, _reply, payload) =>
        typeof payload === 'string' ? Readable.from([payload]) : payload,
      )
      app.get('/', { config: { cache: true } }, (request, reply) => {
        runs++
        if (name.startsWith('written')) reply.hijack()
        const isGone = (): boolean => runs > 1 || request.raw.aborted
        void eventually('the client is gone', isGone).then(async () => {
          await pause(50)
          answer(reply)
        })
      })
    })
    const leaving = new AbortController()
    const gone = client.send('GET', '/', { signal: leaving.signal }).catch(() => {})
    await eventually('the handler runs', () => runs === 1)
    const waiting = client.get('/')
    await pause(30)
    const since = performance.now()
    leaving.abort()
    await gone
    assert.equal((await waiting).text, 'page')
    const passed = performance.now() - since
    assert.ok(passed < 3000, `waited ${passed} ms`)
  })
}
