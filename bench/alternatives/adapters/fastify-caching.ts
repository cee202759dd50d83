import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

import { type Adapter, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

export default async function setUp(app: FastifyInstance): Promise<Adapter> {
  const { default: caching } = await load<{ default: FastifyPluginAsync<Record<string, unknown>> }>(
    '@fastify/caching',
  )
  await app.register(caching, { privacy: 'public', expiresIn: TTL_SECONDS })
  return {
    answering: (request, reply) => {
      Object(reply).etag(`"1-of-${request.url}"`)
    },
    invalidate: async () => {},
  }
}
