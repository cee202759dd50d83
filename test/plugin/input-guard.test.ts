import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import responseCache, {
  type ResponseCacheOptions,
  type RouteCacheOptions,
} from '../../src/index.ts'

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown

interface Guarded {
  app: FastifyInstance
  lines: string[]
  /** What Cache-Status says of a miss. */
  ask: (headers?: Record<string, string>) => Promise<{ status: string; body: string }>
}

async function guarded(
  t: TestContext,
  handler: Handler,
  own: RouteCacheOptions = {},
  options: ResponseCacheOptions = { inputGuard: true },
): Promise<Guarded> {
  const lines: string[] = []
  const stream = {
    write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg),
  }
  const app = Fastify({ logger: { level: 'warn', stream }, trustProxy: true })
  t.after(() => app.close())
  app.decorateRequest('user', null as never)
  await app.register(cookie)
  await app.register(responseCache, { defaults: { ttl: '1m' }, ...options })
  app.addHook('preHandler', async (request) => {
    if (request.headers['x-login'] !== undefined) Object.assign(request, { user: { id: '1' } })
  })
  app.addHook('onSend', async (request) => void request.headers['accept-encoding'])
  app.get('/a', { config: { cache: own } }, async (request, reply) => handler(request, reply))
  await app.ready()
  const ask: Guarded['ask'] = async (headers = {}) => {
    const answer = await app.inject({ url: '/a', headers })
    return { status: answer.headers['cache-status'] as string, body: answer.body }
  }
  return { app, lines, ask }
}

const REFUSED = /^fastify; fwd=\S+; detail=input$/
const STORED = /; stored$/

function userOf(request: FastifyRequest): unknown {
  return (request as { user?: unknown }).user
}

