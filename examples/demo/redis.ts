import type { FastifyInstance } from 'fastify'
import type { ResponseCacheOptions } from 'fastify-response-cache'
import { Cluster } from 'ioredis'

import { withoutPassword } from './shown-url.ts'

interface Address {
  host: string
  port: number
}

/** Where Redis is: one server, whichever server is master, or a Cluster. */
export type RedisSettings =
  | { url: string }
  | { sentinels: Address[]; name: string; password: string | undefined }
  | { cluster: Address[]; password: string | undefined }

const WAYS = ['REDIS_URL', 'REDIS_SENTINELS', 'REDIS_CLUSTER']

/** Throws with a message that names the variable and the fix. */
export function readRedisSettings(
  text: (name: string) => string | undefined,
): RedisSettings | undefined {
  const [url, sentinels, cluster] = WAYS.map(text)
  const [name, password] = [text('REDIS_SENTINEL_NAME'), text('REDIS_PASSWORD')]
  const given = WAYS.filter((way) => text(way) !== undefined)
  if (given.length > 1) {
    throw new Error(`${given.join(' and ')} are set; they are different places: set one of them`)
  }
  if (name !== undefined && sentinels === undefined) {
    throw new Error('REDIS_SENTINEL_NAME is set; set REDIS_SENTINELS too, or neither')
  }
  if (url !== undefined) return { url }
  if (cluster !== undefined) return { cluster: addresses('REDIS_CLUSTER', cluster), password }
  if (sentinels === undefined) return undefined
  if (name === undefined) {
    throw new Error(
      'REDIS_SENTINEL_NAME is not set; give the name by which the sentinels know the master',
    )
  }
  return { sentinels: addresses('REDIS_SENTINELS', sentinels), name, password }
}

function addresses(variable: string, list: string): Address[] {
  return list.split(',').map((each) => {
    const [, host = '', port] = /^\s*(\[[\d:a-f]+\]|[^\s:]+):(\d{1,5})\s*$/i.exec(each) ?? []
    if (host === '' || Number(port) > 65_535) {
      const fix = 'give host:port, several with commas, as redis-1:6379,redis-2:6379'
      throw new Error(`${variable} is '${list}'; ${fix}`)
    }
    return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
  })
}

/** What the plugin's option `redis` takes; a Cluster is opened here, and closed with the application. */
export function redisFor(
  settings: RedisSettings,
  app: FastifyInstance,
): NonNullable<ResponseCacheOptions['redis']> {
  if ('url' in settings) return settings.url
  const credentials = settings.password === undefined ? {} : { password: settings.password }
  if ('sentinels' in settings) {
    return { sentinels: settings.sentinels, name: settings.name, ...credentials }
  }
  const cluster = new Cluster(settings.cluster, {
    enableAutoPipelining: true,
    redisOptions: credentials,
  })
  // Without a listener ioredis prints what happens, each time it tries again.
  cluster.on('error', (error) => app.log.warn(error, 'the Redis Cluster does not answer'))
  app.addHook('onClose', () => cluster.disconnect())
  return cluster
}

/** One line for people, without a password. */
export function nameOf(settings: RedisSettings): string {
  if ('url' in settings) return withoutPassword(settings.url)
  const list = 'cluster' in settings ? settings.cluster : settings.sentinels
  const shown = list.map(({ host, port }) => `${host}:${port}`).join(', ')
  return 'cluster' in settings ? `Cluster at ${shown}` : `'${settings.name}' of ${shown}`
}
