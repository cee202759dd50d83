import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, NoRedis } from '../problems.ts'
import { KEYS, redisPattern, replies } from '../redis-pattern.ts'
import { Item, Items, NewItem } from './schemas.ts'

const tags = ['queue']
const KEY = `${KEYS}list`
const A_DAY = 86_400
const SHOWN = 50

/** A queue as a plain list: enough where a task may be lost with whoever took it. */
export const listRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, 'A queue in a list')

  app.post(
    '/queue/list',
    {
      schema: {
        tags,
        summary: 'Append to a plain list (RPUSH)',
        body: NewItem,
        response: { 201: Item, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ body: { name } }, reply) => {
      const [remaining] = await onRedis(async (redis) =>
        replies(await redis.multi().rpush(KEY, name).expire(KEY, A_DAY).exec()),
      )
      return reply.code(201).send({ name, remaining: Number(remaining) })
    },
  )

  app.get(
    '/queue/list',
    {
      schema: {
        tags,
        summary: 'What the list holds (LRANGE)',
        response: { 200: Items, 503: NoRedis },
      },
    },
    () => onRedis((redis) => redis.lrange(KEY, 0, SHOWN - 1)),
  )

  app.post(
    '/queue/list/take',
    {
      schema: {
        tags,
        summary: 'Take the oldest (LPOP)',
        description:
          'Each is taken by one only. If that one dies, it is lost: BullMQ gives it again.',
        response: { 200: Item, 204: Type.Null({ description: 'It is empty' }), 503: NoRedis },
      },
    },
    async (_request, reply) => {
      const [name, remaining] = await onRedis(async (redis) =>
        replies(await redis.multi().lpop(KEY).llen(KEY).exec()),
      )
      if (typeof name !== 'string') return reply.code(204).send(null)
      return { name, remaining: Number(remaining) }
    },
  )

  app.delete(
    '/queue/list',
    {
      schema: {
        tags,
        summary: 'Empty the list',
        response: { 204: Type.Null({ description: 'Emptied' }), 503: NoRedis },
      },
    },
    async (_request, reply) => {
      await onRedis((redis) => redis.unlink(KEY))
      return reply.code(204).send(null)
    },
  )
}
