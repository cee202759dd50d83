import rateLimit from '@fastify/rate-limit'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

import { Invalid, LimitReached, NoRedis, TooMany } from '../problems.ts'
import { KEYS, ownConnection, redisPattern } from '../redis-pattern.ts'
import { Bucket, Checked, Client } from './schemas.ts'
import { takeToken } from './token-bucket.ts'

const tags = ['rate-limit']
const MAX = 5
const WINDOW = '10 seconds'

export const rateLimitRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, 'The token bucket')
  // A limit that waits is worse than none: half a second, and the request is let through.
  const redis = ownConnection(app, { commandTimeout: 500, enableOfflineQueue: false })
  await app.register(rateLimit, {
    global: false,
    ...(redis && { redis }),
    nameSpace: `${KEYS}limit:`,
    skipOnError: true,
    errorResponseBuilder: (_request, { after }) =>
      new LimitReached(`${MAX} requests in ${WINDOW} are the limit. Come again in ${after}.`),
  })

  app.get(
    '/rate-limit/check',
    {
      config: {
        rateLimit: {
          max: MAX,
          timeWindow: WINDOW,
          keyGenerator: ({ ip, query }) => `${ip}:${(query as { client?: string }).client ?? 'me'}`,
        },
      },
      schema: {
        tags,
        summary: 'Five requests in ten seconds',
        description:
          'x-ratelimit-limit, x-ratelimit-remaining and x-ratelimit-reset say where one stands; the ' +
          'sixth request is a 429 with Retry-After. Counted in Redis, where there is one.',
        querystring: Client,
        response: { 200: Checked, 400: Invalid, 429: TooMany },
      },
    },
    async () => ({ allowed: true, countedIn: redis ? ('redis' as const) : ('memory' as const) }),
  )

  app.get(
    '/rate-limit/bucket',
    {
      schema: {
        tags,
        summary: 'A token bucket in one Lua script',
        description:
          'Five at once, then one every two seconds. The script reads, reckons and writes in one ' +
          'step, so that no two requests can take the same token.',
        querystring: Client,
        response: { 200: Bucket, 400: Invalid, 429: TooMany, 503: NoRedis },
      },
    },
    async ({ query: { client } }, reply) => {
      const { allowed, tokens, retryAfterSeconds } = await onRedis((each) =>
        takeToken(each, client),
      )
      if (allowed) return { allowed, tokens }
      reply.header('retry-after', retryAfterSeconds)
      throw new LimitReached(`The bucket is empty. Come again in ${retryAfterSeconds} s.`)
    },
  )
}
