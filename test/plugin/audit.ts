// A shop that is audited: what its handlers answer is made of `goods`, which writes change.
import type { TestContext } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, {
  type AuditOptions,
  type AuditStats,
  type ResponseCacheOptions,
  type RouteCacheOptions,
} from '../../src/index.ts'
import { type Client, listen } from '../support/app.ts'
import { eventually } from '../support/clock.ts'

export interface Good {
  price: number
  stock: number
}

export interface ShopOptions {
  cache?: ResponseCacheOptions
  /** Each hit, and a second look at once, unless it says otherwise. */
  audit?: AuditOptions | boolean
  route?: RouteCacheOptions
  /** More routes. */
  build?: (app: FastifyInstance, goods: Map<string, Good>) => unknown
  /** Shared with another process. */
  goods?: Map<string, Good>
}

export const EAGER: AuditOptions = { sample: 1, maxPerSecond: 1000, recheckMs: 5 }

export class Shop {
  readonly app: FastifyInstance
  readonly goods: Map<string, Good>
  /** Messages in the log. */
  readonly lines: string[] = []
  client!: Client

  constructor(goods = new Map<string, Good>()) {
    this.goods = goods
    const stream = {
      write: (line: string) => void this.lines.push((JSON.parse(line) as { msg: string }).msg),
    }
    this.app = Fastify({ logger: { level: 'warn', stream } })
  }

  get audit(): AuditStats {
    return this.app.cache.stats().audit!
  }

  /** Asks until what the audit has seen is as the condition wants it. */
  async until(
    what: string,
    condition: (audit: AuditStats) => boolean,
    path = '/products/1',
  ): Promise<AuditStats> {
    await eventually(what, async () => {
      await this.client.get(path)
      return condition(this.audit)
    })
    return this.audit
  }

  write(path: string, method = 'PATCH'): Promise<unknown> {
    return this.client.send(method, path)
  }
}

export async function startShop(
  t: TestContext,
  { cache = {}, audit = EAGER, route = {}, build, goods }: ShopOptions = {},
): Promise<Shop> {
  const shop = new Shop(goods)
  const { app } = shop
  for (const id of ['1', '2', '3']) shop.goods.set(id, { price: 10, stock: 5 })
  await app.register(responseCache, { ...cache, audit })
  app.get<{ Params: { id: string } }>(
    '/products/:id',
    {
      config: {
        cache: { ttl: '1h', tags: ({ params: { id } }) => [`product:${id}`], ...route },
      },
    },
    async ({ params: { id } }, reply) => {
      const good = shop.goods.get(id)
      return good === undefined ? reply.code(404).send({ id }) : { id, ...good }
    },
  )
  // Forgets the products.
  app.patch<{ Params: { id: string } }>(
    '/stock/:id',
    { config: { cache: { invalidates: ['stock'], invalidateTarget: false } } },
    async ({ params: { id } }) => {
      shop.goods.get(id)!.stock++
      return { done: true }
    },
  )
  app.patch<{ Params: { id: string } }>(
    '/products/:id',
    { config: { cache: { invalidates: ({ params: { id } }) => [`product:${id}`] } } },
    async ({ params: { id } }) => {
      shop.goods.get(id)!.price++
      return { done: true }
    },
  )
  await build?.(app, shop.goods)
  shop.client = await listen(t, app)
  return shop
}
