// A small shop with the cache and its dashboard, on a real socket, and traffic to it.
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'

import dashboard, { type DashboardOptions } from '../../src/dashboard/index.ts'
import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { type Client, listen } from '../support/app.ts'
import { openPage, type PageOptions, type Watched } from '../support/browser.ts'

export const PREFIX = '/cache-dashboard'

export interface Setup {
  cache?: ResponseCacheOptions
  /** @default unprotected */
  dashboard?: (app: FastifyInstance) => DashboardOptions
  before?: (app: FastifyInstance) => unknown
  routes?: (app: FastifyInstance) => unknown
}

export async function buildShop(setup: Setup = {}): Promise<FastifyInstance> {
  const app = Fastify()
  const counts = new Map<string, number>()
  const run = (url: string): { url: string; run: number } => {
    const count = (counts.get(url) ?? 0) + 1
    counts.set(url, count)
    return { url, run: count }
  }
  await setup.before?.(app)
  await app.register(responseCache, { defaults: { ttl: '1h' }, ...setup.cache })
  const options = setup.dashboard?.(app) ?? { unprotected: true }
  await app.register(dashboard, { prefix: PREFIX, ...options })
  type Product = { Params: { id: string } }
  app.get<Product>(
    '/products/:id',
    { config: { cache: { tags: ({ params }) => [`product:${params.id}`, 'products'] } } },
    async (request) => run(request.url),
  )
  app.get('/search', { config: { cache: { tags: ['products'] } } }, async ({ url }) => run(url))
  app.get('/basket', { config: { cache: true } }, async (_request, reply) => {
    reply.header('set-cookie', 'basket=1')
    return { basket: [] }
  })
  app.get('/secret', { config: { cache: true } }, async () => ({ text: 'THE STORED BODY' }))
  await setup.routes?.(app)
  return app
}

export interface Shop {
  app: FastifyInstance
  client: Client
  /** Requests until it is stopped, which is with the test at the latest. */
  traffic(): () => void
  open(options?: Partial<PageOptions> & { path?: string }): Promise<Watched>
}

export async function startShop(t: TestContext, setup: Setup = {}): Promise<Shop> {
  const app = await buildShop(setup)
  const client = await listen(t, app)
  return {
    app,
    client,
    traffic: () => startTraffic(t, client),
    open: ({ path = `${PREFIX}/`, ...options } = {}) =>
      openDashboard(t, client.origin, path, options),
  }
}

export async function openDashboard(
  t: TestContext,
  origin: string,
  path = `${PREFIX}/`,
  options: Partial<PageOptions> = {},
): Promise<Watched> {
  const watched = await openPage(t, { origin, ...options })
  await watched.page.goto(`${origin}${path}`)
  return watched
}

/** Some twenty requests a second: mostly hits, and a new URL now and then. */
export function startTraffic(t: TestContext, client: Client): () => void {
  const stop = new AbortController()
  const { signal } = stop
  const send = async (): Promise<void> => {
    for (let sent = 0; !signal.aborted; sent++) {
      const path = sent % 4 === 0 ? `/search?q=${sent}` : `/products/${sent % 3}`
      await client.get(path).catch(() => {}) // a server that is away is what some tests are about
      await pause(50)
    }
  }
  void send()
  t.after(() => stop.abort())
  return () => stop.abort()
}

/** What the answer says of how it came about, as `hit` or `fwd=uri-miss`. */
export async function statusOf(client: Client, path: string): Promise<string> {
  const { headers } = await client.get(path)
  return /^[^;]+; ([^;]+)/.exec(String(headers['cache-status']))?.[1] ?? ''
}
