import type { FastifyInstance, FastifyPluginAsync } from 'fastify'

import { type Adapter, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

interface Storage {
  reset(key?: string): void
}

export default async function setUp(app: FastifyInstance): Promise<Adapter> {
  const { default: module } = await load<{
    default: { default: FastifyPluginAsync<Record<string, unknown>> }
  }>('fastify-lcache')
  await app.register(module.default, {
    ttlInMinutes: TTL_SECONDS / 60,
    statusesToCache: [200, 203],
  })
  const { lcache } = app as unknown as { lcache: Storage }
  // The form of its keys is not documented; without one everything is cleared.
  return { invalidate: async () => lcache.reset() }
}
