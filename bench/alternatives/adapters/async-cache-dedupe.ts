import type { FastifyInstance } from 'fastify'

import { type Adapter, type Place, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

interface Arguments {
  key: string
  tag: string
}
interface Cache {
  define(name: string, options: object, make: (value: Arguments) => Promise<unknown>): Cache
  invalidateAll(references: string[]): Promise<unknown>
}

export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { Redis } = await load<{ Redis: new (url: string, options: object) => object }>('ioredis')
  const { createCache } = await load<{ createCache: (options: object) => Cache }>(
    'async-cache-dedupe',
  )
  const cache = createCache({
    ttl: TTL_SECONDS,
    storage: {
      type: 'redis',
      options: {
        client: new Redis(place.redisUrl, place.client),
        invalidation: { referencesTTL: TTL_SECONDS },
      },
    },
  })
  // It keeps functions of arguments: what a page is made by is found by its key.
  const makers = new Map<string, () => Promise<unknown>>()
  const options = { references: ({ tag }: Arguments) => [tag] }
  cache.define('page', options, ({ key }) => makers.get(key)!())
  const { page } = cache as unknown as { page: (value: Arguments) => Promise<unknown> }
  return {
    value: (key, tag, make) => {
      makers.set(key, make)
      return page({ key, tag })
    },
    invalidate: (tag) => cache.invalidateAll([tag]),
    invalidateTag: (tag) => cache.invalidateAll([tag]),
  }
}
