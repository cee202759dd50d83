import type { FastifyInstance } from 'fastify'

import { type Adapter, type Place, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

interface Cache {
  wrap(key: string, make: () => Promise<unknown>, ttl: number): Promise<unknown>
  del(key: string): Promise<unknown>
}
type Class = new (options: unknown) => { on?(event: 'error', listener: () => void): void }

export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { createCache } = await load<{ createCache: (options: object) => Cache }>('cache-manager')
  const { CacheableMemory } = await load<{ CacheableMemory: Class }>('cacheable')
  const { default: KeyvRedis } = await load<{ default: Class }>('@keyv/redis')
  const { Keyv } = await load<{ Keyv: Class }>('keyv')
  const memory = new Keyv({ store: new CacheableMemory({ ttl: 60_000, lruSize: 5000 }) })
  const redis = new Keyv({ store: new KeyvRedis(place.redisUrl) })
  redis.on?.('error', () => {})
  const cache = createCache({ stores: [memory, redis] })
  return {
    value: (key, _tag, make) => cache.wrap(key, make, TTL_SECONDS * 1000),
    invalidate: (_tag, key) => cache.del(key),
  }
}
