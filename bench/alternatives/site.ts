// One process of a site behind one peer.
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import { serveTest } from '../../test/support/processes.ts'
import type { Adapter, Place, SetUp } from './adapter.ts'
import { PAGES, type Page, type Read } from './pages.ts'
import { OURS } from './peers.ts'

export interface SiteOptions {
  /** Of peers.ts, or 'none'. */
  peer: string
  place: Place
}

let arrived = 0
let port = 0
const { ask } = serveTest({
  start: async ({ peer, place }: SiteOptions) => {
    const app = Fastify()
    app.addHook('onRequest', async () => {
      arrived += 1
    })
    const adapter = peer === 'none' ? bare : await setUp(app, peer, place)
    addPages(app, adapter)
    await app.listen({ port: 0, host: '127.0.0.1' })
    port = (app.server.address() as { port: number }).port
  },
  port: () => port,
  arrived: () => arrived,
  usage: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
})
const read: Read = (name) => ask<string>('read', name)

const bare: Adapter = { invalidate: async () => {} }

async function setUp(app: FastifyInstance, peer: string, place: Place): Promise<Adapter> {
  const file = peer === OURS ? OURS : peer.replace('@fastify/', 'fastify-')
  const module = (await import(`./adapters/${file}.js`)) as { default: SetUp }
  return module.default(app, place)
}

const guard = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> =>
  request.headers['x-pass'] === 'let-me-in' ? undefined : reply.code(401).send({ no: 'pass' })

function addPages(app: FastifyInstance, adapter: Adapter): void {
  for (const page of PAGES) {
    const hooks = page.guarded === true ? { preHandler: guard } : {}
    app.get(page.url, { ...hooks, ...adapter.route?.(page.name) }, handlerOf(page, adapter))
  }
  app.put('/item/:id', async (request, reply) => {
    await read(`PUT ${request.url}`)
    await adapter.invalidate(request.url, request.url)
    return reply.code(204).send()
  })
  app.delete('/tagged', async (_request, reply) => {
    if (adapter.invalidateTag === undefined) return reply.code(501).send()
    await adapter.invalidateTag('tagged')
    return reply.code(204).send()
  })
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

function handlerOf(page: Page, adapter: Adapter): Handler {
  return async (request, reply) => {
    const tag = page.tag?.(request)
    adapter.answering?.(request, reply, tag)
    if (page.answer !== undefined) return page.answer(request, reply, read)
    const make = (): Promise<unknown> => page.value!(request, read)
    const keep = page.name === 'tagged' ? (adapter.taggedValue ?? adapter.value) : adapter.value
    return keep === undefined ? make() : keep(request.url, tag!, make)
  }
}
