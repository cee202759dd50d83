// What applications register at once. Each of these plugins alone is tested elsewhere; here they meet,
// in both orders, and the answers stay those of the application without a cache.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import rateLimit from '@fastify/rate-limit'
import sensible from '@fastify/sensible'
import session from '@fastify/session'
import underPressure from '@fastify/under-pressure'
import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Answer } from '../support/app.ts'
import { type Neighbour, ORDERS, type Visit, compare, course, essenceOf } from './course.ts'

const SECRET = 'a secret with the minimum length of 32 characters'

type Register = (app: FastifyInstance) => PromiseLike<unknown>

const plugins: Register[] = [
  (app) => app.register(sensible),
  (app) => app.register(underPressure, { maxEventLoopDelay: 60_000 }),
  (app) => app.register(helmet, { enableCSPNonces: true }),
  (app) => app.register(cors, { origin: true, credentials: true }),
  (app) => app.register(cookie),
  (app) =>
    app.register(session, {
      secret: SECRET,
      cookie: { secure: false },
      saveUninitialized: false,
      rolling: false,
    }),
  (app) => app.register(jwt, { secret: SECRET }),
  (app) => app.register(rateLimit, { max: 1000, timeWindow: '1 hour' }),
  (app) => app.register(websocket),
  (app) => app.register(compress, { threshold: 100 }),
]

function declare(app: FastifyInstance): void {
  const onRequest = async (request: FastifyRequest): Promise<void> => {
    if (request.headers.authorization !== undefined) await request.jwtVerify()
  }
  app.get('/token', async () => app.jwt.sign({ name: 'ann' }))
  app.get('/page', { onRequest, config: { cache: { tags: ['page'] } } }, async (request) => {
    const { name } = (request.user ?? { name: 'nobody' }) as { name: string }
    return { page: `a page for ${name}, `.repeat(50) }
  })
  app.get('/socket', { websocket: true }, (socket) => socket.close())
  app.get('/nonce', { config: { cache: true } }, (_request, reply) => {
    reply.type('text/html').send(`<script nonce="${reply.cspNonce.script}"></script>`.repeat(9))
  })
  app.post('/page', { config: { cache: { invalidates: ['page'] } } }, async () => 'written')
  app.get('/missing', { config: { cache: true } }, async () => {
    throw app.httpErrors.notFound('no such page')
  })
}

/** Nonces and seconds are of the moment, and so are tags of pages with nonces in them. */
function essence(answer: Answer): unknown {
  const text = JSON.stringify(essenceOf(answer))
  let lasting = text.replace(/"x-ratelimit-reset":"\d+"/, '"x-ratelimit-reset":"soon"')
  for (const [, nonce] of text.matchAll(/nonce-([0-9a-f]{32})/g)) {
    lasting = lasting.replaceAll(nonce!, 'nonce')
  }
  const { headers, ...rest } = JSON.parse(lasting) as { headers: Record<string, string> }
  if (headers['content-type'] === 'text/html') delete headers['etag']
  return { headers, ...rest }
}

for (const turned of [false, true]) {
  for (const order of ORDERS) {
    for (const withEtag of [false, true]) {
      const shown = `${turned ? 'from the last to the first' : 'from the first to the last'}${withEtag ? ', and etag,' : ''}`
      test(`all plugins ${shown} ${order} answer as without the cache`, async (t) => {
        const all: Neighbour = {
          name: 'all',
          register: async (app) => {
            // A session needs cookies, whatever the order of the rest is.
            for (const register of turned ? sessionsLast(plugins.toReversed()) : plugins) {
              await register(app)
            }
          },
          declare,
          visits: async (client) => {
            const ann = { authorization: `Bearer ${(await client.get('/token')).text}` }
            const variants = [
              {},
              { 'accept-encoding': 'gzip', origin: 'https://a.example' },
              { 'accept-encoding': 'br' },
              ann,
              { cookie: 'theme=dark' },
            ]
            const pages = variants.flatMap((fields) => course('/page', fields))
            const write: Visit = { method: 'POST', path: '/page' }
            const rest = ['/nonce', '/missing', '/socket'].flatMap((path) => course(path))
            return [...pages, ...rest, write, ...pages]
          },
          essence,
        }
        const answered = await compare(t, all, order, withEtag)
        const hits = answered.filter(({ told }) => told?.hit === true)
        // Of three variants of strangers, twice, all but the first GET and HEAD of each time.
        assert.equal(hits.length, 2 * (3 * course('/').length - 2))
        assert.ok(hits.every(({ visit }) => visit.path === '/page'))
      })
    }
  }
}

function sessionsLast(registers: Register[]): Register[] {
  const [cookies, sessions] = [plugins[4]!, plugins[5]!]
  const others = registers.filter((each) => each !== cookies && each !== sessions)
  return [cookies, ...others, sessions]
}
