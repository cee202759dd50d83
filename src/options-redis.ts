import type { FastifyInstance } from 'fastify'
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'

import { InvalidOptionError } from './errors.ts'
import type { OptionsReader } from './options-reader.ts'
import type { BreakerOptions, RedisClient } from './store/redis-guard.ts'

/** What the option `redis` may be, once it has been checked. */
export type CheckedRedis = string | RedisOptions | RedisClient | undefined

/** Checks the option `redis`: what can be seen from options not to work is refused, with the reason. */
export function checkRedis(reader: OptionsReader, app: FastifyInstance): CheckedRedis {
  const redis = reader.value('redis')
  if (redis === undefined) return undefined
  const refuse = (why: string): never => {
    throw new InvalidOptionError(`${reader.path('redis')}: ${why}`)
  }
  if (redis === 'shared') return checkClient(sharedClient(reader, app), refuse)
  if (typeof redis === 'string') {
    if (/^rediss?:\/\//.test(redis) || redis.startsWith('/')) return redis
    return reader.fail('redis', "a URL such as 'redis://localhost:6379', or 'shared' for app.redis")
  }
  if (redis === null || typeof redis !== 'object') {
    return reader.fail('redis', "a URL, ioredis options, an ioredis client, or 'shared'")
  }
  return isRedisClient(redis) ? checkClient(redis, refuse) : checkPlain(redis, refuse)
}

function sharedClient(reader: OptionsReader, app: FastifyInstance): RedisClient {
  const shared = (app as { redis?: unknown }).redis
  if (isRedisClient(shared)) return shared
  return reader.fail(
    'redis',
    shared === undefined
      ? 'used after @fastify/redis was registered (await it), because it means app.redis'
      : 'one client: app.redis holds named ones, so give redis: app.redis.NAME',
  )
}

export function isRedisClient(value: unknown): value is RedisClient {
  const client = value as Partial<RedisClient> | undefined
  return typeof client?.getBuffer === 'function' && typeof client.duplicate === 'function'
}

type Refuse = (why: string) => never

const NEW_CLUSTER = "give a Cluster of ioredis: new Cluster([{ host: 'redis-1' }])"

/** An object that is no client: options of ioredis, or a mistake that ioredis would not notice. */
function checkPlain(given: object, refuse: Refuse): RedisOptions {
  if (Array.isArray(given)) refuse(`a list of nodes is no client; ${NEW_CLUSTER}`)
  // Its parts are no properties of its own: ioredis would see none of them, and go to localhost.
  if (given instanceof URL) refuse('this is a URL object; give its text, redis: url.href')
  const has = (name: string): boolean => name in given && Object(given)[name] != null
  if (typeof Object(given).sendCommand === 'function') {
    refuse('this looks like a client of node-redis; give one of ioredis, or a URL')
  }
  if (has('socket')) {
    refuse('socket is an option of node-redis; ioredis takes host, port, path and tls beside it')
  }
  if (has('rootNodes') || has('nodes')) refuse(`nodes is no option of ioredis; ${NEW_CLUSTER}`)
  if (has('client')) refuse('give the client itself, redis: client')
  checkSingle(given, refuse)
  return given
}

function checkClient(client: RedisClient, refuse: Refuse): RedisClient {
  if (client.isCluster) checkCluster((client as Cluster).options, refuse)
  else {
    const single = client as Redis
    checkSingle(single.options, refuse)
    if (single.mode === 'subscriber') {
      refuse('this client is in subscriber mode, where it takes no commands; give another one')
    }
  }
  return client
}

function checkSingle({ readOnly, monitor, role, sentinels }: RedisOptions, refuse: Refuse): void {
  if (readOnly === true) refuse('with readOnly: true nothing can be stored; leave it out')
  if (monitor === true) refuse('with monitor: true a client takes no commands; leave it out')
  if (sentinels && role === 'slave') {
    refuse(
      "role: 'slave' leads to replicas, which take no writes and confirm old states; leave it out",
    )
  }
}

function checkCluster(
  { scaleReads, redisOptions, keyPrefix }: ClusterOptions,
  refuse: Refuse,
): void {
  if (scaleReads !== undefined && scaleReads !== 'master') {
    refuse(
      "a replica that lags would confirm an old state; make the Cluster with scaleReads: 'master'",
    )
  }
  if (redisOptions?.db) {
    refuse(`a Cluster has only database 0, not ${redisOptions.db}; leave redisOptions.db out`)
  }
  // Redis takes the first '{' and the '}' after it; with nothing between them all of the key counts.
  if (/^[^{]*\{\}/.test(keyPrefix ?? '')) {
    refuse(`keyPrefix '${keyPrefix}' scatters the control keys over slots; leave '{}' out of it`)
  }
}

export function checkBreaker(reader: OptionsReader): BreakerOptions | false {
  if (reader.value('breaker') === false) return false
  const breaker = reader.object('breaker', ['failures', 'resetMs'])
  return {
    failures: breaker?.integer('failures', 1) ?? 5,
    resetMs: breaker?.integer('resetMs', 1) ?? 1000,
  }
}
