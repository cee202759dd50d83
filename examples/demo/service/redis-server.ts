import type { Redis } from 'ioredis'

import { type RedisClient, isCluster, masters } from '../redis-pattern.ts'

/** What the server says of itself; in a Cluster one of its masters. */
export interface ServerFacts {
  version: string
  uptimeSeconds: number
  usedMemoryBytes: number
  maxMemoryBytes: number
  connectedClients: number
  operationsPerSecond: number
  /** Of all its users; null before the first read. */
  hitRate: number | null
}

export async function serverFacts(redis: RedisClient): Promise<ServerFacts> {
  const text = await redis.info()
  const number = (name: string): number => Number(fieldOf(text, name))
  const [hits, misses] = [number('keyspace_hits'), number('keyspace_misses')]
  return {
    version: fieldOf(text, 'redis_version'),
    uptimeSeconds: number('uptime_in_seconds'),
    usedMemoryBytes: number('used_memory'),
    maxMemoryBytes: number('maxmemory'),
    connectedClients: number('connected_clients'),
    operationsPerSecond: number('instantaneous_ops_per_sec'),
    hitRate: hits + misses === 0 ? null : Math.round((hits / (hits + misses)) * 1000) / 1000,
  }
}

const fieldOf = (text: string, name: string): string =>
  new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(text)?.[1] ?? ''

/** How many keys begin with one of the prefixes. SCAN: nobody else waits for it. */
export async function countKeys(redis: RedisClient, prefixes: string[]): Promise<number> {
  let count = 0
  for await (const keys of scan(redis, prefixes)) count += keys.length
  return count
}

/** Removes the keys that begin with one of the prefixes, and no others. */
export async function removeKeys(redis: RedisClient, prefixes: string[]): Promise<number> {
  let count = 0
  for await (const keys of scan(redis, prefixes)) {
    // One by one: in a Cluster they are in different slots.
    const removed = await Promise.all(keys.map((key) => redis.unlink(key)))
    count += removed.reduce((sum, each) => sum + each, 0)
  }
  return count
}

// ioredis puts the keyPrefix of its options before every key, but not into patterns of SCAN.
async function* scan(redis: RedisClient, prefixes: string[]): AsyncGenerator<string[]> {
  const common = (isCluster(redis) ? redis.options.redisOptions : redis.options)?.keyPrefix ?? ''
  for (const prefix of prefixes) {
    for (const master of masters(redis)) {
      for await (const keys of scanOne(master, `${common}${prefix}`)) {
        yield keys.map((key) => key.slice(common.length))
      }
    }
  }
}

async function* scanOne(master: Redis, prefix: string): AsyncGenerator<string[]> {
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
  let cursor = '0'
  do {
    const [next, keys] = await master.scan(cursor, 'MATCH', pattern, 'COUNT', 1000)
    yield keys
    cursor = next
  } while (cursor !== '0')
}
