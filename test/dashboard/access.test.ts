import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import auth from '@fastify/auth'
import basicAuth from '@fastify/basic-auth'
import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

import type { DashboardGuard } from '../../src/dashboard/index.ts'
import type { Answer, Client } from '../support/app.ts'
import { type DashboardSetup, PREFIX, ask, startDashboard } from './watching.ts'

const GOOD = { authorization: `Basic ${Buffer.from('admin:right').toString('base64')}` }
const PATHS = [
  ...['', '/', '/uplot.js', '/nothing', '/api/nothing'],
  ...['/api/state', '/api/events', '/api/tags', '/api/route?route=/a'],
]
const QUESTIONS = ['explain', 'entry', 'preview', 'invalidate']

async function withBasicAuth(
  t: TestContext,
  guardsOf: (app: FastifyInstance) => DashboardGuard,
): Promise<Client> {
  return startDashboard(t, {
    options: (app) => ({ onRequest: guardsOf(app) }),
    build: async (app) => {
      await app.register(auth)
      await app.register(basicAuth, {
        authenticate: true,
        validate: async (_user, password) => {
          if (password !== 'right') throw new Error('Wrong.')
        },
      })
      app.get('/a', { config: { cache: true } }, () => 'a')
    },
  })
}

describe('Without credentials', () => {
  it('nothing of the dashboard is shown, and nothing is done', async (t) => {
    for (const guardsOf of [
      (app: FastifyInstance) => app.basicAuth,
      (app: FastifyInstance) => app.auth([app.basicAuth]),
    ]) {
      const client = await withBasicAuth(t, guardsOf)
      await client.get('/a')
      for (const path of PATHS) {
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT']) {
          const { status, text, headers } = await client.send(method, PREFIX + path)
          assert.equal(status, 401, `${method} ${path}`)
          assert.match(String(headers['www-authenticate']), /^Basic/)
          const told = { statusCode: 401, error: 'Unauthorized' }
          if (method === 'GET')
            assert.deepEqual({ ...JSON.parse(text), message: 0 }, { ...told, message: 0 })
        }
      }
      for (const question of QUESTIONS) {
        const { status } = await ask(client, question, { by: 'route', value: '/a', url: '/a' })
        assert.equal(status, 401, question)
      }
      assert.match(String((await client.get('/a')).headers['cache-status']), /; hit/)
      for (const path of ['/', '/uplot.js', '/api/state', '/api/tags']) {
        assert.equal((await client.get(PREFIX + path, GOOD)).status, 200, path)
      }
      assert.equal((await client.get(`${PREFIX}/nothing`, GOOD)).status, 404)
    }
  })

  it('guards are asked in their order, answer by themselves, and guard nothing else', async (t) => {
    const asked: string[] = []
    const client = await startDashboard(t, {
      options: {
        onRequest: [
          (_request, _reply, done) => {
            asked.push('one')
            done()
          },
          async (request, reply) => {
            asked.push('two')
            if (request.headers.cookie === undefined) return reply.redirect('/login')
            return undefined
          },
        ],
      },
      build: (app) => app.get('/login', () => 'login'),
    })
    const { status, headers } = await client.get(`${PREFIX}/`)
    assert.deepEqual([status, headers.location], [302, '/login'])
    assert.deepEqual(asked, ['one', 'two'])
    assert.equal((await client.get(`${PREFIX}/`, { cookie: 'a=b' })).status, 200)
    assert.equal(asked.length, 4)
    assert.equal((await client.get('/login')).text, 'login')
    assert.equal((await client.get('/nothing')).status, 404)
    assert.equal(asked.length, 4)
  })
})

