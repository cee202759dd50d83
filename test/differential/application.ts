// The application under test: deterministic, given a request and a version of the database. It does
// what applications do: it reflects, sets cookies, fails, redirects, streams, knows people.
import { Readable } from 'node:stream'
import { setImmediate as later } from 'node:timers/promises'

import compress from '@fastify/compress'
import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import etag from '@fastify/etag'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import responseCache, {
  type CacheRequest,
  type ResponseCacheOptions,
  type RouteCacheOptions,
} from '../../src/index.ts'
import type { View } from './database.ts'

/** Seconds. Nothing invalidates the news: within theirs they may be answered as they were. */
export const LIFETIMES = { news: 5, others: 60, defaults: 3600 }
/** Seconds in which stale news may be answered while they are made anew. */
export const STALE_NEWS = 4
/** So long that a write begins and ends meanwhile. */
const SLOW_TURNS = 20
export const MODIFIED = 'Sat, 01 Aug 2020 10:00:00 GMT'
const LONG = 'a text that is worth compressing; '.repeat(20)

type Read = (row: string) => number
type Params = { id: string }
type Query = Record<string, string>
type Handler = (
  request: FastifyRequest<{ Params: Params; Querystring: Query }>,
  reply: FastifyReply,
  read: Read,
) => unknown

type Known = FastifyRequest & { person?: string }

export async function buildApplication(
  view: View,
  options: ResponseCacheOptions | false,
): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(etag)
  await app.register(cookie)
  if (options !== false) {
    await app.register(responseCache, { defaults: { ttl: LIFETIMES.defaults }, ...options })
  }
  await app.register(compress, { threshold: 200 })
  await app.register(cors, { origin: ['https://a.example', 'https://b.example'] })
  addHooks(app)
  declareReads(app, view)
  declareSpecials(app, view)
  declareWrites(app, view)
  return app
}

/** What is made for each request anew, whoever answers. */
function addHooks(app: FastifyInstance): void {
  app.decorateRequest('person')
  app.addHook('onRequest', async (request: Known, reply) => {
    void reply.header('x-trace', request.headers['x-trace'] ?? 'none')
    const [, name] = /^Bearer (\w+)$/.exec(request.headers.authorization ?? '') ?? []
    if (name === 'evil') return reply.code(401).send({ refused: true })
    if (name !== undefined) request.person = name
    return undefined
  })
  // What hooks choose, and the handler's answer is made with.
  app.addHook('preHandler', async ({ headers }, reply) => {
    if (headers['x-format'] === 'pretty') void reply.serializer(pretty)
    if (headers['x-format'] === 'typed') void reply.type('application/vnd.json').serializer(pretty)
    if (headers['x-state'] === 'old') void reply.code(203)
  })
  app.addHook('onSend', async (request, reply) => {
    void reply.header('x-sent-to', request.headers['x-trace'] ?? 'nobody')
    if ((request.query as Query)['cookie'] === 'late') void reply.header('set-cookie', 'late=1')
  })
}

function pretty(payload: unknown): string {
  return JSON.stringify(payload, undefined, 2)
}

function ofItem(request: CacheRequest): string[] {
  return [`item:${request.params.id}`]
}

