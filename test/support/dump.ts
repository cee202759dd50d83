// Everything that a database has, as text: what somebody reads who gets hold of it.
import type { Redis } from 'ioredis'

/** All keys, values, members and records; bytes that are no text as Latin-1. */
export async function dump(redis: Redis, pattern = '*'): Promise<string> {
  const parts: string[] = []
  for (const key of await redis.keysBuffer(pattern)) {
    parts.push(key.toString('latin1'))
    switch (await redis.type(key)) {
      case 'string':
        parts.push((await redis.getBuffer(key))?.toString('latin1') ?? '')
        break
      case 'zset':
        parts.push(...(await redis.zrange(key, '0', '-1')))
        break
      case 'stream':
        parts.push(JSON.stringify(await redis.xrange(key, '-', '+')))
        break
      case 'hash':
        parts.push(JSON.stringify(await redis.hgetall(key)))
        break
      case 'list':
        parts.push(...(await redis.lrange(key, 0, -1)))
        break
      case 'set':
        parts.push(...(await redis.smembers(key)))
        break
      default:
    }
  }
  return parts.join('\n')
}
