import { RedisUnavailableError } from './errors.ts'
import { Cached } from './store/cached.ts'
import { type RedisListing, globLiteral } from './store/redis-listing.ts'
import type { StoredEntry } from './stored-response.ts'
import type { ValueCache } from './value-cache.ts'
import type { ValueSpace } from './value-space.ts'

/**
 * The keys of one namespace under which something usable is stored: in Redis where there is one, else
 * in memory.
 */
export async function* listKeys(
  values: ValueCache,
  listing: RedisListing | undefined,
  prefix: string,
): AsyncGenerator<string, void> {
  const { space } = values
  for await (const batch of listing ? inRedis(values, listing, prefix) : inMemory(values)) {
    const { tiers } = values.cache
    for (const [name, entry] of batch) {
      const key = space.keyOf(name, entry)
      if (key === undefined || !key.startsWith(prefix)) continue
      if (tiers.usable(new Cached(entry, 'redis'), tiers.now())) yield key
    }
  }
}

type Batch = [name: string, entry: StoredEntry][]

function* inMemory({ cache }: ValueCache): Generator<Batch> {
  const { memory } = cache.tiers
  for (const name of memory?.keys() ?? []) {
    const cached = memory!.peek(name)
    if (cached !== undefined) yield [[name, cached.entry]]
  }
}

async function* inRedis(
  { cache, space }: ValueCache,
  listing: RedisListing,
  prefix: string,
): AsyncGenerator<Batch> {
  const sealed = listing.sealedPrefixOf(space.group)
  const patterns = sealed === undefined ? patternsOf(space, prefix) : [`${globLiteral(sealed)}*`]
  for (const pattern of patterns) {
    for await (const batch of listing.find(space.group, pattern)) {
      // What may be used is known only while the log can be trusted.
      if (!cache.log.verified() && !(await cache.log.confirm())) {
        throw new RedisUnavailableError('A list of keys', 'the log of invalidations is out of date')
      }
      yield batch
    }
  }
}

/** Long keys are stored under their digest, whatever they begin with. */
function patternsOf({ group, readablePrefix, digestPrefix }: ValueSpace, prefix: string): string[] {
  if (prefix === '') return [`${globLiteral(group)}[:#]*`]
  return [`${globLiteral(readablePrefix + prefix)}*`, `${globLiteral(digestPrefix)}*`]
}