function sorted(query: Query): unknown {
  return Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** A cached route of one row, or of several. */
function declare(
  app: FastifyInstance,
  { path, cache, view }: { path: string; cache: RouteCacheOptions | false; view: View },
  handler: Handler,
): void {
  app.get<{ Params: Params; Querystring: Query }>(path, { config: { cache } }, (request, reply) => {
    // One look at the database: what an answer is made of belongs together.
    const { version } = view
    return handler(request, reply, (row) => view.read(row, version))
  })
}

function declareReads(app: FastifyInstance, view: View): void {
  const own = { view, cache: { tags: ofItem } }
  declare(app, { ...own, path: '/items/:id' }, async ({ params, query, host }, _reply, read) => {
    const value = read(params.id)
    if (value % 5 === 3) throw new Error('this version is broken')
    return { id: params.id, value, host, query: sorted(query) }
  })
  declare(app, { path: '/items', view, cache: { tags: ['items'] } }, ({ query }, reply, read) => {
    const values = ['1', '2', '3'].map(read)
    reply.send({ values, page: Number(query['page'] ?? 1) })
  })
  declare(app, { ...own, path: '/text/:id' }, async ({ params }, reply, read) => {
    void reply.header('x-value', read(params.id)).type('text/plain')
    return `${params.id} ${read(params.id)} ${LONG}`
  })
  declare(app, { ...own, path: '/bytes/:id' }, (request, reply, read) => {
    reply
      .type('text/css')
      .send(Buffer.from(`${request.params.id} ${read(request.params.id)} ${LONG}`))
  })
  declare(app, { ...own, path: '/stream/:id' }, (request, reply, read) => {
    reply
      .type('text/plain')
      .send(Readable.from([`${request.params.id} `, `${read(request.params.id)}`]))
  })
  const parts = { view, cache: { tags: ofItem, ranges: true } }
  declare(app, { ...parts, path: '/parts/:id' }, ({ params }, reply, read) => {
    reply.headers({
      'accept-ranges': 'bytes',
      etag: `"${params.id}-${read(params.id)}"`,
      'last-modified': MODIFIED,
    })
    reply.type('text/css').send(Buffer.from(`${params.id} ${read(params.id)} ${LONG}`))
  })
  const files = { view, cache: { tags: ['items'] } }
  declare(app, { ...files, path: '/files/*' }, async ({ params, url }, _reply, read) => {
    return { params, path: url.split('?', 1)[0], value: read('1') }
  })
  declareAging(app, view)
  declare(app, { path: '/plain/:id', view, cache: false }, async ({ params }, _reply, read) => ({
    value: read(params.id),
  }))
  app.get<{ Params: Params }>('/slow/:id', { config: { cache: own.cache } }, async ({ params }) => {
    await later()
    const value = view.read(params.id, view.version)
    for (let turn = 0; turn < SLOW_TURNS; turn++) await later()
    return { slow: value }
  })
}

function declareAging(app: FastifyInstance, view: View): void {
  const news: Handler = async (_request, _reply, read) => ({ news: read('news') })
  declare(app, { path: '/news', view, cache: { ttl: LIFETIMES.news } }, news)
  const stale = { ttl: LIFETIMES.news, staleWhileRevalidate: STALE_NEWS }
  declare(app, { path: '/news/stale', view, cache: stale }, news)
  // A write forgets it: then no window lets it be answered.
  const forgotten = { ...stale, tags: ofItem }
  declare(app, { path: '/stale/:id', view, cache: forgotten }, async ({ params }, _reply, read) => {
    return { value: read(params.id) }
  })
}

function declareSpecials(app: FastifyInstance, view: View): void {
  const { others } = LIFETIMES
  const statuses = { 200: true, 204: true, 302: others, 404: others } as const
  const own = { view, cache: { tags: ofItem, statuses } }
  declare(app, { ...own, path: '/moved/:id' }, ({ params }, reply, read) => {
    reply.redirect(`/items/${params.id}?value=${read(params.id)}`)
  })
  declare(app, { ...own, path: '/some/:id' }, async ({ params }, reply, read) => {
    const value = read(params.id)
    if (value % 3 === 1) return reply.code(404).send({ missing: value })
    if (value % 3 === 2) return reply.code(204).header('x-value', value).send()
    return { found: value }
  })
  declare(app, { ...own, path: '/not/:id' }, ({ params }, reply, read) => {
    if (read(params.id) % 2 === 1) reply.callNotFound()
    else reply.send({ found: params.id })
  })
  declare(app, { ...own, path: '/cookie/:id' }, async ({ params }, reply, read) => {
    if (read(params.id) % 2 === 1) void reply.setCookie('visited', params.id)
    return { cookie: read(params.id) }
  })
  declare(app, { ...own, path: '/private/:id' }, async ({ params }, reply, read) => {
    const value = read(params.id)
    return reply.header('cache-control', value % 2 === 1 ? 'private' : 'max-age=10').send({ value })
  })
  declarePersonal(app, view)
}

function declarePersonal(app: FastifyInstance, view: View): void {
  const by = (request: CacheRequest): string | undefined => (request as Known).person
  const greet: Handler = async (request, _reply, read) => ({
    person: (request as unknown as Known).person ?? 'nobody',
    value: read(request.params.id),
  })
  declare(app, { path: '/me/:id', view, cache: { tags: ofItem, vary: { by } } }, greet)
  declare(app, { path: '/home/:id', view, cache: { tags: ofItem } }, greet)
  const headers = ['accept-language']
  declare(
    app,
    { path: '/lang/:id', view, cache: { tags: ofItem, vary: { headers } } },
    async ({ params, headers }, reply, read) => {
      const others = reply.getHeader('vary')
      const vary = others === undefined ? 'Accept-Language' : `${String(others)}, Accept-Language`
      void reply.header('vary', vary)
      return `${headers['accept-language'] ?? 'no language'} ${read(params.id)}`
    },
  )
  declare(
    app,
    { path: '/theme/:id', view, cache: { tags: ofItem, vary: { cookies: ['theme'] } } },
    async ({ params, cookies }, _reply, read) => `${cookies['theme'] ?? 'none'} ${read(params.id)}`,
  )
  const query = { ignore: ['utm_*'] }
  declare(
    app,
    { path: '/campaign/:id', view, cache: { tags: ofItem, vary: { query } } },
    async ({ params, query }, _reply, read) =>
      `${query['x']} ${query['show'] === '1' ? query['utm_source'] : ''} ${read(params.id)}`,
  )
}

function declareWrites(app: FastifyInstance, view: View): void {
  const invalidates = (request: CacheRequest): string[] => [...ofItem(request), 'items']
  const write = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const { id } = request.params as Params
    const { fail } = request.query as Query
    if (fail === 'before') return reply.code(409).send({ refused: id })
    await later()
    const version = view.write(id)
    await later()
    return reply.code(request.method === 'POST' ? 201 : 200).send({ version })
  }
  for (const method of ['PUT', 'POST', 'DELETE']) {
    app.route({ method, url: '/items/:id', config: { cache: { invalidates } }, handler: write })
  }
  // By the client, in the handler.
  app.patch<{ Params: Params }>('/items/:id', async ({ params }) => {
    const version = view.write(params.id)
    if (app.hasDecorator('cache')) await app.cache.invalidateTags([`item:${params.id}`, 'items'])
    return { version }
  })
  // Nothing is invalidated: the page has a lifetime.
  app.put('/news', async () => ({ version: view.write('news') }))
}
