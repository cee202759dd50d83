import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { response } from '../support/raw-upstream.ts'
import { speak, startGateway } from './gateway.ts'

const OK = response('200 OK', [], 'ok')

describe('The header section of a request', () => {
  it('reaches the upstream without the fields of the connection it came on', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const hopByHop = [
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5',
      'TE: trailers',
      'Trailer: X-Sum',
      'Upgrade: h2c',
    ]
    await speak(client, 'GET / HTTP/1.1', hopByHop)
    const got = Object.keys(upstream.request.fields)
    for (const line of hopByHop) {
      const name = line.slice(0, line.indexOf(':')).toLowerCase()
      assert.ok(!got.includes(name), `${name} was passed on`)
    }
  })

  it('reaches the upstream without the fields that Connection lists', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    await client.get('/', {
      connection: 'close, X-Mine , x-OTHER',
      'x-mine': '1',
      'x-other': '2',
      'x-kept': '3',
    })
    const { fields } = upstream.request
    assert.equal(fields['x-mine'], undefined)
    assert.equal(fields['x-other'], undefined)
    assert.equal(fields['x-kept'], '3')
  })

  it('keeps Host and framing although Connection lists them', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const fields = ['Connection: host, content-length', 'Content-Length: 3']
    await speak(client, 'POST / HTTP/1.1', fields, 'abc')
    assert.equal(upstream.request.body.toString(), 'abc')
    assert.equal(upstream.request.fields['x-forwarded-host'], 'shop.example')
  })

  it('is for the cache what it is for the upstream: a listed Cookie is none', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const kept = await client.get('/', { cookie: 'a=b' })
    const removed = await client.get('/', { cookie: 'a=b', connection: 'close, cookie' })
    assert.match(String(kept.headers['cache-status']), /fwd=bypass/)
    assert.doesNotMatch(String(removed.headers['cache-status']), /fwd=bypass/)
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fields['cookie']),
      ['a=b', undefined],
    )
  })

  it('reaches the upstream with everything that is meant for it', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    const sent = {
      'accept-encoding': 'br, gzip',
      authorization: 'Bearer x',
      'cache-control': 'max-age=0',
      cookie: 'a=b; c=d',
      'if-modified-since': 'Sun, 06 Nov 1994 08:49:37 GMT',
      'if-none-match': 'W/"a", "b"',
      'if-range': '"b"',
      range: 'bytes=0-1',
      'x-odd': 'caf\xe9',
    }
    await client.get('/', sent)
    const { fields } = upstream.request
    for (const [name, value] of Object.entries(sent)) assert.equal(fields[name], value, name)
  })

  it('names the upstream as host, and tells it the host that the client asked', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    await speak(client, 'GET / HTTP/1.1')
    const { fields } = upstream.request
    assert.equal(fields['host'], `127.0.0.1:${upstream.port}`)
    assert.equal(fields['x-forwarded-host'], 'shop.example')
    assert.equal(fields['x-forwarded-proto'], 'http')
  })

  it("carries none of a client's own claims about where it comes from", async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    await client.get('/', {
      forwarded: 'host=evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-prefix': '/evil',
    })
    const { fields } = upstream.request
    assert.equal(fields['forwarded'], undefined)
    assert.equal(fields['x-forwarded-for'], undefined)
    assert.equal(fields['x-forwarded-prefix'], undefined)
    assert.equal(fields['x-forwarded-host'], `127.0.0.1:${client.port}`)
  })

  it('says in Via who passed it on', async (t) => {
    const { upstream, client } = await startGateway(t, OK)
    await client.get('/', { via: '1.0 fred' })
    await speak(client, 'GET / HTTP/1.0')
    assert.deepEqual(
      upstream.requests.map(({ fields }) => fields['via']),
      ['1.0 fred, 1.1 fastify-response-cache', '1.0 fastify-response-cache'],
    )
  })
})

describe('The header section of a response', () => {
  it("reaches the client without the fields of the upstream's connection", async (t) => {
    const { client } = await startGateway(
      t,
      response('200 OK', [
        'Connection: keep-alive, X-Mine,x-other',
        'Keep-Alive: timeout=7',
        'Proxy-Authenticate: Basic',
        'Proxy-Connection: keep-alive',
        'Trailer: X-Sum',
        'Upgrade: h2c',
        'X-Mine: 1',
        'X-Other: 2',
        'X-Kept: 3',
      ]),
    )
    const { headers } = await client.get('/')
    for (const name of ['proxy-authenticate', 'proxy-connection', 'trailer', 'upgrade']) {
      assert.equal(headers[name], undefined, name)
    }
    assert.equal(headers['x-mine'], undefined)
    assert.equal(headers['x-other'], undefined)
    assert.equal(headers['x-kept'], '3')
    assert.notEqual(headers['keep-alive'], 'timeout=7')
    assert.equal(headers['connection'], 'close')
  })

  it('reaches the client byte by byte, repeated lines and obs-text too', async (t) => {
    const { client } = await startGateway(
      t,
      response('200 OK', [
        'Date: Sun, 06 Nov 1994 08:49:37 GMT',
        'Set-Cookie: a=b; Path=/',
        'Set-Cookie: c=d',
        'Link: </a>; rel=preload',
        'Link: </b>; rel=preload',
        'ETag: "caf\xe9"',
        'X-Empty:',
      ]),
    )
    const { headers, rawHeaders } = await client.get('/')
    assert.equal(headers['date'], 'Sun, 06 Nov 1994 08:49:37 GMT')
    assert.deepEqual(headers['set-cookie'], ['a=b; Path=/', 'c=d'])
    assert.deepEqual(
      rawHeaders.filter((_, at) => rawHeaders[at - 1]?.toLowerCase() === 'link'),
      ['</a>; rel=preload', '</b>; rel=preload'],
    )
    assert.equal(headers['etag'], '"caf\xe9"')
    assert.equal(headers['x-empty'], '')
  })

  it('says in Via who passed it on', async (t) => {
    const { client } = await startGateway(t, response('200 OK', ['Via: 1.1 origin']))
    assert.equal((await client.get('/')).headers['via'], '1.1 origin, 1.1 fastify-response-cache')
  })
})
