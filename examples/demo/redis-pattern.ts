import type { FastifyInstance } from 'fastify'
import type { CacheClient } from 'fastify-response-cache'
import { Cluster, type Redis, type RedisOptions } from 'ioredis'

import { RedisAway, RedisNeeded } from './problems.ts'

export type RedisClient = NonNullable<CacheClient['redis']>

/** What the keys of the patterns begin with; the cache's own begin with its namespace. */
export const KEYS = 'cities-demo:'

const DEADLINE_MS = 2000

/** Runs commands for a pattern that is nothing without Redis. */
export type OnRedis = <Result>(work: (redis: RedisClient) => Promise<Result>) => Promise<Result>

/**
 * Use of Redis beside the cache, on the client of the cache (`app.cache.redis`). The cache goes on
 * without Redis; these patterns cannot, and say so in bounded time.
 */
export function redisPattern(app: FastifyInstance, pattern: string): OnRedis {
  return async (work) => {
    const { redis } = app.cache
    if (redis === null) throw new RedisNeeded(pattern)
    return answered(pattern, work(redis))
  }
}

/** The result, or a 503 with the reason: what waits for a frozen Redis waits for ever otherwise. */
export async function answered<Result>(pattern: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    const error = new Error(`no answer within ${DEADLINE_MS / 1000} s`)
    timer = setTimeout(reject, DEADLINE_MS, error)
  })
  try {
    return await Promise.race([work, late])
  } catch (error) {
    if ((error as { statusCode?: number }).statusCode !== undefined) throw error
    throw new RedisAway(pattern, (error as Error).message)
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A connection of its own: for what subscribes, blocks, or has another patience than the cache.
 * Closed with the application; undefined without Redis.
 */
export function ownConnection(
  app: FastifyInstance,
  options: RedisOptions,
): RedisClient | undefined {
  const { redis } = app.cache
  if (redis === null) return undefined
  const ofNodes: object = { ...(isCluster(redis) && redis.options.redisOptions), ...options }
  const own = isCluster(redis)
    ? redis.duplicate([], { redisOptions: ofNodes })
    : redis.duplicate(options)
  // Without a listener ioredis prints what happens, each time it tries again.
  own.on('error', (error) => app.log.debug(error, 'a connection to Redis was lost'))
  app.addHook('onClose', () => own.disconnect())
  return own
}

export function isCluster(redis: RedisClient): redis is Cluster {
  return redis instanceof Cluster
}

/** The servers that hold keys: one, or the masters of a Cluster. */
export function masters(redis: RedisClient): Redis[] {
  return isCluster(redis) ? redis.nodes('master') : [redis]
}

/** The replies of a MULTI; throws where one of its commands failed. */
export function replies(results: [error: Error | null, reply: unknown][] | null): unknown[] {
  if (results === null) throw new Error('the transaction was not executed')
  return results.map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}
