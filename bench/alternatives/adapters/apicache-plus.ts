import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

import type { Adapter, Place } from '../adapter.ts'
import { load } from '../install.ts'

interface ApiCache {
  (duration: string): unknown
  options(options: object): ApiCache
  clear(target: string): Promise<unknown>
}

export default async function setUp(app: FastifyInstance, place: Place): Promise<Adapter> {
  const { default: middie } = await load<{ default: FastifyPluginAsync }>('@fastify/middie')
  const { Redis } = await load<{ Redis: new (url: string, options: object) => object }>('ioredis')
  const { default: apicache } = await load<{ default: ApiCache }>('apicache-plus')
  await app.register(middie)
  const cache = apicache.options({ redisClient: new Redis(place.redisUrl, place.client) })
  Object(app).use(cache('1 hour'))
  return {
    answering: (request, _reply, tag) => {
      if (tag !== undefined) Object.assign(request.raw, { apicacheGroup: tag })
    },
    invalidate: (tag) => apicache.clear(tag),
    invalidateTag: (tag) => apicache.clear(tag),
  }
}
