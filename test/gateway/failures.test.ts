import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { describe, it } from 'node:test'

import { eventually } from '../support/app.ts'
import { RawUpstream, response } from '../support/raw-upstream.ts'
import { listenGateway, startGateway } from './gateway.ts'

describe('An upstream that fails', () => {
  it('by not listening is 502', async (t) => {
    const upstream = await RawUpstream.start(t, 'never')
    const unused = upstream.port
    upstream.stop()
    const client = await listenGateway(t, { upstream: `http://127.0.0.1:${unused}` })
    const { status, headers } = await client.get('/')
    assert.equal(status, 502)
    assert.match(String(headers['cache-status']), /detail=error/)
  })

  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'M-SEARCH']) {
    it(`by hanging up is 502 for ${method}, and is asked once`, async (t) => {
      const { upstream, client } = await startGateway(t, (socket) => socket.destroy())
      const { status } = await client.send(method, '/')
      assert.equal(status, 502)
      assert.equal(upstream.requests.length, 1)
    })
  }

  it('by answering with something else than HTTP is 502', async (t) => {
    const { client } = await startGateway(t, 'SSH-2.0-OpenSSH_9.2\r\n')
    assert.equal((await client.get('/')).status, 502)
  })

  it('by staying silent is 504', async (t) => {
    const { client } = await startGateway(t, () => {}, { timeoutMs: 50 })
    assert.equal((await client.get('/')).status, 504)
  })

  it('with 503 is passed on: nothing is tried again, whatever Retry-After says', async (t) => {
    const { upstream, client } = await startGateway(
      t,
      response('503 Service Unavailable', ['Retry-After: 1'], 'later'),
    )
    const { status, text, headers } = await client.get('/')
    assert.deepEqual([status, text, headers['retry-after']], [503, 'later', '1'])
    assert.equal(upstream.requests.length, 1)
  })

  it('while the body of a request is on its way is 502', async (t) => {
    const { client } = await startGateway(t, (socket) => socket.destroy(), { early: true })
    const outgoing = request({
      ...{ host: '127.0.0.1', port: client.port, method: 'POST', agent: false },
      headers: { 'content-length': '1000' },
    })
    outgoing.on('error', () => {})
    outgoing.write('the beginning')
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    outgoing.destroy()
    assert.equal(incoming.statusCode, 502)
  })

  for (const framing of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
    it(`within a body (${framing}) leaves the client with a response that is cut off`, async (t) => {
      const { client } = await startGateway(t, (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n${framing}\r\n\r\n`)
        socket.write(framing.startsWith('T') ? '5\r\nhello\r\n' : 'hello', () => socket.destroy())
      })
      // Also the second time: what was cut off is in no cache.
      for (let times = 0; times < 2; times++) {
        await assert.rejects(client.get('/'), { code: 'ECONNRESET' })
      }
    })
  }

  it('once is an upstream that answers the next request', async (t) => {
    const { upstream, client } = await startGateway(t, (socket, _request, nth) => {
      if (nth === 1) socket.destroy()
      else socket.write(response('200 OK', [], 'back'))
    })
    assert.equal((await client.get('/')).status, 502)
    assert.equal((await client.get('/')).text, 'back')
    assert.equal(upstream.requests.length, 2)
  })
})

describe('A client that leaves', () => {
  it('while it sends a body ends the request to the upstream as well', async (t) => {
    let closed = false
    const { upstream, client } = await startGateway(
      t,
      (socket) => void socket.on('close', () => (closed = true)),
      { early: true },
    )
    const socket = connect(client.port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nthe beginning')
    await eventually(() => upstream.requests.length === 1, 'nothing came')
    socket.destroy()
    await eventually(() => closed, 'the upstream still waits for the rest')
  })

  it('while it is answered leaves the gateway in order', async (t) => {
    const { client } = await startGateway(t, (socket, { target }) => {
      if (target === '/') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello')
      else socket.write(response('200 OK', [], 'next'))
    })
    const outgoing = request({ host: '127.0.0.1', port: client.port, agent: false }).end()
    const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
    incoming.on('error', () => {})
    outgoing.destroy()
    assert.equal((await client.get('/next')).text, 'next')
  })
})
