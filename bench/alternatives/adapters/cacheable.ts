import type { FastifyInstance } from 'fastify'

import { type Adapter, type Place, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

interface Cache {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown, options: object): Promise<unknown>
  getOrSet(key: string, make: () => Promise<unknown>, options: object): Promise<unknown>
  delete(key: string): Promise<unknown>
  on(event: 'error', listener: () => void): void
  tags: { invalidateTag(tag: string): Promise<unknown> }
}

/** With the options that differ between the set-ups, made anew for each cache. */
export async function adapterWith(options: () => object, place: Place): Promise<Adapter> {
  const { Cacheable } = await load<{ Cacheable: new (options: object) => Cache }>('cacheable')
  const make = (more: object): Cache => {
    const cache = new Cacheable({ ...options(), ...more })
    cache.on('error', () => {})
    return cache
  }
  const ttl = `${TTL_SECONDS}s`
  const cache = make(place.several ? { sync: await sync(place) } : {})
  // getOrSet takes no tags, and tags cost a read of Redis for each get: they are only where they are asked for.
  const tagged = make({ tags: true })
  return {
    value: (key, _tag, factory) => cache.getOrSet(key, factory, { ttl }),
    invalidate: (_tag, key) => cache.delete(key),
    taggedValue: async (key, tag, factory) => {
      const kept = await tagged.get(key)
      if (kept !== undefined) return kept
      const made = await factory()
      await tagged.set(key, made, { ttl, tags: [tag] })
      return made
    },
    invalidateTag: (tag) => tagged.tags.invalidateTag(tag),
  }
}

/** "Distributed Updates" of its documentation: deletions reach the memory of other processes. */
async function sync({ redisUrl }: Place): Promise<object> {
  const { RedisMessageProvider } = await load<{
    RedisMessageProvider: new (options: object) => object
  }>('@qified/redis')
  return { qified: new RedisMessageProvider({ uri: redisUrl }) }
}

export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { default: KeyvRedis } = await load<{ default: new (url: string) => object }>('@keyv/redis')
  return adapterWith(() => ({ secondary: new KeyvRedis(place.redisUrl) }), place)
}
