import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type RequestOptions, request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, describe, it } from 'node:test'

import fc from 'fast-check'
import type { FastifyInstance, FastifyRequest, FastifyServerOptions } from 'fastify'
import Fastify from 'fastify'

import { type RefreshRequest, refreshRequestOf, sendRefresh } from '../src/refresh-request.ts'
import { Revalidator } from '../src/revalidator.ts'
import { Client } from './support/app.ts'
import { eventually } from './support/clock.ts'
import { guardedFolder } from './support/redis-guard.ts'
import { markStored, refreshRequest } from './support/refreshing-app.ts'

const KEYED = { headers: new Set(['x-keyed', 'accept-language']), cookies: new Set(['theme']) }

/** What an application may ask of where a request came from and where it went. */
function originOf(request: FastifyRequest): Record<string, unknown> {
  const { ip, ips, host, hostname, port, protocol, url, originalUrl, routeOptions } = request
  const encrypted = Boolean((request.raw.socket as { encrypted?: boolean }).encrypted)
  const { url: route, version } = routeOptions
  return { ip, ips, host, hostname, port, protocol, url, originalUrl, encrypted, route, version }
}

interface Twice {
  app: FastifyInstance
  /** What the handler saw: of the client's request, then of the refresh that this one caused. */
  origins: Record<string, unknown>[]
  sent: RefreshRequest[]
  /** Waits for the refresh that the client's request has caused. */
  refreshed: () => Promise<void>
}

/** An application in which every request of a client causes a refresh of itself. */
async function refreshingItself(
  t: TestContext,
  options: FastifyServerOptions = {},
): Promise<Twice> {
  const app = Fastify(options)
  const origins: Twice['origins'] = []
  const sent: RefreshRequest[] = []
  const revalidator = new Revalidator({
    dispatch: (raw, response) => app.routing(raw, response),
    now: () => 0,
    onTrouble: (_operation, error) => assert.fail(error),
  })
  const handler = async (request: FastifyRequest): Promise<string> => {
    if (origins.length % 2 === 0) {
      const again = refreshRequestOf(request, KEYED)
      sent.push(again)
      revalidator.refresh('key', again, { key: 'key' })
    }
    origins.push(originOf(request))
    markStored(request)
    return 'page'
  }
  app.get('*', handler)
  app.get('/versions', { constraints: { version: '1.2.0' } }, handler)
  // The router knows no target in absolute form.
  app.setNotFoundHandler(handler)
  t.after(() => app.close())
  const refreshed = (): Promise<void> =>
    eventually('it has been refreshed', () => origins.length === 2 && revalidator.running === 0)
  return { app, origins, sent, refreshed }
}

async function listening(app: FastifyInstance): Promise<number> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return (app.server.address() as AddressInfo).port
}

const PROXIES: [string, FastifyServerOptions['trustProxy']][] = [
  ['no proxy', false],
  ['every proxy', true],
  ['proxies on this host', 'loopback'],
  ['a list with this host', ['127.0.0.1', '10.0.0.0/8']],
  ['a list of others', ['10.0.0.0/8']],
  // Not in its types, and accepted: it trusts nobody.
  ['a number of hops', 2 as never],
  ['the first hop only', (_address: string, hop: number) => hop === 0],
]

const FORWARDED = [
  [],
  ['X-Forwarded-For: 203.0.113.7'],
  ['X-Forwarded-For: 203.0.113.7, 10.1.1.1', 'X-Forwarded-Proto: https'],
  ['X-Forwarded-Host: shop.example:8443'],
  [
    'X-Forwarded-For: 10.1.1.1',
    'X-Forwarded-Host: a.example, b.example',
    'X-Forwarded-Proto: http, https',
  ],
  ['X-Forwarded-For: nonsense', 'X-Forwarded-Host: [::1]:80', 'X-Forwarded-Proto: wss'],
]

