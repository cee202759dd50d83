import { isFresh, isInWindow } from '../http/freshness.ts'
import type { InvalidationLog } from '../invalidation/log.ts'
import type { StoredEntry } from '../stored-response.ts'
import type { Cached } from './cached.ts'
import { type MemoryStore, entryBytes } from './memory-store.ts'
import type { RedisStore } from './redis-store.ts'

/**
 * What a stored entry may be used for: `fresh`: to answer; `stale`: to answer within its windows, and
 * to be validated; `expired`: an invalidation forbids all but validation and standing in for an error.
 */
export type EntryState = 'fresh' | 'stale' | 'expired'

/** What a lookup found; `gone` is something that may not be used for anything any more. */
export type Lookup =
  | { readonly found: Cached; readonly state: EntryState }
  | { readonly found: undefined; readonly state: 'none' | 'gone' }

const NONE: Lookup = { found: undefined, state: 'none' }
const GONE: Lookup = { found: undefined, state: 'gone' }

/** How long a stale entry in memory is used before Redis is asked for a newer one again. */
const STALE_RECHECK_MS = 1000

/** Memory before Redis, both under the same test: fresh, and not invalidated since computed. */
export class TieredCache {
  readonly memory: MemoryStore | undefined
  readonly redis: RedisStore | undefined
  readonly log: InvalidationLog
  readonly now: () => number
  readonly #softDeadlineMs: number | undefined

  constructor(parts: {
    memory: MemoryStore | undefined
    redis: RedisStore | undefined
    log: InvalidationLog
    now: () => number
    /** How long Redis is waited for where a stale entry can be served instead; else without an end. */
    softDeadlineMs?: number
  }) {
    this.memory = parts.memory
    this.redis = parts.redis
    this.log = parts.log
    this.now = parts.now
    this.#softDeadlineMs = parts.softDeadlineMs
    this.memory?.dropFirst((cached) => this.stateOf(cached, this.now()) === undefined)
  }

  /** What memory has that may answer at once, without asking anyone: the way of a hit. */
  hot(key: string, now: number, strict: boolean): Cached | undefined {
    const cached = this.memory?.get(key)
    if (cached === undefined || cached.notes.validFor !== this.log.version) return undefined
    if (this.redis !== undefined && (strict || !this.log.verified())) return undefined
    return isFresh(cached.entry, now) && cached.entry.varies === undefined ? cached : undefined
  }

  /**
   * The synchronous part of a lookup: what memory holds and what may be used without asking anyone.
   * Undefined means that only `lookup` can tell.
   */
  peek(key: string, now: number, strict: boolean): Lookup | undefined {
    const cached = this.memory?.get(key)
    if (cached === undefined) return this.redis ? undefined : NONE
    const state = this.stateOf(cached, now)
    if (state === undefined) {
      this.memory!.delete(key)
      return this.redis ? undefined : GONE
    }
    if (this.redis) {
      if (strict || !this.log.verified()) return undefined
      if (state === 'expired') return undefined
      if (state === 'stale' && now - cached.checkedAt >= STALE_RECHECK_MS) return undefined
    }
    return { found: cached, state }
  }

