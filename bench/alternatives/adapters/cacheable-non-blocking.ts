import type { FastifyInstance } from 'fastify'

import type { Adapter, Place } from '../adapter.ts'
import { load } from '../install.ts'
import { adapterWith } from './cacheable.ts'

export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { createKeyvNonBlocking } = await load<{ createKeyvNonBlocking: (url: string) => object }>(
    '@keyv/redis',
  )
  return adapterWith(
    () => ({ secondary: createKeyvNonBlocking(place.redisUrl), nonBlocking: true }),
    place,
  )
}