describe('where a refresh comes from and where it goes', () => {
  for (const [name, trustProxy] of PROXIES) {
    it(`is what it was for the client, with trust in ${name}`, async (t) => {
      for (const fields of FORWARDED) {
        const { app, origins, sent, refreshed } = await refreshingItself(t, {
          ...(trustProxy === undefined ? {} : { trustProxy }),
        })
        const client = new Client(await listening(app))
        await client.target('/a/page?q=1', ['Host: Example.com:81', ...fields])
        await refreshed()
        assert.deepEqual(origins[1], origins[0], fields.join())
        if (trustProxy === false) assert.deepEqual(sent[0]!.headers, {})
      }
    })
  }

  it('is what it was without a Host field', async (t) => {
    const { app, origins, refreshed } = await refreshingItself(t)
    const client = new Client(await listening(app))
    await client.raw('GET /page HTTP/1.0\r\n\r\n')
    await refreshed()
    assert.equal(origins[0]!.host, '')
    assert.deepEqual(origins[1], origins[0])
  })

  it('is what it was on a Unix socket, which has no address', async (t) => {
    const { app, origins, refreshed } = await refreshingItself(t)
    const socketPath = join(guardedFolder(), 'refresh.sock')
    await app.listen({ path: socketPath })
    const [response] = await once(httpRequest({ socketPath, path: '/page' }).end(), 'response')
    response.resume()
    await refreshed()
    assert.equal(origins[0]!.ip, undefined)
    assert.deepEqual(origins[1], origins[0])
  })

  it('is what it was over TLS', async (t) => {
    const psk = { psk: Buffer.from('c0ffee', 'hex'), identity: 'client' }
    const tls = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const
    const { app, origins, refreshed } = await refreshingItself(t, {
      https: { ...tls, pskCallback: () => psk.psk },
    } as FastifyServerOptions)
    const port = await listening(app)
    const options = { ...tls, port, host: '127.0.0.1', pskCallback: () => psk, agent: false }
    const outgoing = httpsRequest({
      ...options,
      checkServerIdentity: () => undefined,
    } as RequestOptions)
    const [response] = await once(outgoing.end(), 'response')
    response.resume()
    await refreshed()
    assert.equal(origins[0]!.protocol, 'https')
    assert.deepEqual(origins[1], origins[0])
  })

  it('is what it was over HTTP/2, which has no Host field', async (t) => {
    const { app, origins, refreshed } = await refreshingItself(t, {
      http2: true,
    } as FastifyServerOptions)
    const port = await listening(app)
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    const stream = session.request({ ':path': '/page', ':authority': 'example.com:81' })
    await once(stream.resume(), 'end')
    await refreshed()
    // An application that closes waits for it.
    session.destroy()
    assert.equal(origins[0]!.host, 'example.com:81')
    assert.deepEqual(origins[1], origins[0])
  })

  it('is rewritten as the original was', async (t) => {
    const { app, origins, refreshed } = await refreshingItself(t, {
      rewriteUrl: ({ url }) => `/rewritten${url}`,
    })
    const client = new Client(await listening(app))
    await client.target('/page?q=1')
    await refreshed()
    assert.equal(origins[1]!.url, '/rewritten/page?q=1')
    assert.deepEqual(origins[1], origins[0])
  })

  it('is the version of the route that was asked for', async (t) => {
    const { app, origins, refreshed } = await refreshingItself(t)
    const client = new Client(await listening(app))
    await client.target('/versions', ['Host: example.com', 'Accept-Version: 1.x'])
    await refreshed()
    assert.equal(origins[0]!.route, '/versions')
    assert.deepEqual(origins[1], origins[0])
  })

  it('is the very target, where a URL parser would see another', async (t) => {
    for (const target of [
      '/a/../b',
      '/a/%2e%2e/b',
      '//host/b',
      '/a\\b',
      '/a#b',
      '/a?b#c',
      'http://other.example/b?c',
      '/a?q=%27|"',
      '*',
    ]) {
      const { app, origins, refreshed } = await refreshingItself(t)
      const client = new Client(await listening(app))
      await client.target(target)
      await refreshed()
      assert.equal(origins[0]!.url, target)
      assert.deepEqual(origins[1], origins[0])
    }
  })

  it('is any target, byte for byte', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (url) => {
        let seen: string | undefined
        sendRefresh(
          (raw, response) => {
            seen = raw.url
            response.end()
          },
          refreshRequest({ url }),
          { key: '' },
          () => {},
        )
        assert.equal(seen, url)
      }),
    )
  })
})

