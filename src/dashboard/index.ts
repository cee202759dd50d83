import fp from 'fastify-plugin'
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'

import { addApi } from './api.ts'
import { type Asset, readAssets } from './assets.ts'
import { type DashboardGuard, type DashboardOptions, checkDashboardOptions } from './options.ts'
import { PRIVATE_ROUTE } from './private-route.ts'
import { answerError, sendProblem } from './problem.ts'
import { SECURITY_FIELDS } from './security-fields.ts'

const plugin: FastifyPluginAsync<DashboardOptions> = async (app, options) => {
  const checked = checkDashboardOptions(options, app)
  const assets = await readAssets()
  setErrors(app)
  setFields(app)
  for (const guard of checked.guards) app.addHook('onRequest', guard as never)
  // Whoever sends another type has not asked a browser for its consent.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  )
  addPage(app, assets)
  addApi(app, checked)
}

function setErrors(app: FastifyInstance): void {
  app.setErrorHandler(answerError)
  // Without a prefix it is the application's own.
  if (app.prefix.length > 1) {
    app.setNotFoundHandler((_request, reply) => sendProblem(reply, 404, 'There is no such page.'))
  }
}

/** In both hooks: other plugins set theirs in the first, and what fails there is answered after the second. */
function setFields(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(SECURITY_FIELDS)
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers(SECURITY_FIELDS)
  })
}

function addPage(app: FastifyInstance, assets: ReadonlyMap<string, Asset>): void {
  for (const [name, asset] of assets) {
    if (name === 'index.html') continue
    app.get(`/${name}`, PRIVATE_ROUTE, async (request, reply) => sendAsset(request, reply, asset))
  }
  const page = assets.get('index.html')!
  app.get('/', PRIVATE_ROUTE, async (request, reply) => {
    const { originalUrl } = request
    const [path = '', query] = originalUrl.split('?', 2)
    if (path.endsWith('/')) return sendAsset(request, reply, page)
    // Relative, so that it holds behind proxies that take a part of the path away.
    const last = path.slice(path.lastIndexOf('/') + 1)
    const target = `./${last}/${query === undefined ? '' : `?${query}`}`
    return reply.code(308).header('location', target).header('cache-control', 'no-store').send()
  })
}

async function sendAsset(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  { body, type, etag }: Asset,
): Promise<void> {
  // Asked for each time, so that page and server are of one version.
  reply.header('cache-control', 'private, no-cache').header('etag', etag)
  if (headers['if-none-match'] === etag) return reply.code(304).send()
  return reply.type(type).send(body)
}

/**
 * The live dashboard of fastify-response-cache, with all that belongs to it, below its prefix. See
 * DashboardOptions.
 */
export const dashboard: FastifyPluginAsync<DashboardOptions> = fp(plugin, {
  fastify: '5.x',
  name: 'fastify-response-cache-dashboard',
  encapsulate: true,
})

export default dashboard

export type { DashboardGuard, DashboardOptions }
