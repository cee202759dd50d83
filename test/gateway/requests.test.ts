import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { METHODS } from 'node:http'
import { describe, it } from 'node:test'

import { response } from '../support/raw-upstream.ts'
import { speak, startGateway } from './gateway.ts'

const OK = response('200 OK', [], 'ok')

describe('A method', () => {
  it('reaches the upstream by its name, whichever of those that Node reads it is', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const methods = METHODS.filter((method) => method !== 'CONNECT')
    for (const method of methods) {
      const { status, text } = await client.send(method, '/thing')
      assert.equal(status, 200, method)
      assert.equal(text, method === 'HEAD' ? '' : 'ok', method)
    }
    assert.deepEqual(
      upstream.requests.map(({ line }) => line),
      methods.map((method) => `${method} /thing HTTP/1.1`),
    )
  })

  it('that Node does not know is refused', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    assert.match(await speak(client, 'BREW / HTTP/1.1'), /^HTTP\/1\.1 400 /)
    assert.equal(upstream.requests.length, 0)
  })

  it('HEAD has the length of the body that GET would have', async (t) => {
    const head = 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nContent-Type: text/x\r\n\r\n'
    const { upstream, client } = await startGateway(t, head)
    const { status, headers, text } = await client.head('/')
    assert.deepEqual([status, text], [200, ''])
    assert.equal(headers['content-length'], '1234')
    assert.equal(headers['content-type'], 'text/x')
    assert.equal(upstream.request.method, 'HEAD')
  })
})

describe('The target', () => {
  const TARGETS = [
    '/a/../b/./c',
    '//a//b/',
    '/a%2Fb/%2e%2e/%41',
    '/a\\b;p=1,2',
    "/a'(b)!*~$&+=:@|^",
    '/a?b=c%zz&d&=&e=%F0%9F%8D%B5?f/../g',
    '/?',
    `/${'long'.repeat(1000)}`,
  ]
  for (const target of TARGETS) {
    it(`reaches the upstream as it came: ${target.slice(0, 40)}`, async (t) => {
      const { upstream, client } = await startGateway(t, OK)
      assert.match(await speak(client, `GET ${target} HTTP/1.1`), /^HTTP\/1\.1 200 /)
      assert.equal(upstream.request.target, target)
    })
  }

  it('in absolute form reaches the upstream as path and query', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    await speak(client, 'GET http://shop.example:81/a/../b?c=http://d/ HTTP/1.1')
    await speak(client, 'GET HTTP://shop.example/ HTTP/1.1')
    assert.deepEqual(
      upstream.requests.map(({ target }) => target),
      ['/a/../b?c=http://d/', '/'],
    )
  })

  it('is put behind the path of the upstream', async (t) => {
    const { upstream, client } = await startGateway(t, OK, { prefix: '/base/' })
    await speak(client, 'GET //a?b HTTP/1.1')
    assert.equal(upstream.request.target, '/base//a?b')
  })
})

describe('A body', () => {
  const bytes = randomBytes(300_000)
  const TYPES = [
    undefined,
    'application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'no type at all;;',
  ]
  for (const type of TYPES) {
    it(`reaches the upstream byte by byte, as ${type ?? 'nothing in particular'}`, async (t) => {
      const { upstream, client } = await startGateway(t, OK)
      const headers: Record<string, string> = { 'content-length': String(bytes.length) }
      if (type !== undefined) headers['content-type'] = type
      assert.equal((await client.send('POST', '/', { headers, body: bytes })).status, 200)
      const { body, fields } = upstream.request
      assert.ok(body.equals(bytes))
      assert.equal(fields['content-type'], type)
      assert.equal(fields['content-length'], String(bytes.length))
    })
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'M-SEARCH', 'PROPFIND']) {
    it(`without a length reaches the upstream too, with ${method}`, async (t) => {
      const { upstream, client } = await startGateway(t, OK)
      const headers = { 'transfer-encoding': 'chunked' }
      assert.equal((await client.send(method, '/', { headers, body: bytes })).status, 200)
      assert.ok(upstream.request.body.equals(bytes))
      assert.equal(upstream.request.fields['transfer-encoding'], 'chunked')
    })
  }

  it('flows: the upstream reads the beginning before the client has sent the end', async (t) => {
    const { upstream, client } = await startGateway(
      t,
      (socket) => socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig'),
      { early: true },
    )
    // The client holds the rest back until it has its answer: only a body that flows gets there.
    const { status, text } = await client.send('POST', '/', {
      headers: { 'content-length': '1000000' },
      body: bytes,
    })
    assert.deepEqual([status, text], [413, 'big'])
    assert.equal(upstream.requests.length, 1)
  })

  it('of GET is not passed on: the upstream gets a request without content', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const { status } = await client.send('GET', '/', {
      headers: { 'content-length': '3' },
      body: 'abc',
    })
    assert.equal(status, 200)
    assert.equal(upstream.request.body.length, 0)
    assert.equal(upstream.request.fields['content-length'], undefined)
  })

  it('that was announced with Expect is asked for and passed on', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const fields = ['Expect: 100-continue', 'Content-Length: 3']
    const received = await speak(client, 'POST / HTTP/1.1', fields, 'abc')
    assert.match(received, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
    assert.equal(upstream.request.body.toString(), 'abc')
    assert.equal(upstream.request.fields['expect'], undefined)
  })
})
