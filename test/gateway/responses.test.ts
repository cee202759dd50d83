import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { describe, it } from 'node:test'

import { response } from '../support/raw-upstream.ts'
import { speak, startGateway } from './gateway.ts'

describe('A body', () => {
  const bytes = randomBytes(300_000).toString('latin1')

  it('with a length arrives byte by byte', async (t) => {
    const { client } = await startGateway(t, response('200 OK', [], bytes))
    const { body, headers } = await client.get('/')
    assert.ok(body.equals(Buffer.from(bytes, 'latin1')))
    assert.equal(headers['content-length'], '300000')
  })

  it('in chunks arrives whole; its trailers end at the gateway', async (t) => {
    const chunked = [
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n',
      '5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n',
    ]
    const { client } = await startGateway(t, `${chunked.join('\r\n')}\r\n`)
    const { text, headers, trailers } = await client.get('/')
    assert.equal(text, 'hello world')
    assert.equal(headers['trailer'], undefined)
    assert.deepEqual(trailers, {})
  })

  it('that ends with the connection arrives whole', async (t) => {
    const { client } = await startGateway(t, (socket) =>
      socket.end('HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end'),
    )
    const { text, headers } = await client.get('/')
    assert.equal(text, 'to the end')
    assert.equal(headers['x-a'], '1')
  })

  it('of an encoding the gateway does not know arrives as it is', async (t) => {
    const { client } = await startGateway(
      t,
      response('200 OK', ['Content-Encoding: x-own'], 'as it is'),
    )
    const { text, headers } = await client.get('/')
    assert.equal(text, 'as it is')
    assert.equal(headers['content-encoding'], 'x-own')
  })

  it('that is longer than its length is cut, and its rest is not the next answer', async (t) => {
    const smuggled = response('200 OK', [], 'smuggled')
    const { client } = await startGateway(t, (socket, { target }) => {
      if (target === '/') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc${smuggled}`)
      else socket.write(response('200 OK', [], target))
    })
    assert.equal((await client.get('/')).text, 'abc')
    for (const target of ['/1', '/2', '/3']) {
      assert.equal((await client.get(target)).text, target)
    }
  })
})

describe('A status', () => {
  for (const status of [200, 203, 299, 302, 404, 410, 499, 500, 599]) {
    it(`${status} reaches the client with its body`, async (t) => {
      const { client } = await startGateway(t, response(`${status} Odd`, [], 'body'))
      const answer = await client.get('/')
      assert.deepEqual([answer.status, answer.text], [status, 'body'])
    })
  }

  it('204 reaches the client without one', async (t) => {
    const { client } = await startGateway(t, 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n')
    const { status, text, headers } = await client.get('/')
    assert.deepEqual([status, text, headers['x-a']], [204, '', '1'])
  })

  it('304 answers the condition of the client, whatever length it speaks of', async (t) => {
    const { upstream, client } = await startGateway(
      t,
      'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 10\r\n\r\n',
    )
    for (let times = 0; times < 3; times++) {
      const { status, text, headers } = await client.get('/', { 'if-none-match': '"a"' })
      assert.deepEqual([status, text, headers['etag']], [304, '', '"a"'])
    }
    assert.equal(upstream.requests.length, 3)
  })

  it('that HTTP does not have is no answer: 502', async (t) => {
    const { client } = await startGateway(t, response('999 What', [], 'body'))
    assert.equal((await client.get('/')).status, 502)
  })
})

describe('An interim response', () => {
  const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Mine: 1\r\n\r\n'
  const OK = response('200 OK', ['X-Final: 1'], 'ok')

  it('reaches the client before the final one, with its fields', async (t) => {
    const { client } = await startGateway(t, `HTTP/1.1 102 Processing\r\n\r\n${HINTS}${OK}`)
    const received = await speak(client, 'GET / HTTP/1.1')
    const [processing, hints = '', final = '', body] = received.split('\r\n\r\n')
    assert.match(processing!, /^HTTP\/1\.1 102 /)
    assert.match(hints, /^HTTP\/1\.1 103 /)
    assert.match(hints, /^link: <\/a\.css>; rel=preload$/im)
    assert.match(hints, /^x-mine: 1$/im)
    assert.match(final, /^HTTP\/1\.1 200 OK/)
    assert.match(final, /^x-final: 1$/im)
    assert.doesNotMatch(final, /x-mine/i)
    assert.equal(body, 'ok')
  })

  it('does not wait for the final one', async (t) => {
    let finish: () => void = () => {}
    const { client } = await startGateway(t, (socket) => {
      socket.write(HINTS)
      finish = () => socket.write(OK)
    })
    const outgoing = request({ port: client.port, host: '127.0.0.1', agent: false }).end()
    const [hints] = (await once(outgoing, 'information')) as [{ statusCode: number }]
    assert.equal(hints.statusCode, 103)
    finish()
    const [final] = (await once(outgoing, 'response')) as [IncomingMessage]
    assert.equal(final.statusCode, 200)
    final.resume()
  })

  it('is nothing for a client of HTTP/1.0', async (t) => {
    const { client } = await startGateway(t, HINTS + OK)
    assert.match(await speak(client, 'GET / HTTP/1.0'), /^HTTP\/1\.1 200 OK\r\n/)
  })

  it('with a malformed Link is left out, and the final one still comes', async (t) => {
    const { client } = await startGateway(
      t,
      `HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n${OK}`,
    )
    assert.match(await speak(client, 'GET / HTTP/1.1'), /^HTTP\/1\.1 200 OK\r\n/)
  })
})
