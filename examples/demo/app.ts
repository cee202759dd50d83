import postgres from '@fastify/postgres'
import Fastify, { type FastifyInstance } from 'fastify'
import responseCache from 'fastify-response-cache'
import type { PoolConfig } from 'pg'

import { cityReads } from './cities/read-routes.ts'
import { cityViews } from './cities/view-routes.ts'
import { cityWrites } from './cities/write-routes.ts'
import { countryRoutes } from './countries/routes.ts'
import { valueRoutes } from './cache/routes.ts'
import { dashboardFor } from './dashboard.ts'
import { registerDocs } from './docs.ts'
import { eventRoutes } from './events/routes.ts'
import { favouriteRoutes } from './favourites/routes.ts'
import { leaderboardRoutes } from './leaderboard/routes.ts'
import { queueRoutes } from './queue/routes.ts'
import { rateLimitRoutes } from './rate-limit/routes.ts'
import { lockRoutes } from './locks/routes.ts'
import { type RedisSettings, redisFor } from './redis.ts'
import { serviceRoutes } from './service/routes.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { userRoutes } from './users/routes.ts'

export interface AppOptions {
  pool: PoolConfig
  redis: RedisSettings | undefined
  logLevel: string
  sessionSecret?: string | undefined
  dashboardPassword: string
}

export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const { pool, redis, logLevel, sessionSecret, dashboardPassword } = options
  const app = Fastify({
    logger: { level: logLevel },
    // Fastify's default removes unknown fields silently; here they are the error that they are.
    ajv: { customOptions: { removeAdditional: false } },
  })
  await app.register(postgres, pool)
  // Connections that break while nobody uses them; without a listener they would end the process.
  app.pg.pool.on('error', (error) => app.log.warn(error, 'a database connection was lost'))
  await app.register(responseCache, {
    namespace: 'demo',
    defaults: { ttl: '1m' },
    // Some of the hits are computed once more, so that a write that forgets a tag is found: at most one
    // each second. `asOf` of the largest cities says when, and nothing of what.
    audit: { sample: 0.05, ignore: { pointers: ['/asOf'] } },
    ...(redis && { redis: redisFor(redis, app) }),
  })
  await registerDocs(app)
  await app.register(cityReads)
  await app.register(cityWrites)
  await app.register(cityViews)
  await app.register(countryRoutes)
  await app.register(favouriteRoutes)
  await app.register(valueRoutes)
  await app.register(sessionRoutes(sessionSecret))
  await app.register(userRoutes)
  await app.register(rateLimitRoutes)
  await app.register(lockRoutes)
  await app.register(queueRoutes)
  await app.register(leaderboardRoutes)
  await app.register(eventRoutes)
  await app.register(serviceRoutes)
  await app.register(dashboardFor(dashboardPassword))
  return app
}
