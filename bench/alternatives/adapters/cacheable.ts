import type { FastifyInstance } from 'fastify'

import { type Adapter, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

export interface Cache {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown, options: object): Promise<unknown>
  getOrSet(key: string, make: () => Promise<unknown>, options: object): Promise<unknown>
  delete(key: string): Promise<unknown>
  on(event: 'error', listener: () => void): void
  tags: { invalidateTag(tag: string): Promise<unknown> }
}

export type Cacheable = new (options: object) => Cache

export function adapterOf(cache: Cache): Adapter {
  cache.on('error', () => {})
  const ttl = `${TTL_SECONDS}s`
  return {
    value: (key, _tag, make) => cache.getOrSet(key, make, { ttl }),
    invalidate: (_tag, key) => cache.delete(key),
    taggedValue: async (key, tag, make) => {
      const kept = await cache.get(key)
      if (kept !== undefined) return kept
      const made = await make()
      await cache.set(key, made, { ttl, tags: [tag] })
      return made
    },
    invalidateTag: (tag) => cache.tags.invalidateTag(tag),
  }
}

export default async function setUp(_app: FastifyInstance, redisUrl: string): Promise<Adapter> {
  const { Cacheable } = await load<{ Cacheable: Cacheable }>('cacheable')
  const { default: KeyvRedis } = await load<{ default: new (url: string) => object }>('@keyv/redis')
  return adapterOf(new Cacheable({ secondary: new KeyvRedis(redisUrl), tags: true }))
}