/** The fields of the request that a refresh makes. */
function fieldsOf(request: Partial<RefreshRequest>): { headers: unknown; rawHeaders: string[] } {
  let seen: { headers: unknown; rawHeaders: string[] } | undefined
  sendRefresh(
    (raw, response) => {
      seen = { headers: { ...raw.headers }, rawHeaders: raw.rawHeaders }
      assert.equal(raw.method, 'GET')
      response.end()
    },
    refreshRequest(request),
    { key: '' },
    () => {},
  )
  return seen!
}

describe('the fields of a refresh', () => {
  it('are those that the key covers, with the cookies that the key covers', async (t) => {
    const { app, sent, refreshed } = await refreshingItself(t)
    const client = new Client(await listening(app))
    await client.target('/page', [
      'Host: example.com',
      'User-Agent: browser',
      'Accept-Language: de',
      'X-Keyed: one',
      'X-Keyed: two',
      'X-Other: three',
      'Cookie: session=secret; theme=dark; theme=light',
      'Authorization: Bearer secret',
      'If-None-Match: "etag"',
      'Range: bytes=0-1',
      'X-Forwarded-For: 203.0.113.7',
    ])
    await refreshed()
    assert.deepEqual(sent[0], {
      url: '/page',
      host: 'example.com',
      protocol: 'http',
      remoteAddress: '127.0.0.1',
      headers: {
        'x-keyed': 'one, two',
        'accept-language': 'de',
        cookie: 'theme=dark; theme=light',
      },
    })
  })

  it('are no cookies when those of the client are not in the key', async (t) => {
    const { app, sent, refreshed } = await refreshingItself(t)
    const client = new Client(await listening(app))
    await client.target('/page', ['Host: example.com', 'Cookie: session=secret'])
    await refreshed()
    assert.deepEqual(sent[0]!.headers, {})
  })

  it('are the whole Cookie field when that is in the key', () => {
    const headers = { host: 'a', cookie: 'a=1;b' }
    const request = {
      raw: { headers, socket: null },
      originalUrl: '/',
      host: 'a',
      protocol: 'http',
    }
    const keyed = { headers: new Set(['cookie']), cookies: new Set(['a']) }
    assert.deepEqual(refreshRequestOf(request, keyed), {
      url: '/',
      host: 'a',
      protocol: 'http',
      remoteAddress: undefined,
      headers: { cookie: 'a=1;b' },
    })
  })

  it('are only fields, whatever a keyed field is called', () => {
    const raw = { headers: { host: 'a' }, socket: null }
    const keyed = { headers: new Set(['constructor', '__proto__']), cookies: new Set<string>() }
    const request = { raw, originalUrl: '/', host: 'a', protocol: 'http' }
    assert.deepEqual(refreshRequestOf(request, keyed).headers, {})
  })

  it('are exactly these, as the application sees them', () => {
    const { headers, rawHeaders } = fieldsOf({ headers: { 'x-keyed': 'a', 'x-list': ['b', 'c'] } })
    assert.deepEqual(headers, { host: 'example.com', 'x-keyed': 'a', 'x-list': ['b', 'c'] })
    const raw = ['host', 'example.com', 'x-keyed', 'a', 'x-list', 'b', 'x-list', 'c']
    assert.deepEqual(rawHeaders, raw)
  })

  it('are never those of a connection, a body or another protocol', () => {
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'http2-settings': 'AAMAAABkAAQAAP__',
      'content-length': '5',
      'transfer-encoding': 'chunked',
      expect: '100-continue',
      te: 'trailers',
      ':authority': 'other.example',
      host: 'other.example',
    }
    assert.deepEqual(fieldsOf({ headers }).headers, { host: 'example.com' })
    assert.deepEqual(fieldsOf({ headers, host: '' }).headers, {})
  })
})
