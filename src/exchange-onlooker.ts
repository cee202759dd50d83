import { KeyMemo } from './key-memo.ts'
import type { ResponseCache } from './response-cache.ts'
import { Cached } from './store/cached.ts'
import type { MemoryStore } from './store/memory-store.ts'
import { TieredCache } from './store/tiered-cache.ts'

/**
 * The same cache for whoever only looks: the request path runs on it as on the real one, and leaves no
 * trace. Memory is not written, nothing counts as used, and trouble is told to nobody.
 */
export function onlooker(cache: ResponseCache): ResponseCache {
  const { memory, redis, log, now } = cache.tiers
  const tiers = new TieredCache({ memory: memory && lookingAt(memory), redis, log, now })
  return Object.create(cache, {
    tiers: { value: tiers },
    memo: { value: new KeyMemo() },
    trouble: { value: { report: () => undefined } },
  }) as ResponseCache
}

/** What a lookup asks of memory. */
function lookingAt(memory: MemoryStore): MemoryStore {
  const peek = (key: string): Cached | undefined => {
    const cached = memory.peek(key)
    if (cached === undefined) return undefined
    // What is noted on a copy is forgotten with it.
    const copy = new Cached(cached.entry, cached.tier)
    copy.checkedAt = cached.checkedAt
    return copy
  }
  const view = {
    get: peek,
    peek,
    set: () => undefined,
    delete: () => false,
    dropFirst: () => undefined,
    maxEntryBytes: memory.maxEntryBytes,
  }
  return view as unknown as MemoryStore
}
