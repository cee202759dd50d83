import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'

import fc from 'fast-check'
import Fastify from 'fastify'

import responseCache from '../src/index.ts'
import { loggedError, redacted } from '../src/redaction.ts'
import { eventually } from './support/clock.ts'

test('credentials in URLs are left out, whatever they are made of', () => {
  const word = fc.stringMatching(/^[a-z][^\s@]{12,20}$/)
  fc.assert(
    fc.property(
      word,
      word,
      fc.constantFrom('redis://', 'rediss://', 'redis:/', 'redis:'),
      (user, secret, scheme) => {
        const text = redacted(`cannot reach ${scheme}${user}:${secret}@cache.example:6379/0 now`)
        assert.equal(text, `cannot reach ${scheme}***@cache.example:6379/0 now`)
      },
    ),
  )
})

test('a text without credentials stays as it is', () => {
  for (const text of ['no answer within 250 ms', 'redis://localhost:6379: refused', 'a@b', '']) {
    assert.equal(redacted(text), text)
  }
})

test('what Redis repeats of a command is left out', () => {
  assert.equal(
    redacted("ERR unknown command 'SET', with args beginning with: 'key' 'a body'"),
    "ERR unknown command 'SET', with args beginning with: ***",
  )
})

test('of an error nothing is logged but type, message, stack and code', () => {
  const error = Object.assign(new Error('down', { cause: new Error('at redis://u:word@h') }), {
    code: 'ECONNRESET',
    command: { name: 'set', args: ['key', 'a body'] },
  })
  const logged = loggedError(error)
  assert.deepEqual(Object.keys(logged).sort(), ['code', 'message', 'stack', 'type'])
  assert.equal(logged.code, 'ECONNRESET')
  assert.match(logged.message, /^down: at redis:\/\/\*\*\*@h$/)
  assert.doesNotMatch(JSON.stringify(logged), /word|a body/)
  const attempts = loggedError(new AggregateError([new Error('one'), new Error('other')], ''))
  assert.equal(attempts.message, 'Error: one; Error: other')
})

test('neither a refused password nor a body comes into the log', async (t) => {
  const refusing = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      const commands = String(data).match(/\*\d+\r\n/g)?.length ?? 1
      socket.write('-ERR refused by a proxy\r\n'.repeat(commands))
    })
  })
  await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve))
  t.after(() => refusing.close())
  const lines: string[] = []
  const app = Fastify({ logger: { stream: { write: (line: string) => void lines.push(line) } } })
  t.after(() => app.close())
  const { port } = refusing.address() as { port: number }
  await app.register(responseCache, {
    redis: `redis://shop:nobody-reads-this@127.0.0.1:${port}`,
    namespace: 'shop',
    defaults: { ttl: '1m' },
  })
  app.get('/x', { config: { cache: true } }, async () => 'a body for one reader')
  await app.ready()
  await eventually('trouble is logged', async () => {
    await app.inject('/x')
    return lines.some((line) => line.includes('"operation"'))
  })
  assert.doesNotMatch(lines.join(''), /nobody-reads-this|a body for one reader/)
})

test('a wrong URL of Redis is refused without its password', async () => {
  const app = Fastify()
  await assert.rejects(
    async () =>
      app.register(responseCache, { redis: 'http://u:nobody-reads-this@h', namespace: 'a' }),
    (error: Error) => {
      assert.match(error.message, /\.redis must be a URL/)
      assert.doesNotMatch(error.message, /nobody-reads-this/)
      return true
    },
  )
  await app.close()
})

test('whatever was thrown can be logged', () => {
  const odd: unknown[] = [
    undefined,
    null,
    'a text with redis://:secret@host',
    Symbol('a'),
    Object.create(null),
    { toString: 1 },
    Object.assign(new Error('x'), { message: undefined, stack: undefined }),
    Object.assign(new Error('y'), { stack: { toString: 1 } }),
    new AggregateError([null, { toString: 1 }], ''),
  ]
  for (const thrown of odd) {
    const { message, stack } = loggedError(thrown)
    assert.ok(message.length > 0)
    assert.equal(typeof stack, 'string')
    assert.doesNotMatch(message + stack, /secret/)
  }
})
