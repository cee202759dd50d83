// GET with a body: the application may read it, and the key does not cover it. On a connection that
// is kept, what is left of a body must not become somebody's request either.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyRequest } from 'fastify'

import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { requestText } from '../support/wire.ts'
import { type Pair, startPair } from './pair.ts'

async function bodyOf({ raw }: FastifyRequest): Promise<string> {
  let text = ''
  for await (const chunk of raw) text += String(chunk)
  return text
}

function startReader(t: TestContext): Promise<Pair> {
  return startPair(t, (app) => {
    app.get('/x', { config: { cache: { public: true } } }, async (request) => ({
      body: await bodyOf(request),
      length: request.headers['content-length'] ?? null,
    }))
  })
}

function withBody(body: string, fields: readonly string[] = []): string {
  return requestText('/x', [`Content-Length: ${body.length}`, ...fields]) + body
}

function chunked(body: string): string {
  const size = body.length.toString(16)
  return `${requestText('/x', ['Transfer-Encoding: chunked'])}${size}\r\n${body}\r\n0\r\n\r\n`
}

const BODIES: [string, string][] = [
  ['with a length', withBody('evil')],
  ['with another length', withBody('evil, evil')],
  ['with a type', withBody('{"a":1}', ['Content-Type: application/json'])],
  ['as a form', withBody('a=1', ['Content-Type: application/x-www-form-urlencoded'])],
  ['in chunks', chunked('evil')],
  ['in chunks, and empty', requestText('/x', ['Transfer-Encoding: chunked']) + '0\r\n\r\n'],
  ['with a length of many digits', requestText('/x', ['Content-Length: 0004']) + 'evil'],
  ['that looks like a request', withBody(requestText('/x?admin=1'))],
  ['that was expected', withBody('evil', ['Expect: 100-continue'])],
]

for (const [title, text] of BODIES) {
  test(`GET with a body ${title} goes around the cache, before and after a page is stored`, async (t) => {
    const { cached, plain } = await startReader(t)
    const expected = await plain.ask(text)
    const page = await plain.get('/x')
    for (const assertAs of [assertStored, assertHit]) {
      const answer = await cached.ask(text)
      assertBypass(answer, 'request-body')
      assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
      const without = await cached.get('/x')
      assertAs(without)
      assert.equal(without.text, page.text)
    }
  })
}

test('a length of zero is no body', async (t) => {
  const { cached } = await startPair(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  assertStored(await cached.get('/x', ['Content-Length: 0']))
  assertHit(await cached.get('/x'))
  assertHit(await cached.get('/x', ['Content-Length: 0']))
})

test('requests in one piece, with and without bodies, each get their own answer', async (t) => {
  const { cached, plain } = await startReader(t)
  const texts = [
    ...[requestText('/x'), withBody('one'), requestText('/x'), chunked('two'), requestText('/x')],
    ...[requestText('/x', [], 'HEAD'), withBody('three'), requestText('/x'), requestText('/y')],
  ]
  const expected = await plain.askAll(texts)
  for (let round = 0; round < 2; round++) {
    const answers = await cached.askAll(texts)
    assert.deepEqual(
      answers.map(({ status, text }) => [status, text]),
      expected.map(({ status, text }) => [status, text]),
    )
  }
})

test('HEAD with a body neither reads the stored page nor fills', async (t) => {
  const { cached } = await startReader(t)
  const head = requestText('/x', ['Content-Length: 4'], 'HEAD') + 'evil'
  assertBypass(await cached.ask(head), 'request-body')
  assertStored(await cached.get('/x'))
  assertBypass(await cached.ask(head), 'request-body')
})

test('a body that a handler leaves unread does not become the next request', async (t) => {
  const { cached, plain } = await startPair(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => 'page')
    app.get('/smuggled', { config: { cache: true } }, async () => 'smuggled')
  })
  const smuggling = withBody(requestText('/smuggled'))
  for (let round = 0; round < 2; round++) {
    for (const text of [smuggling, requestText('/x'), smuggling, requestText('/x')]) {
      const [answer, expected] = [await cached.ask(text), await plain.ask(text)]
      assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
      assert.equal(answer.text, 'page')
    }
  }
})
