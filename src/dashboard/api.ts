import { createRequire } from 'node:module'
import { hostname } from 'node:os'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { PreviewTarget } from '../client-oversight.ts'
import { DashboardRefusalError, InvalidArgumentError } from '../errors.ts'
import { entryOf } from './entry.ts'
import type { ExplainRequest, InvalidateRequest, Invalidated, State } from './messages.ts'
import type { CheckedDashboardOptions } from './options.ts'
import { checkOrigin } from './origin.ts'
import { sendJson } from './problem.ts'
import { PRIVATE_ROUTE } from './private-route.ts'
import { readEntry, readExplain, readInvalidate, readQuery } from './requests.ts'
import { Streams } from './streams.ts'
import { View } from './view.ts'

const BODY_LIMIT = 16_384
const TOLD_TAGS = 100
const ROUTE = { ...PRIVATE_ROUTE, bodyLimit: BODY_LIMIT }

const { version } = createRequire(import.meta.url)('fastify-response-cache/package.json') as {
  version: string
}

/** The API of the page, as messages.ts has it. */
export function addApi(app: FastifyInstance, options: CheckedDashboardOptions): void {
  const views = new Map<string, View>()
  for (const [name, client] of options.caches) views.set(name, new View(name, client))
  app.addHook('onReady', async () => {
    for (const { client } of views.values()) client.announce()
  })
  void app.register(async (api) => {
    api.addHook('onRequest', async (request) => checkOrigin(request, options))
    addReads(api, views, options)
    addAudit(api, views)
    addQuestions(api, views)
    addChanges(api, views, options)
  })
}

function addReads(
  api: FastifyInstance,
  views: ReadonlyMap<string, View>,
  { intervalMs, readOnly }: CheckedDashboardOptions,
): void {
  const streams = new Streams(intervalMs, api.log)
  api.addHook('preClose', async () => streams.close())

  const stateOf = async (view: View): Promise<State> => {
    await view.refresh()
    return {
      ...view.whole(),
      caches: [...views.keys()],
      cache: view.name,
      version,
      process: {
        pid: process.pid,
        host: hostname(),
        node: process.version,
        startedAt: Math.round(performance.timeOrigin),
      },
      readOnly,
    }
  }
  api.get('/api/state', ROUTE, async ({ query }, reply) => {
    return sendJson(reply, await stateOf(viewOf(views, readQuery(query, ['cache']))))
  })
  api.get('/api/events', { ...ROUTE, exposeHeadRoute: false }, async ({ query }, reply) => {
    const view = viewOf(views, readQuery(query, ['cache']))
    streams.checkRoom()
    let isGone = false
    reply.raw.once('close', () => (isGone = true))
    const state = await stateOf(view)
    if (isGone) reply.hijack()
    else streams.open(reply, view, state)
  })
  api.get('/api/tags', ROUTE, async (request, reply) => {
    const query = readQuery(request.query, ['cache', 'q'])
    const { client } = viewOf(views, query)
    const match = query.q === undefined ? {} : { match: query.q }
    return sendJson(reply, await client.tags({ ...match, limit: TOLD_TAGS }))
  })
  api.get('/api/route', ROUTE, async (request, reply) => {
    const query = readQuery(request.query, ['cache', 'route'])
    const state = viewOf(views, query).route(query.route ?? '')
    if (state !== undefined) return sendJson(reply, state)
    throw new InvalidArgumentError(`query.route: no cached route is '${query.route ?? ''}'`)
  })
}

function addAudit(api: FastifyInstance, views: ReadonlyMap<string, View>): void {
  api.get('/api/audit', ROUTE, async ({ query }, reply) => {
    const audit = viewOf(views, readQuery(query, ['cache'])).audit()
    if (audit !== undefined) return sendJson(reply, audit)
    throw new InvalidArgumentError('this cache is not audited: its option audit is off')
  })
}

function addQuestions(api: FastifyInstance, views: ReadonlyMap<string, View>): void {
  api.post('/api/explain', ROUTE, async (request, reply) => {
    const asked = readExplain(request.body)
    const { client } = viewOf(views, asked)
    return sendJson(reply, await client.explain(requestOf(asked, request)))
  })
  api.post('/api/entry', ROUTE, async (request, reply) => {
    const { body = false, ...asked } = readEntry(request.body)
    const { client } = viewOf(views, asked)
    const options = { body, headers: true }
    let found = await client.inspect(requestOf(asked, request), options)
    // Who names neither host nor fields means the path, wherever it is stored.
    if (found.length === 0 && isPathOnly(asked)) {
      found = await client.inspect({ url: asked.url }, options)
    }
    return sendJson(reply, found.map(entryOf))
  })
  api.post('/api/preview', ROUTE, async (request, reply) => {
    const asked = readInvalidate(request.body)
    const { client } = viewOf(views, asked)
    return sendJson(reply, await client.preview(targetOf(asked)))
  })
}

function addChanges(
  api: FastifyInstance,
  views: ReadonlyMap<string, View>,
  { readOnly }: CheckedDashboardOptions,
): void {
  api.post('/api/invalidate', ROUTE, async (request, reply) => {
    if (readOnly) throw new DashboardRefusalError('this dashboard only shows (readOnly)')
    const asked = readInvalidate(request.body)
    const view = viewOf(views, asked)
    const { by, value, mode } = asked
    request.log.info({ cache: view.name, by, value, mode }, 'invalidated from the dashboard')
    await invalidate(view, asked)
    const answer: Invalidated = { seq: view.seq }
    return sendJson(reply, answer)
  })
}

function viewOf(views: ReadonlyMap<string, View>, { cache }: { cache?: string }): View {
  const [first] = views.values()
  const view = cache === undefined ? first : views.get(cache)
  if (view !== undefined) return view
  const known = [...views.keys()].join(', ')
  throw new InvalidArgumentError(`there is no cache '${String(cache)}'; there are ${known}`)
}

const ABSOLUTE = /^https?:\/\//i

function isPathOnly({ url, headers = {} }: ExplainRequest): boolean {
  return !ABSOLUTE.test(url) && Object.keys(headers).length === 0
}

/** A path is one of this server, as who asks reaches it. */
function requestOf(
  { method = 'GET', url, headers = {} }: ExplainRequest,
  { protocol, host }: FastifyRequest,
): Required<Omit<ExplainRequest, 'cache'>> {
  if (ABSOLUTE.test(url)) return { method, url, headers }
  return { method, url: `${protocol}://${host}${url.startsWith('/') ? '' : '/'}${url}`, headers }
}

function targetOf({ by, value }: InvalidateRequest): PreviewTarget {
  switch (by) {
    case 'tag':
      return { tag: value }
    case 'url':
      return { url: value }
    case 'route':
      return { route: value }
    case 'pattern':
      return { pattern: value }
  }
}

function invalidate({ client }: View, asked: InvalidateRequest): Promise<void> {
  const { by, value, mode = 'expire' } = asked
  switch (by) {
    case 'tag':
      return client.invalidateTags([value], { mode })
    case 'url':
      return client.invalidateUrl(value, { mode })
    case 'route':
      return client.invalidateRoute(value, { mode })
    case 'pattern':
      return client.invalidatePattern(value, { mode })
  }
}
