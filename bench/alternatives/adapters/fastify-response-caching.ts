import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

import type { Adapter } from '../adapter.ts'
import { load } from '../install.ts'

export default async function setUp(app: FastifyInstance): Promise<Adapter> {
  const { default: caching } = await load<{ default: FastifyPluginAsync }>(
    'fastify-response-caching',
  )
  await app.register(caching)
  return { invalidate: async () => {} }
}
