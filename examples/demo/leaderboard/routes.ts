import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, Missing, NoRedis, NotFound } from '../problems.ts'
import { KEYS, redisPattern, replies } from '../redis-pattern.ts'
import { Player, Points, Standing, Top, TopFilter } from './schemas.ts'

const tags = ['leaderboard']
const KEY = `${KEYS}leaderboard`
const A_DAY = 86_400

/** A sorted set: Redis keeps the order, so that a rank costs O(log n) whatever the number of players. */
export const leaderboardRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, 'The leaderboard')

  app.post(
    '/leaderboard/:player',
    {
      schema: {
        tags,
        summary: 'Give a player points',
        description: 'ZINCRBY is atomic: points that are given at the same time all count.',
        params: Player,
        body: Points,
        response: { 200: Standing, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ params: { player }, body: { points } }) => {
      const [score, , rank] = await onRedis(async (redis) => {
        const work = redis.multi().zincrby(KEY, points, player).expire(KEY, A_DAY)
        return replies(await work.zrevrank(KEY, player).exec())
      })
      return { player, score: Number(score), rank: Number(rank) + 1 }
    },
  )

  app.get(
    '/leaderboard',
    {
      schema: {
        tags,
        summary: 'The best players',
        querystring: TopFilter,
        response: { 200: Top, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ query: { top } }) => {
      const list = await onRedis((redis) => redis.zrevrange(KEY, 0, top - 1, 'WITHSCORES'))
      return Array.from({ length: list.length / 2 }, (_, at) => {
        return { player: list[2 * at] ?? '', score: Number(list[2 * at + 1]), rank: at + 1 }
      })
    },
  )

  app.get(
    '/leaderboard/:player',
    {
      schema: {
        tags,
        summary: 'Score and rank of a player',
        params: Player,
        response: { 200: Standing, 400: Invalid, 404: NotFound, 503: NoRedis },
      },
    },
    async ({ params: { player } }) => {
      const [score, rank] = await onRedis(async (redis) =>
        replies(await redis.multi().zscore(KEY, player).zrevrank(KEY, player).exec()),
      )
      if (score === null) {
        throw new Missing(`'${player}' has no points. POST /leaderboard/${player} gives some.`)
      }
      return { player, score: Number(score), rank: Number(rank) + 1 }
    },
  )

  app.delete(
    '/leaderboard',
    {
      schema: {
        tags,
        summary: 'Forget all points',
        response: { 204: Type.Null({ description: 'Forgotten' }), 503: NoRedis },
      },
    },
    async (_request, reply) => {
      await onRedis((redis) => redis.unlink(KEY))
      return reply.code(204).send(null)
    },
  )
}
