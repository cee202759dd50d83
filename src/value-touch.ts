import type { StoredEntry } from './stored-response.ts'
import { Cached } from './store/cached.ts'
import type { ValueCache } from './value-cache.ts'

/**
 * Lets what is stored under the key live for at least `ttl` seconds from now on; nothing else about it
 * changes, its position in the log above all, so what was invalidated stays so. False when there is
 * nothing usable, or Redis did not confirm.
 */
export async function touchValue(values: ValueCache, key: string, ttl: number): Promise<boolean> {
  const { tiers, log } = values.cache
  const name = values.space.nameOf(key)
  const change = (entry: StoredEntry): StoredEntry | undefined => {
    const now = tiers.now()
    if (!tiers.usable(new Cached(entry, 'redis'), now)) return undefined
    return livingUntil(entry, now + ttl * 1000)
  }
  if (tiers.redis === undefined) return keepInMemory(values, name, change)
  if (!log.verified() && !(await log.confirm())) return false
  const changed = await tiers.redis.replace(name, tiers.now, change)
  if (changed === undefined) {
    // Redis may have dropped what this process still has.
    const kept = tiers.memory?.get(name)
    const longer = kept && change(kept.entry)
    return longer === undefined ? false : tiers.store(name, longer, { isNew: true })
  }
  if (tiers.memory?.peek(name) !== undefined) tiers.memory.set(name, changed)
  return true
}

function keepInMemory(
  { cache }: ValueCache,
  name: string,
  change: (entry: StoredEntry) => StoredEntry | undefined,
): boolean {
  const { memory } = cache.tiers
  const kept = memory?.get(name)
  const changed = kept && change(kept.entry)
  if (changed === undefined) return false
  if (changed !== kept!.entry) memory!.set(name, changed)
  return true
}

/** The same entry where it lives that long already. */
function livingUntil(entry: StoredEntry, until: number): StoredEntry {
  const by = until - entry.freshUntil
  if (by <= 0) return entry
  return {
    ...entry,
    freshUntil: until,
    staleWhileRevalidateUntil: entry.staleWhileRevalidateUntil + by,
    staleIfErrorUntil: entry.staleIfErrorUntil + by,
    keepUntil: entry.keepUntil + by,
  }
}