describe('A change is made only for the page itself', () => {
  type Headers = Record<string, string>

  async function invalidates(client: Client, headers: Headers): Promise<[number, string]> {
    const path = `${PREFIX}/api/invalidate`
    const body = JSON.stringify({ by: 'tag', value: 'a' })
    const type = { 'content-type': 'application/json' }
    const { status, text } = await client.send('POST', path, {
      headers: { ...type, ...headers },
      body,
    })
    const { message = '' } = JSON.parse(text) as { message?: string }
    return [status, message]
  }

  const SECRET = async (): Promise<void> => undefined
  const options = { onRequest: SECRET, origins: ['https://ops.example'] }
  const OWN = 'http://shop.example:3000'
  const HOST = { host: 'shop.example:3000' }
  const MATRIX: [what: string, headers: Headers, refusal?: RegExp][] = [
    ['its own origin', { ...HOST, origin: OWN }],
    [
      'its own origin, and the browser says so',
      { ...HOST, origin: OWN, 'sec-fetch-site': 'same-origin' },
    ],
    ['an origin that the options list', { ...HOST, origin: 'https://ops.example' }],
    ['no origin', HOST, /says no Origin/],
    [
      'an opaque origin',
      { ...HOST, origin: 'null' },
      /^Refused: the Origin null is not http:\/\/shop/,
    ],
    ['another origin', { ...HOST, origin: 'http://evil.example' }, /origins: \['http:\/\/evil/],
    ['another scheme', { ...HOST, origin: 'https://shop.example:3000' }, /is not http:\/\/shop/],
    ['another port', { ...HOST, origin: 'http://shop.example' }, /is not http:\/\/shop/],
    ['a name that only begins alike', { ...HOST, origin: `${OWN}.evil.example` }, /is not/],
    ['a listed origin with more', { ...HOST, origin: 'https://ops.example.evil' }, /is not/],
    [
      'what a proxy nobody trusts says',
      { ...HOST, origin: 'https://b', 'x-forwarded-host': 'b', 'x-forwarded-proto': 'https' },
      /is not http:\/\/shop/,
    ],
    ...['cross-site', 'same-site', 'none', 'new'].map((site): [string, Headers, RegExp] => [
      `its own origin, where the browser says ${site}`,
      { ...HOST, origin: OWN, 'sec-fetch-site': site },
      new RegExp(`another page \\(${site}\\)`),
    ]),
  ]
  for (const [what, headers, refusal] of MATRIX) {
    it(`${what}: ${refusal === undefined ? 'done' : 'refused'}`, async (t) => {
      const client = await startDashboard(t, { options })
      const [status, message] = await invalidates(client, headers)
      assert.equal(status, refusal === undefined ? 200 : 403)
      if (refusal !== undefined) assert.match(message, refusal)
      const { stats } = JSON.parse((await client.get(`${PREFIX}/api/state`)).text)
      assert.equal(stats.log.seq, refusal === undefined ? 1 : 0)
    })
  }

  it('behind a proxy that the application trusts, with the host and the scheme that it tells', async (t) => {
    const client = await startDashboard(t, { options, fastify: { trustProxy: true } })
    const forwarded = { 'x-forwarded-host': 'a.example', 'x-forwarded-proto': 'https' }
    const [status] = await invalidates(client, { ...forwarded, origin: 'https://a.example' })
    assert.equal(status, 200)
    const [other] = await invalidates(client, { ...forwarded, origin: 'http://a.example' })
    assert.equal(other, 403)
  })

  it('as JSON: forms and plain text, which any page can send, are not read', async (t) => {
    const client = await startDashboard(t, { options })
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
    ]
    for (const type of [...types, 'application/json-patch+json', 'text/plain; application/json']) {
      const headers = { ...HOST, origin: OWN, 'content-type': type }
      assert.equal((await invalidates(client, headers))[0], 415, type)
    }
  })

  it('and what it asks is not for other pages either, whatever CORS allows', async (t) => {
    const build: DashboardSetup['build'] = (app) =>
      app.register(cors, { origin: true, credentials: true })
    const client = await startDashboard(t, { options, build })
    const get = async (headers: Headers): Promise<Answer> =>
      client.get(`${PREFIX}/api/state`, headers)
    assert.equal((await get({ origin: 'https://evil.example' })).status, 403)
    assert.equal((await get({ 'sec-fetch-site': 'cross-site' })).status, 403)
    assert.equal((await get({ origin: client.origin })).status, 200)
    assert.equal((await get({ 'sec-fetch-site': 'none' })).status, 200)
    assert.equal((await get({ 'sec-fetch-site': 'same-origin' })).status, 200)
  })

  it('nothing is changed from a dashboard that only shows, and previews are shown', async (t) => {
    const client = await startDashboard(t, { options: { ...options, readOnly: true } })
    const { text } = await client.get(`${PREFIX}/api/state`)
    assert.equal(JSON.parse(text).readOnly, true)
    const [status, message] = await invalidates(client, { origin: client.origin })
    assert.deepEqual([status, message], [403, 'Refused: this dashboard only shows (readOnly).'])
    assert.equal((await ask(client, 'preview', { by: 'tag', value: 'a' })).status, 200)
  })
})

describe('An unprotected dashboard', () => {
  it('answers under addresses, and under names only where they are listed', async (t) => {
    const client = await startDashboard(t, {
      options: { unprotected: true, origins: ['http://dash.internal:3000'] },
    })
    const status = async (host: string): Promise<number> =>
      (await client.get(`${PREFIX}/api/state`, { host })).status
    const known = ['127.0.0.1:3000', '10.0.0.7', '[::1]:3000', 'localhost', 'a.localhost:80']
    for (const host of [...known, 'dash.internal:3000']) assert.equal(await status(host), 200, host)
    // A name of somebody else's that leads to this address: its pages are of this very origin.
    for (const host of [
      'evil.example:3000',
      'dash.internal',
      '1.2.3.4.evil.example',
      'localhost.evil',
    ]) {
      assert.equal(await status(host), 403, host)
    }
    const headers = { host: 'evil.example', origin: 'http://evil.example' }
    const { text } = await ask(client, 'invalidate', { by: 'tag', value: 'a' }, headers)
    assert.match(JSON.parse(text).message, /unprotected, .*origins: \['http:\/\/evil\.example'\]/)
  })
})
