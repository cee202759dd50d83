import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, Locked, NoRedis } from '../problems.ts'

const Resource = Type.Object({
  resource: Type.String({ pattern: '^[\\w-]{1,40}$', examples: ['invoice-7'] }),
})

const Work = Type.Object(
  {
    seconds: Type.Number({ minimum: 0, maximum: 30, description: 'How long the work takes' }),
    waitSeconds: Type.Optional(
      Type.Number({ minimum: 0, maximum: 10, description: 'How long to wait for the lock' }),
    ),
  },
  { additionalProperties: false, examples: [{ seconds: 5 }] },
)

const Worked = Type.Object(
  {
    resource: Type.String(),
    fencing: Type.Integer({ description: 'Grows with every holder: the newest write wins' }),
    milliseconds: Type.Integer({ description: 'Since the lock was there' }),
  },
  { description: 'Done', examples: [{ resource: 'invoice-7', fencing: 3, milliseconds: 5001 }] },
)

/** What a lock costs the others when its process dies. While the work goes on, it is renewed. */
const TTL = '3s'

/** Work on a resource that only one may do at a time, in all processes that share a Redis. */
export const lockRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/lock/:resource',
    {
      schema: {
        tags: ['lock'],
        summary: 'Work under a lock',
        description:
          'Send it twice at a time: the second is a 409, unless it waits. Released when the work ' +
          'ends; when the process dies, after three seconds. Without Redis among the requests of ' +
          'this process.',
        params: Resource,
        body: Work,
        response: { 200: Worked, 400: Invalid, 409: Locked, 503: NoRedis },
      },
    },
    async ({ params: { resource }, body: { seconds, waitSeconds = 0 } }) =>
      app.cache.withLock(
        `resource:${resource}`,
        async ({ fencing, signal }) => {
          const startedAt = performance.now()
          // Real work passes the signal on too: nobody works on under a lock that is lost.
          await pause(seconds * 1000, undefined, { signal })
          return { resource, fencing, milliseconds: Math.round(performance.now() - startedAt) }
        },
        { ttl: TTL, wait: waitSeconds },
      ),
  )
}
