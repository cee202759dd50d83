// Plugins that change what goes out: encoded, tagged, with fields of their own. Each response is made
// for its client, also when the page comes from the cache.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import compress from '@fastify/compress'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import helmet from '@fastify/helmet'
import type { FastifyInstance } from 'fastify'

import type { Answer } from '../support/app.ts'
import {
  type Neighbour,
  ORDERS,
  type Visit,
  assertServed,
  compare,
  course,
  decoded,
  essenceOf,
} from './course.ts'

const LONG = 'a page that is worth compressing, '.repeat(100)
const PAGES = ['/text', '/object', '/bytes', '/short', '/empty', '/tagged', '/dated', '/varied']

function declarePages(app: FastifyInstance): void {
  const config = { cache: { statuses: { 200: true, 204: true } as const } }
  app.get('/text', { config }, async () => LONG)
  app.get('/object', { config }, async () => ({ text: LONG }))
  app.get('/bytes', { config }, (_request, reply) => {
    reply.type('text/html; charset=utf-8').send(Buffer.from(LONG))
  })
  app.get('/short', { config }, async () => 'short')
  app.get('/empty', { config }, (_request, reply) => reply.code(204).send())
  app.get('/tagged', { config }, (_request, reply) => reply.header('etag', '"own"').send(LONG))
  app.get('/dated', { config }, (_request, reply) => {
    reply.header('last-modified', 'Sat, 01 Aug 2026 10:00:00 GMT').type('text/css').send(LONG)
  })
  declareVaried(app)
}

/** Adds to what other plugins vary on, as they do. */
function declareVaried(app: FastifyInstance): void {
  const config = { cache: { vary: { headers: ['accept-language'] } } }
  app.get('/varied', { config }, (_request, reply) => {
    const others = reply.getHeader('vary')
    reply.header(
      'vary',
      others === undefined ? 'Accept-Language' : `${String(others)}, Accept-Language`,
    )
    reply.send(LONG)
  })
}

function visitsOf(paths: readonly string[], fields: readonly Record<string, string>[]): Visit[] {
  return paths.flatMap((path) => fields.flatMap((each) => course(path, each)))
}

const ENCODINGS = ['gzip', 'br', 'deflate', 'identity', 'gzip;q=0.1, br', '*', ''].map(
  (accept) => ({
    'accept-encoding': accept,
  }),
)

const neighbours: Neighbour[] = [
  {
    name: 'no other plugin',
    register: () => undefined,
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}, { 'accept-encoding': 'gzip' }]),
  },
  {
    name: '@fastify/compress',
    register: (app) => app.register(compress, { threshold: 100 }),
    declare: declarePages,
    visits: () => visitsOf(PAGES, ENCODINGS),
  },
  {
    name: '@fastify/compress on routes that ask for it',
    register: (app) => app.register(compress, { global: false, threshold: 100 }),
    declare: (app) => {
      declarePages(app)
      const own = { threshold: 10 }
      app.get('/asked', { compress: own, config: { cache: true } }, async () => ({ text: LONG }))
      app.get('/not', { compress: false, config: { cache: true } }, async () => ({ text: LONG }))
    },
    visits: () => visitsOf(['/asked', '/not', '/text'], ENCODINGS),
  },
  {
    name: '@fastify/etag, weak',
    register: (app) => app.register(etag, { weak: true }),
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}]),
  },
  {
    name: '@fastify/etag without answers of its own',
    register: (app) => app.register(etag, { replyWith304: false }),
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}]),
  },
  {
    name: '@fastify/cors for all',
    register: (app) => app.register(cors),
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}, { origin: 'https://a.example' }]),
  },
  {
    name: '@fastify/cors that echoes the origin, with credentials',
    // Whether a handler that passes Origin on varies on it itself cannot be told: a variant for each.
    stored: 4,
    register: (app) =>
      app.register(cors, {
        origin: true,
        credentials: true,
        exposedHeaders: ['etag'],
        maxAge: 60,
      }),
    declare: declarePages,
    visits: () => [
      ...visitsOf(['/text', '/varied'], [{}, { origin: 'https://a.example' }, { origin: 'null' }]),
      ...preflights('/text', 'https://a.example'),
      ...visitsOf(['/text'], [{ origin: 'https://b.example' }]),
    ],
  },
  {
    name: '@fastify/cors with a list, in preHandler',
    register: (app) =>
      app.register(cors, { origin: ['https://a.example', /\.b\.example$/], hook: 'preHandler' }),
    declare: declarePages,
    visits: () =>
      visitsOf(
        ['/text', '/object'],
        ['https://a.example', 'https://evil.example', 'https://x.b.example'].map((origin) => ({
          origin,
        })),
      ),
  },
  {
    name: '@fastify/cors by a function of the request',
    register: (app) =>
      app.register(cors, {
        delegator: (request, done) => done(null, { origin: request.headers['x-open'] === 'yes' }),
      }),
    declare: declarePages,
    visits: () =>
      visitsOf(
        ['/text'],
        [{ 'x-open': 'yes', origin: 'https://a.example' }, { origin: 'https://a.example' }],
      ),
  },
  {
    name: '@fastify/helmet',
    register: (app) => app.register(helmet),
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}]),
  },
  {
    name: '@fastify/helmet on routes that ask for it',
    register: (app) => app.register(helmet, { global: false }),
    declare: (app) => {
      app.get('/asked', { config: { cache: true } }, async (_request, reply) => {
        await reply.helmet({ frameguard: { action: 'deny' } })
        return 'page'
      })
      app.get('/route', { helmet: { hsts: false }, config: { cache: true } }, async () => 'page')
      app.get('/not', { config: { cache: true } }, async () => 'page')
    },
    visits: () => visitsOf(['/asked', '/route', '/not'], [{}]),
  },
  {
    name: '@fastify/helmet with nonces',
    register: (app) => app.register(helmet, { enableCSPNonces: true }),
    declare: declarePages,
    visits: () => visitsOf(PAGES, [{}]),
    essence: withoutNonces,
  },
]

