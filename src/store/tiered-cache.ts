import { isFresh } from '../http/freshness.ts'
import type { InvalidationLog } from '../invalidation/log.ts'
import type { StoredEntry } from '../stored-response.ts'
import type { Cached } from './cached.ts'
import { type MemoryStore, entryBytes } from './memory-store.ts'
import type { RedisStore } from './redis-store.ts'

/** What a lookup found: something usable, or why there is nothing. */
export type Lookup =
  | { found: Cached }
  /** Selected, but expired or invalidated. */
  | { found: undefined; stale: true }
  | { found: undefined; stale: false }

const MISS: Lookup = { found: undefined, stale: false }
const STALE: Lookup = { found: undefined, stale: true }

/** Memory before Redis, both under the same test: fresh, and not invalidated since computed. */
export class TieredCache {
  readonly memory: MemoryStore | undefined
  readonly redis: RedisStore | undefined
  readonly log: InvalidationLog
  readonly now: () => number

  constructor(parts: {
    memory: MemoryStore | undefined
    redis: RedisStore | undefined
    log: InvalidationLog
    now: () => number
  }) {
    this.memory = parts.memory
    this.redis = parts.redis
    this.log = parts.log
    this.now = parts.now
  }

  /**
   * The synchronous part of a lookup: what memory holds and what may be used without asking anyone.
   * Undefined means that only `lookup` can tell.
   */
  peek(key: string, now: number, strict: boolean): Lookup | undefined {
    const cached = this.memory?.get(key)
    if (cached === undefined) return this.redis ? undefined : MISS
    if (!this.usable(cached, now)) {
      this.memory!.delete(key)
      return this.redis ? undefined : STALE
    }
    if (this.redis && (strict || !this.log.verified())) return undefined
    return { found: cached }
  }

  /**
   * The full lookup. With `strict`, or once the lease has run out, nothing is used before the log
   * has caught up with Redis; what cannot be confirmed is a miss. Never rejects.
   */
  lookup(key: string, strict: boolean): Promise<Lookup> {
    const inMemory = this.memory?.get(key)
    if (strict || inMemory !== undefined || !this.log.verified()) {
      return this.#confirmedLookup(key, strict, inMemory)
    }
    const { redis } = this
    if (redis === undefined) return Promise.resolve(MISS)
    return new Promise((resolve) => {
      redis.read(key, (cached) => {
        if (cached === undefined) resolve(MISS)
        else if (this.#provenUsable(cached)) resolve({ found: this.#promote(key, cached) })
        else resolve(STALE)
      })
    })
  }

  async #confirmedLookup(
    key: string,
    strict: boolean,
    inMemory: Cached | undefined,
  ): Promise<Lookup> {
    // Asked together: the question about the log costs no time of its own.
    const confirming = strict || !this.log.verified() ? this.log.confirm() : undefined
    const cached = inMemory ?? (await this.redis?.get(key))
    const confirmed = confirming === undefined || (await confirming)
    if (cached === undefined) return MISS
    if (confirmed && this.#provenUsable(cached)) return { found: this.#promote(key, cached) }
    if (inMemory === undefined || !confirmed) return STALE
    // Another process may have computed it anew since.
    this.memory?.delete(key)
    const newer = await this.redis?.get(key)
    if (newer === undefined || !this.#provenUsable(newer)) return STALE
    return { found: this.#promote(key, newer) }
  }

  /** The lease may have run out while Redis was answering. */
  #provenUsable(cached: Cached): boolean {
    return this.usable(cached, this.now()) && this.log.verified()
  }

  /** Fresh, and computed after every invalidation of its tags that is known here. */
  usable(cached: Cached, now: number): boolean {
    if (!isFresh(cached.entry, now)) return false
    if (cached.notes.validFor === this.log.version) return true
    if (!this.log.allows(cached.entry)) return false
    cached.notes.validFor = this.log.version
    return true
  }

  /** What an entry costs the tier in memory, in bytes. */
  sizeOf(key: string, entry: StoredEntry): number {
    return this.memory === undefined ? 0 : entryBytes(key, entry)
  }

  /** Whether any tier would take an entry of that size. */
  hasRoom(size: number): boolean {
    return this.redis !== undefined || size <= this.memory!.maxEntryBytes
  }

  /**
   * Stores in both tiers; the returned promise tells when Redis has it, and never rejects. `isNew`
   * says that a lookup has found nothing in its place.
   */
  store(
    key: string,
    entry: StoredEntry,
    known: { size?: number; isNew?: boolean } = {},
  ): Promise<boolean> {
    this.memory?.set(key, entry, known.size)
    if (this.redis === undefined) return STORED
    return this.redis.set(key, entry, entry.freshUntil - this.now(), known.isNew)
  }

  #promote(key: string, cached: Cached): Cached {
    if (cached.tier === 'redis') this.memory?.set(key, cached.entry)
    return cached
  }
}

const STORED = Promise.resolve(true)
