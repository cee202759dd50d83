import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import compress from '@fastify/compress'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

import { SECURITY_FIELDS } from '../../src/dashboard/security-fields.ts'
import type { Answer } from '../support/app.ts'
import { PREFIX, ask, connectTo, startDashboard } from './watching.ts'

const POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:"],
  ...["connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  "require-trusted-types-for 'script'",
]

describe('The page of the dashboard', () => {
  it('is found below its prefix, however that is written', async (t) => {
    const prefixes = ['/dash', '/dash/', '/a/b-c', '/:tenant/dash']
    for (const prefix of prefixes) {
      const client = await startDashboard(t, { options: { prefix, unprotected: true } })
      const at = prefix.replace(':tenant', 'x').replace(/\/$/, '')
      const page = await client.get(`${at}/`)
      assert.equal(page.status, 200, prefix)
      assert.match(page.text, /^<!doctype html>/)
      assert.equal((await client.get(`${at}/api/state`)).status, 200, prefix)
      if (prefix.endsWith('/')) continue
      const moved = await client.get(`${at}?cache=a%20b`)
      assert.equal(moved.status, 308, prefix)
      const { location } = moved.headers
      const base = `${client.origin}${at}`
      assert.equal(String(new URL(location!, base)), `${base}/?cache=a%20b`)
      assert.match(location!, /^\.\//, 'relative, for proxies that rewrite paths')
    }
  })

  it('is found in an application that ignores trailing and duplicate slashes, or has no HEAD', async (t) => {
    const routerOptions = { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true }
    const client = await startDashboard(t, { fastify: { routerOptions, exposeHeadRoutes: false } })
    assert.equal((await client.get(`${PREFIX}/`)).status, 200)
    assert.equal((await client.get(PREFIX)).headers.location, './dash/')
  })

  it('stays on its server whatever the target looks like', async (t) => {
    const rewriteUrl = (): string => PREFIX
    const client = await startDashboard(t, { fastify: { rewriteUrl } })
    for (const target of ['//evil.example', '/\\evil.example', '/javascript:alert(1)', '/%0d%0a']) {
      const { location } = (await client.target(target)).headers
      assert.equal(new URL(location!, `${client.origin}/a/b`).origin, client.origin, target)
    }
  })

  it('is not loaded again as long as it is the same', async (t) => {
    const client = await startDashboard(t)
    const types = {
      '': 'text/html; charset=utf-8',
      'uplot.js': 'text/javascript; charset=utf-8',
      'uplot.css': 'text/css; charset=utf-8',
    }
    const etags = new Set<string>()
    for (const [name, type] of Object.entries(types)) {
      const path = `${PREFIX}/${name}`
      const first = await client.get(path)
      assert.equal(first.status, 200)
      assert.equal(first.headers['content-type'], type)
      assert.equal(first.headers['cache-control'], 'private, no-cache')
      etags.add(first.headers.etag!)
      const again = await client.get(path, { 'if-none-match': first.headers.etag! })
      assert.deepEqual([again.status, again.text], [304, ''])
      assert.equal((await client.get(path, { 'if-none-match': '"other"' })).status, 200)
      const head = await client.head(path)
      assert.deepEqual([head.status, head.text], [200, ''])
    }
    assert.equal(etags.size, 3)
  })

  it('is made of its own files and of no others', async (t) => {
    const client = await startDashboard(t)
    const outside = ['index.html', '../index.js', '..%2findex.js', '%2e%2e/index.js', 'main.ts']
    const others = ['tsconfig.json', 'uplot.js.map', '..\\index.js', '__proto__', '/etc/passwd']
    for (const name of [...outside, ...others]) {
      const { status, text } = await client.target(`${PREFIX}/${name}`)
      assert.equal(status, 404, name)
      assert.doesNotMatch(text, /import |root:/)
    }
  })
})

describe('Every response of the dashboard', () => {
  const assertSecured = ({ headers }: Pick<Answer, 'headers'>, what: string): void => {
    for (const [name, value] of Object.entries(SECURITY_FIELDS)) {
      assert.equal(headers[name], value, `${what}: ${name}`)
    }
  }

  it('has the same strict policy, with helmet before it or after it, and only here', async (t) => {
    assert.equal(SECURITY_FIELDS['content-security-policy'], POLICY.join('; '))
    const contentSecurityPolicy = { directives: { 'script-src': ["'unsafe-inline'"] } }
    for (const when of ['build', 'after'] as const) {
      const client = await startDashboard(t, {
        options: {
          onRequest: async (request) => {
            if (request.headers.authorization === undefined) {
              throw Object.assign(new Error('Who are you?'), { statusCode: 401 })
            }
          },
        },
        [when]: (app: FastifyInstance) => app.register(helmet, { contentSecurityPolicy }),
      })
      const authorization = 'some'
      assertSecured(await client.get(`${PREFIX}/`), '401')
      const paths = ['', '/', '/uplot.js', '/api/state', '/nothing', '/api/route?route=none']
      const statuses: number[] = []
      for (const path of paths) {
        const answer = await client.get(PREFIX + path, { authorization })
        statuses.push(answer.status)
        assertSecured(answer, path)
      }
      assert.deepEqual(statuses, [308, 200, 200, 200, 404, 400])
      const { etag: known } = (await client.get(`${PREFIX}/`, { authorization })).headers
      assertSecured(
        await client.get(`${PREFIX}/`, { authorization, 'if-none-match': known! }),
        '304',
      )
      const refused = await ask(client, 'explain', {}, { authorization, origin: 'http://other' })
      assert.equal(refused.status, 403)
      assertSecured(refused, '403')
      const stream = await connectTo(client, `${PREFIX}/api/events`, { authorization })
      stream.destroy()
      assert.equal(stream.statusCode, 200)
      assertSecured(stream as never, 'events')
      const other = (await client.get('/elsewhere')).headers['content-security-policy']
      assert.match(String(other), /unsafe-inline/)
    }
  })

  it('is in no cache: not in that of a proxy, and not in this one with `global`', async (t) => {
    const client = await startDashboard(t, { cache: { global: true, defaults: { ttl: '1m' } } })
    for (const path of ['/', '/uplot.js', '/api/state', '/api/tags']) {
      for (let time = 0; time < 2; time++) {
        const { headers } = await client.get(PREFIX + path)
        assert.equal(headers['cache-status'], undefined, path)
        const expected = path.startsWith('/api') ? 'no-store' : 'private, no-cache'
        assert.equal(headers['cache-control'], expected, path)
      }
    }
    const { stats } = JSON.parse((await client.get(`${PREFIX}/api/state`)).text)
    assert.deepEqual(stats.routes, {})
  })

  it('can be compressed and have tags by plugins of the application, but for the stream', async (t) => {
    const client = await startDashboard(t, {
      build: async (app) => {
        await app.register(compress, { threshold: 0 })
        await app.register(etag)
      },
    })
    const accepting = { 'accept-encoding': 'gzip' }
    const script = await client.get(`${PREFIX}/uplot.js`, accepting)
    assert.equal(script.headers['content-encoding'], 'gzip')
    const stream = await connectTo(client, `${PREFIX}/api/events`, accepting)
    assert.equal(stream.headers['content-encoding'], undefined)
    assert.match(stream.headers['cache-control']!, /no-transform/)
    const [first] = await stream.take(1).toArray()
    assert.match(String(first), /^retry: 1000\nevent: state\ndata: \{/)
    stream.destroy()
  })
})
