import type { FastifyInstance } from 'fastify'

import type { Adapter } from '../adapter.ts'
import { load } from '../install.ts'
import { type Cacheable, adapterOf } from './cacheable.ts'

export default async function setUp(_app: FastifyInstance, redisUrl: string): Promise<Adapter> {
  const { Cacheable } = await load<{ Cacheable: Cacheable }>('cacheable')
  const { createKeyvNonBlocking } = await load<{ createKeyvNonBlocking: (url: string) => object }>(
    '@keyv/redis',
  )
  const secondary = createKeyvNonBlocking(redisUrl)
  return adapterOf(new Cacheable({ secondary, nonBlocking: true, tags: true }))
}