  /**
   * The full lookup. With `strict`, or once the lease has run out, nothing is used before the log
   * has caught up with Redis; what cannot be confirmed is a miss. `asksRedis` says that there may be
   * something newer than what is fresh in memory. Never rejects.
   */
  lookup(key: string, strict: boolean, asksRedis = false): Promise<Lookup> {
    const inMemory = this.memory?.get(key)
    if (strict || inMemory !== undefined || !this.log.verified()) {
      return this.#confirmedLookup(key, inMemory, { strict, asksRedis })
    }
    const { redis } = this
    if (redis === undefined) return Promise.resolve(NONE)
    return new Promise((resolve) => {
      redis.read(key, (cached) => resolve(this.#better(key, undefined, cached)))
    })
  }

  async #confirmedLookup(
    key: string,
    inMemory: Cached | undefined,
    { strict, asksRedis }: { strict: boolean; asksRedis: boolean },
  ): Promise<Lookup> {
    // Asked together: the question about the log costs no time of its own.
    const confirming = strict || !this.log.verified() ? this.log.confirm() : undefined
    const early = inMemory === undefined ? await this.redis?.get(key) : undefined
    if (confirming !== undefined && !(await confirming)) {
      return inMemory === undefined && early === undefined ? NONE : GONE
    }
    if (inMemory === undefined) return this.#better(key, undefined, early)
    const isFreshHere = this.stateOf(inMemory, this.now()) === 'fresh' && this.log.verified()
    if (isFreshHere && !asksRedis) {
      return { found: inMemory, state: 'fresh' }
    }
    return this.#newer(key, inMemory, strict)
  }

  /**
   * Another process may have computed it anew since. What may be served stale waits only for the soft
   * deadline, but never in strict, where that is a last resort.
   */
  #newer(key: string, inMemory: Cached, strict: boolean): Promise<Lookup> {
    const { redis } = this
    if (redis === undefined) return Promise.resolve(this.#better(key, inMemory, undefined))
    const milliseconds = strict || !this.#isServable(inMemory) ? undefined : this.#softDeadlineMs
    return new Promise((resolve) => {
      let isLate = false
      const passed = (): void => {
        isLate = true
        resolve(this.#better(key, inMemory, undefined))
      }
      const done = (cached: Cached | undefined): void => {
        if (!isLate) resolve(this.#better(key, inMemory, cached))
        // For the next request, if it is better than what memory has by now.
        else if (cached !== undefined) this.#better(key, this.memory?.get(key), cached)
      }
      redis.read(key, done, milliseconds === undefined ? undefined : { milliseconds, passed })
    })
  }

  /** Stale, and within its window. */
  #isServable(cached: Cached): boolean {
    const now = this.now()
    return this.stateOf(cached, now) === 'stale' && isInWindow(cached.entry, now)
  }

  /** The more usable of two; of equal ones the later, and else that of Redis. */
  #better(key: string, inMemory: Cached | undefined, inRedis: Cached | undefined): Lookup {
    if (inMemory === undefined && inRedis === undefined) return NONE
    // The lease may have run out while Redis was answering.
    if (!this.log.verified()) return GONE
    const now = this.now()
    const kept = inMemory && this.stateOf(inMemory, now)
    const read = inRedis && this.stateOf(inRedis, now)
    if (inMemory !== undefined && kept === undefined) this.memory?.delete(key)
    if (read !== undefined && (kept === undefined || isBetter(read, inRedis!, kept, inMemory!))) {
      const found = inRedis!
      // One that was computed earlier does not go in the place of a later one.
      found.checkedAt = now
      const promoted = this.memory?.set(key, found.entry)
      if (promoted !== undefined) promoted.checkedAt = now
      return { found, state: read }
    }
    if (kept === undefined) return GONE
    inMemory!.checkedAt = now
    return { found: inMemory!, state: kept }
  }

  /** What the entry may be used for; undefined when for nothing. */
  stateOf({ entry, notes }: Cached, now: number): EntryState | undefined {
    const isNow = isFresh(entry, now)
    if (notes.validFor === this.log.version && isNow) return 'fresh'
    if (!isNow && (now >= entry.keepUntil || now < entry.freshUntil)) return undefined
    const verdict = this.log.verdict(entry)
    if (verdict === 'purged') return undefined
    if (verdict === 'expired') return 'expired'
    if (verdict === 'softened' || !isNow) return 'stale'
    notes.validFor = this.log.version
    return 'fresh'
  }

  /** Fresh, and computed after every invalidation of its tags that is known here. */
  usable(cached: Cached, now: number): boolean {
    return this.stateOf(cached, now) === 'fresh'
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
    return this.redis.set(key, entry, entry.keepUntil - this.now(), known.isNew)
  }
}

function isBetter(
  state: EntryState,
  { entry }: Cached,
  kept: EntryState,
  inMemory: Cached,
): boolean {
  // What this process could not write to Redis must not be replaced by what was there before.
  return state === kept ? entry.freshUntil >= inMemory.entry.freshUntil : rank(state) > rank(kept)
}

function rank(state: EntryState): number {
  return state === 'fresh' ? 2 : state === 'stale' ? 1 : 0
}

const STORED = Promise.resolve(true)
