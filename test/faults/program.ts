// An application in a process of its own, to see whether it ends by itself.
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'

import responseCache from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'

export interface ProgramStart {
  redis: string | undefined
  /** The application opens the client, as a user would, and closes it after the application. */
  ownClient?: boolean
}

let app: FastifyInstance
let own: Redis | undefined

const { hangUp } = serveTest({
  start: async ({ redis, ownClient }: ProgramStart): Promise<void> => {
    app = Fastify()
    if (ownClient) own = new Redis(redis!).on('error', () => {})
    await app.register(responseCache, {
      ...(redis === undefined ? {} : { redis: own ?? redis, namespace: 'shop' }),
      defaults: { ttl: '1h' },
    })
    app.get('/', { config: { cache: true } }, async () => 'answered')
    app.get('/slow', { config: { cache: true } }, async () => {
      await pause(300)
      return 'slow'
    })
    await app.ready()
  },
  get: async (url: string) => (await app.inject(url)).body,
  /** Closes in the middle of things, says how long it took, and lets go of the test. */
  close: async (): Promise<number> => {
    const busy = [
      app.inject('/slow'),
      app.inject('/slow'),
      app.inject('/'),
      app.cache.getOrSet('key', () => pause(200, 'made')),
      app.cache.invalidateTags(['a']).catch(() => {}),
      app.cache.set('b', 1).catch(() => {}),
    ]
    const start = performance.now()
    await app.close()
    const took = performance.now() - start
    own?.disconnect()
    await Promise.allSettled(busy)
    setImmediate(hangUp)
    return took
  },
})