describe('inputGuard', () => {
  it('keeps out what was made of input that the key does not cover, and names it once with the fix', async (t) => {
    const cases: [Handler, RegExp, RouteCacheOptions?][] = [
      [
        ({ headers }) => headers['accept-language'] ?? 'none',
        /request\.headers\['accept-language'\].*vary: \{ headers: \['accept-language'\] \}/,
      ],
      [
        ({ raw }) => raw.headers['x-forwarded-host'] ?? 'none',
        /request\.headers\['x-forwarded-host'\]/,
      ],
      [({ headers }) => String('save-data' in headers), /request\.headers\['save-data'\]/],
      [({ ip }) => ip, /request\.ip, .*vary: \{ by: \(request\) => request\.ip \}/],
      [
        ({ cookies }) => cookies['theme'] ?? 'none',
        /request\.cookies\['theme'\].*vary: \{ cookies: \['theme'\] \}/,
        { public: true },
      ],
      [({ headers }) => headers.cookie ?? 'none', /request\.headers\['cookie'\]/, { public: true }],
      [
        (request) => (userOf(request) as { id: string } | null)?.id ?? 'none',
        /request\.user.*vary: \{ by \} in place of public: true/,
        { public: true },
      ],
    ]
    for (const [handler, expected, own] of cases) {
      const { ask, lines, app } = await guarded(t, handler, own)
      for (const again of [1, 2]) {
        const { status } = await ask({ 'accept-language': 'de' })
        assert.match(status, REFUSED, `${again}: ${String(handler)}`)
      }
      assert.equal(lines.length, 1, lines.join('\n'))
      assert.match(lines[0]!, expected)
      assert.match(lines[0]!, /^\/a: the handler reads .*, so its answers are not stored; /)
      assert.deepEqual(app.cache.stats().notStoredByReason, { input: 2 })
      const { inputs, notStored } = await app.cache.explain({ url: '/a' })
      assert.equal(inputs.length, 1)
      assert.equal(notStored[0]!.reason, 'input')
    }
  })

  it('stores what was made of what the key covers, or of nothing', async (t) => {
    const cases: [Handler, RouteCacheOptions?][] = [
      [() => 'a'],
      [({ headers }) => headers['accept-language'], { vary: { headers: ['accept-language'] } }],
      [
        ({ headers }, reply) => {
          void reply.header('vary', 'Accept-Language')
          return headers['accept-language']
        },
      ],
      [({ host, protocol, hostname }) => host + protocol + hostname],
      [({ headers }) => headers['if-none-match'] ?? headers.range ?? headers.host],
      // Requests that have one go around the cache.
      [
        (request) =>
          `${String(userOf(request))}${request.headers.authorization}${request.cookies['a']}`,
      ],
      [({ cookies }) => cookies['theme'] ?? 'none', { public: true, vary: { cookies: ['theme'] } }],
      [({ ip }) => ip, { vary: { by: ({ ip }) => ip } }],
      [({ headers }) => headers['accept'] ?? 'none', { ttl: 'headers', statuses: { 200: '1m' } }],
    ]
    for (const [handler, own] of cases) {
      const { ask, lines } = await guarded(t, handler, own)
      assert.match((await ask({ 'accept-language': 'de' })).status, STORED, String(handler))
      assert.deepEqual(lines, [])
      assert.match((await ask({ 'accept-language': 'de' })).status, /; hit/)
    }
  })

  it("stores all the same with 'warn', and watches nothing without the option", async (t) => {
    const handler: Handler = ({ headers }) => headers['accept-language']
    const warned = await guarded(t, handler, {}, { inputGuard: 'warn' })
    assert.match((await warned.ask({ 'accept-language': 'de' })).status, STORED)
    assert.match(warned.lines.join('\n'), /covers?; set vary|cover; set vary/)
    assert.doesNotMatch(warned.lines.join('\n'), /not stored/)
    const off = await guarded(
      t,
      (request) => String(Object.hasOwn(request, 'ip') || Object.hasOwn(request, 'headers')),
      {},
      { inputGuard: false },
    )
    const { status, body } = await off.ask()
    assert.match(status, STORED)
    assert.equal(body, 'false')
    await assert.rejects(guarded(t, handler, {}, { inputGuard: 'always' as never }), {
      code: 'FST_RESPONSE_CACHE_INVALID_OPTION',
    })
  })

  it('changes nothing of what handlers see, copy, clone and write', async (t) => {
    const { ask, lines, app } = await guarded(
      t,
      (request) => {
        const { headers, raw } = request
        const copies = [
          { ...headers },
          structuredClone(headers),
          JSON.parse(JSON.stringify(raw.headers)),
        ]
        headers['x-own'] = 'own'
        headers['user-agent'] = 'mine'
        Object.assign(request, { user: { id: 'own' } })
        return {
          copies,
          written: [
            headers['x-own'],
            headers['user-agent'],
            (userOf(request) as { id: string }).id,
          ],
          missing: [headers['none'], headers.toString === Object.prototype.toString],
          cookies: { ...request.cookies },
          ips: request.ips,
          names: Object.keys(headers),
        }
      },
      { public: true },
    )
    const sent = {
      'x-a': '1',
      'x-b': '1',
      'x-c': '1',
      cookie: 'a=1; b=2',
      'user-agent': 'test',
      host: 'h',
    }
    const { body, status } = await ask(sent)
    assert.match(status, REFUSED)
    const seen = JSON.parse(body) as Record<string, unknown>
    assert.deepEqual(seen['copies'], [sent, sent, sent])
    assert.deepEqual(seen['written'], ['own', 'mine', 'own'])
    assert.deepEqual(seen['missing'], [null, true])
    assert.deepEqual(seen['cookies'], { a: '1', b: '2' })
    assert.deepEqual(seen['ips'], ['127.0.0.1'])
    assert.deepEqual(seen['names'], [...Object.keys(sent), 'x-own'])
    assert.match(lines.join(), /request\.headers as a whole.*read only those/)
    assert.equal(app.cache.stats().notStoredByReason.input, 1)
  })

  it('watches a handler that validates, and leaves the conditions of the client to hooks', async (t) => {
    let tag: unknown
    const { ask, app } = await guarded(
      t,
      (request, reply) => {
        tag = request.headers['if-none-match']
        return reply
          .header('etag', '"1"')
          .code(tag === '"1"' ? 304 : 200)
          .send(tag === '"1"' ? undefined : 'a')
      },
      { staleIfError: 60 },
    )
    assert.match((await ask()).status, STORED)
    await app.cache.invalidateUrl('/a')
    const { status, body } = await ask({ 'if-none-match': '"other"' })
    assert.equal(tag, '"1"')
    assert.match(status, /fwd-status=304; stored$/)
    assert.equal(body, 'a')
  })
})