function preflights(path: string, origin: string): Visit[] {
  const fields = { origin, 'access-control-request-method': 'PUT' }
  return Array.from({ length: 2 }, () => ({ method: 'OPTIONS', path, fields }))
}

const NONCE = /'nonce-([0-9a-f]{32})'/g

function noncesOf({ headers }: Answer): string[] {
  const policy = String(headers['content-security-policy'])
  return [...policy.matchAll(NONCE)].map(([, nonce]) => nonce!)
}

/** Every response has two nonces, and no two responses have the same: `assertFresh` looks at that. */
function withoutNonces(answer: Answer): unknown {
  const [script, style] = noncesOf(answer)
  assert.ok(script && style && script !== style, JSON.stringify(answer.headers))
  const essence = essenceOf(answer)
  return JSON.parse(
    JSON.stringify(essence).replaceAll(script, 'of scripts').replaceAll(style, 'of styles'),
  ) as unknown
}

for (const neighbour of neighbours) {
  for (const order of ORDERS) {
    for (const withEtag of neighbour.name.startsWith('@fastify/etag') ? [false] : [false, true]) {
      const beside = withEtag ? ' and @fastify/etag' : ''
      test(`${neighbour.name}${beside} ${order}: misses, hits, 304 and HEAD are those of the plain application`, async (t) => {
        const answered = await compare(t, neighbour, order, withEtag)
        const fromCache = answered.filter(({ visit }) => visit.method !== 'OPTIONS')
        const pages = new Set(fromCache.map(({ visit }) => visit.path)).size
        assertServed(fromCache, neighbour.stored ?? pages)
        if (withEtag) assert.ok(answered.some(({ answer }) => answer.status === 304))
        if (neighbour.essence) {
          const nonces = answered.flatMap(({ answer }) => noncesOf(answer))
          assert.equal(new Set(nonces).size, nonces.length, 'no nonce comes twice')
        }
      })
    }
  }
}

for (const order of ORDERS) {
  test(`pages with the nonces of @fastify/helmet ${order} are made anew for GET, HEAD and conditions`, async (t) => {
    const config = { cache: true }
    const answered = await compare(
      t,
      {
        name: 'nonces in pages',
        register: (app) => app.register(helmet, { enableCSPNonces: true }),
        declare: (app) => {
          app.get('/page', { config }, (_request, reply) => {
            reply.type('text/html').send(`<script nonce="${reply.cspNonce.script}"></script>`)
          })
          app.get('/object', { config }, async (_request, reply) => ({ n: reply.cspNonce.style }))
          app.get('/own', { config }, async (_request, reply) => {
            const { script, style } = reply.cspNonce
            const policy = `script-src 'nonce-${script}'; style-src 'nonce-${style}'`
            void reply.header('content-security-policy', policy)
            return 'policy by the handler'
          })
        },
        visits: () => ['/page', '/object', '/own'].flatMap((path) => course(path)),
        essence: withoutNonces,
      },
      order,
    )
    for (const { visit, answer, told } of answered) {
      assert.notEqual(told?.hit, true)
      if (visit.method !== 'HEAD') assert.equal(told?.detail, 'nonce')
      if (decoded(answer) === '' || visit.path === '/own') continue
      const own = noncesOf(answer)
      assert.ok(own.some((nonce) => decoded(answer).includes(nonce)))
    }
  })
}
