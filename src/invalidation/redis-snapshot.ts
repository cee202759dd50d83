import type { RedisClient } from '../store/redis-guard.ts'
import { within } from './redis-connection.ts'

/**
 * The sorted set of tags, the oldest invalidation first. ZSCAN returns every member that is there
 * throughout; what changes meanwhile is in the log.
 */
export async function readTags(
  connection: RedisClient,
  key: string,
  patienceMs: number,
): Promise<[tag: string, seq: number][]> {
  const tags: [string, number][] = []
  let cursor = '0'
  do {
    const [next, page] = await within(patienceMs, connection.zscan(key, cursor, 'COUNT', 1000))
    for (let index = 0; index + 1 < page.length; index += 2) {
      const tag = page[index]!
      if (tag !== '') tags.push([tag, Number(page[index + 1])])
    }
    cursor = next
  } while (cursor !== '0')
  return tags.sort((a, b) => a[1] - b[1])
}
