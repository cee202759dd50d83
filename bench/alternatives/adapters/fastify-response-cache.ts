import type { FastifyInstance } from 'fastify'
import responseCache from 'fastify-response-cache'

import { type Adapter, type Place, TTL_SECONDS } from '../adapter.ts'

const tagOfItem = (request: { url: string }): string[] => [request.url]

export default async function setUp(app: FastifyInstance, place: Place): Promise<Adapter> {
  const { redisUrl, client } = place
  const { hostname, port } = new URL(redisUrl)
  await app.register(responseCache, {
    redis: { host: hostname, port: Number(port), ...client },
    namespace: 'alternatives',
    global: true,
    defaults: { ttl: TTL_SECONDS },
  })
  const invalidate = (tag: string): Promise<unknown> => app.cache.invalidateTags([tag])
  return {
    route: (page) => {
      if (page === 'item') {
        return { config: { cache: { tags: tagOfItem, coalesce: { fleet: true }, etag: true } } }
      }
      if (page === 'tagged') return { config: { cache: { tags: ['tagged'] } } }
      if (page === 'fields') return { config: { cache: { statuses: { 203: true } } } }
      return {}
    },
    invalidate,
    invalidateTag: invalidate,
  }
}
