import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, LimitReached, NoRedis, RedisNeeded, TooMany } from '../problems.ts'
import { redisPattern } from '../redis-pattern.ts'
import { CHANNEL, Subscription } from './subscription.ts'

const tags = ['events']
const NAME = 'Publish and subscribe'

const Event = Type.Object(
  { text: Type.String({ minLength: 1, maxLength: 1000 }) },
  { additionalProperties: false, examples: [{ text: 'hello' }] },
)

const Published = Type.Object(
  { processes: Type.Integer({ description: 'How many processes were subscribed' }) },
  { description: 'Published', examples: [{ processes: 1 }] },
)

/** PUBLISH in one process, Server-Sent Events from all. A stream of now: never cached. */
export const eventRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, NAME)
  const subscription = await Subscription.open(app)

  app.get(
    '/events',
    {
      schema: {
        tags,
        summary: 'What is published, as it happens',
        description: 'Server-Sent Events: `curl -N` shows them, in a browser `new EventSource`.',
        response: {
          200: {
            description: 'An endless stream',
            content: { 'text/event-stream': { schema: Type.String() } },
          },
          429: TooMany,
          503: NoRedis,
        },
      },
    },
    async (_request, reply) => {
      if (subscription === undefined) throw new RedisNeeded(NAME)
      const stream = subscription.listen()
      if (stream === undefined) throw new LimitReached('Too many listen to this process.')
      // X-Accel-Buffering: nginx would otherwise collect events before it passes them on.
      reply.headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
      return reply.type('text/event-stream').send(stream as never)
    },
  )

  app.post(
    '/events',
    {
      schema: {
        tags,
        summary: 'Publish to all who listen, in all processes',
        description: 'At most once: who does not listen just now does not get it later.',
        body: Event,
        response: { 202: Published, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ body }, reply) => {
      const processes = await onRedis((redis) => redis.publish(CHANNEL, JSON.stringify(body)))
      return reply.code(202).send({ processes })
    },
  )
}
