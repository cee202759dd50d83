// Host and protocol as the application believes them: with and without proxies that it trusts, from
// fields that come twice, as lists, in odd forms, or not at all.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyInstance, FastifyServerOptions } from 'fastify'

import { startBoth } from '../support/app.ts'
import { requestText, wireTo } from '../support/wire.ts'
import { type Asked, assertAsPlain, assertShared, isHit, seen, startPair } from './pair.ts'

const LOCAL = 'Host: shop.example'

const HOSTS: Asked[] = [
  ['/a', LOCAL],
  ['/a', 'Host: SHOP.example'],
  ['/a', 'Host: shop.example.'],
  ['/a', 'Host: shop.example:80'],
  ['/a', 'Host: shop.example:443'],
  ['/a', 'Host: shop.example:'],
  ['/a', 'Host: shop.example:0'],
  ['/a', 'Host: shop.example@evil.example'],
  ['/a', 'Host: evil.example#shop.example'],
  ['/a', 'Host: shop.example/x'],
  ['/a', 'Host: shop.example, evil.example'],
  ['/a', 'Host: shop.example', 'Host: evil.example'],
  ['/a', 'Host: evil.example', 'Host: shop.example'],
  ['/a', 'Host: [::1]'],
  ['/a', 'Host: [::1]:80'],
  ['/a', 'Host: xn--bcher-kva.example'],
  ['/a', 'Host: '],
  ['http://evil.example/a', LOCAL],
  ['http://shop.example/a', LOCAL],
  ['http://shop.example/a', 'Host: evil.example'],
]

const FORWARDED: Asked[] = [
  ...['evil.example', 'shop.example', 'a.example, b.example', 'b.example, a.example', 'b.example'],
  ...['a.example,b.example', ',evil.example', 'evil.example,', ',', ' ', 'shop.example:8080'],
  ...['a.example,', '"evil.example"', 'evil.example\t', '[::1]:80', 'a.example, shop.example'],
].map((host): Asked => ['/a', LOCAL, `X-Forwarded-Host: ${host}`])

const PROTOCOLS: Asked[] = [
  ...['https', 'http', 'HTTPS', 'https, http', 'http, https', 'https,http', 'ws', 'javascript'],
  ...[',', 'https,', ',https', '', 'http://evil.example/', 'https:'],
].map((protocol): Asked => ['/a', LOCAL, `X-Forwarded-Proto: ${protocol}`])

const BOTH: Asked[] = [
  ['/a', LOCAL, 'X-Forwarded-Host: a.example', 'X-Forwarded-Host: b.example'],
  ['/a', LOCAL, 'X-Forwarded-Host: b.example', 'X-Forwarded-Host: a.example'],
  ['/a', LOCAL, 'X-Forwarded-Proto: https', 'X-Forwarded-Proto: http'],
  ['/a', LOCAL, 'X-Forwarded-Proto: http', 'X-Forwarded-Proto: https'],
  ['/a', LOCAL, 'X-Forwarded-Host: a.example', 'X-Forwarded-Proto: https'],
  ['/a', LOCAL, 'X-Forwarded-Host: https', 'X-Forwarded-Proto: a.example'],
  ['/a', 'Host: a.example', 'X-Forwarded-Proto: https'],
  ['/a', LOCAL, 'Forwarded: host=evil.example;proto=https'],
  ['/a', LOCAL, 'X-Forwarded-Server: evil.example', 'X-Forwarded-Port: 8443'],
  ['http://evil.example/a', LOCAL, 'X-Forwarded-Host: a.example'],
]

function declareSeen(app: FastifyInstance): void {
  app.get('/a', { config: { cache: true } }, async (request) => seen(request))
}

const TRUST: [string, FastifyServerOptions['trustProxy']][] = [
  ['no proxy', false],
  ['every proxy', true],
  ['this proxy', '127.0.0.1'],
  ['a list with this proxy', ['10.0.0.0/8', 'loopback']],
  ['another proxy', '10.0.0.1'],
  ['proxies by a function', (address) => address === '127.0.0.1'],
]

for (const [title, trustProxy] of TRUST) {
  test(`hosts and protocols are what an application that trusts ${title} takes them for`, async (t) => {
    const fastify = { trustProxy } as FastifyServerOptions
    const requests = [...HOSTS, ...FORWARDED, ...PROTOCOLS, ...BOTH]
    const hits = await assertAsPlain(await startPair(t, declareSeen, { fastify }), requests)
    assert.ok(hits > requests.length * 2, `only ${hits} hits`)
  })
}

test('fields of proxies that are not trusted make no keys', async (t) => {
  await assertShared(await startPair(t, declareSeen), [['/a', LOCAL], ...FORWARDED, ...PROTOCOLS])
})

test('of lists that trusted proxies made only what the application takes makes a key', async (t) => {
  const pair = await startPair(t, declareSeen, { fastify: { trustProxy: true } })
  await assertShared(pair, [
    ['/a', LOCAL, 'X-Forwarded-Host: a.example, b.example'],
    ['/a', LOCAL, 'X-Forwarded-Host: c.example,b.example'],
    ['/a', 'Host: other.example', 'X-Forwarded-Host:  b.example '],
    ['/a', 'Host: b.example'],
  ])
})

test('where some proxies are trusted, what the others forward reaches none of their users', async (t) => {
  // The socket is the only thing that tells the two apart here, as with an internal port.
  let trusted = true
  const pair = await startPair(
    t,
    (app) => {
      app.get(
        '/a',
        { config: { cache: true } },
        async ({ protocol, host }) => `${protocol}://${host}`,
      )
    },
    { fastify: { trustProxy: () => trusted } },
  )
  const forged: Asked = ['/a', LOCAL, 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: https']
  for (const [isTrusted, text] of [
    [true, 'https://evil.example'],
    [false, 'http://shop.example'],
    [true, 'https://evil.example'],
    [false, 'http://shop.example'],
  ] as const) {
    trusted = isTrusted
    assert.equal((await pair.cached.get(forged[0]!, forged.slice(1) as string[])).text, text)
  }
})

test('a request without a host shares nothing with one that has a host', async (t) => {
  const { cached, plain } = await startBoth(t, declareSeen, {
    fastify: { http: { requireHostHeader: false } } as never,
  })
  const [toCached, toPlain] = [wireTo(t, cached), wireTo(t, plain)]
  const without = 'GET /a HTTP/1.1\r\n\r\n'
  const requests = [without, requestText('/a'), requestText('/a', ['Host: ']), without]
  for (let round = 0; round < 2; round++) {
    for (const text of requests) {
      const [answer, expected] = [await toCached.ask(text), await toPlain.ask(text)]
      assert.equal(answer.status, 200)
      assert.equal(answer.text, expected.text)
      if (round > 0) assert.ok(isHit(answer))
    }
  }
})

test('HTTP/1.0 without a host is answered as without the cache', async (t) => {
  const { cached, plain } = await startBoth(t, declareSeen)
  const text = 'GET /a HTTP/1.0\r\n\r\n'
  assert.match(await cached.raw(requestText('/a', ['Connection: close'])), /"host":"localhost"/)
  for (let visit = 0; visit < 2; visit++) {
    const [answer, expected] = [await cached.raw(text), await plain.raw(text)]
    assert.match(expected, /"host":""/)
    assert.equal(answer.split('\r\n\r\n')[1], expected.split('\r\n\r\n')[1])
  }
})
