import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

import { NoRedis } from '../problems.ts'
import { QUEUE_PREFIX } from '../queue/queues.ts'
import { KEYS, answered, redisPattern } from '../redis-pattern.ts'
import { countKeys, removeKeys, serverFacts } from './redis-server.ts'
import { Health, Reset } from './schemas.ts'

const tags = ['service']
const PATTERN_KEYS = [KEYS, `${QUEUE_PREFIX}:`]

// Without `config.cache` a route is not cached: these are about now.
export const serviceRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, 'Looking into Redis')
  const { namespace } = app.cache.stats()

  app.get(
    '/health',
    {
      schema: {
        tags,
        summary: 'Is the demo able to answer?',
        description:
          '503 without the database; without Redis it is degraded and answers all the same.',
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const [database, redis] = await Promise.all([
        stateOf(app.pg.query('SELECT 1')),
        app.cache.redis === null ? 'not used' : stateOf(onRedis((client) => client.ping())),
      ])
      const isDegraded = redis !== 'ok' && redis !== 'not used'
      const working = isDegraded ? ('degraded' as const) : ('ok' as const)
      const status = database === 'ok' ? working : ('down' as const)
      reply.code(status === 'down' ? 503 : 200)
      return { status, database, redis, uptimeSeconds: Math.round(process.uptime() * 10) / 10 }
    },
  )

  app.get(
    '/stats',
    {
      schema: {
        tags,
        summary: 'What the cache did since the start, by route; the process and its Redis',
      },
    },
    async () => ({
      ...app.cache.stats(),
      process: {
        uptimeSeconds: Math.round(process.uptime()),
        residentBytes: process.memoryUsage.rss(),
      },
      server: app.cache.redis === null ? null : await serverState(),
    }),
  )

  app.post(
    '/stats/reset',
    {
      schema: {
        tags,
        summary: 'Forget everything of this demo, and nothing else',
        description:
          'The cache by one record in its log, the patterns key by key. Other keys in the same ' +
          'Redis stay: there is no FLUSHDB in it.',
        response: { 200: Reset, 503: NoRedis },
      },
    },
    async () => {
      await app.cache.clear()
      if (app.cache.redis === null) return { removedKeys: 0 }
      return { removedKeys: await onRedis((redis) => removeKeys(redis, PATTERN_KEYS)) }
    },
  )

  async function serverState(): Promise<object> {
    const own = [`${namespace}#`, `{${namespace}}:`, ...PATTERN_KEYS]
    try {
      return await onRedis(async (redis) => {
        const [facts, keys] = await Promise.all([serverFacts(redis), countKeys(redis, own)])
        return { connection: redis.status, keysOfThisDemo: keys, ...facts }
      })
    } catch (error) {
      return { connection: app.cache.redis?.status, error: (error as Error).message }
    }
  }
}

function stateOf(work: Promise<unknown>): Promise<string> {
  return answered('It', work).then(
    () => 'ok',
    (error: Error) => error.message,
  )
}
