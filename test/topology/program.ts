// An application in a process of its own, for what only the environment of a process can say.
import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'

let app: FastifyInstance

serveTest({
  start: async (redis: string): Promise<void> => {
    app = Fastify()
    await app.register(responseCache, { redis, namespace: 'shop', defaults: { ttl: '1h' } })
    await app.ready()
  },
  verified: () => app.cache.stats().log.verified,
})
