import type { Duration } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import type { InvalidationMode } from './invalidation/log.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import type { ResponseCache } from './response-cache.ts'
import { type Stats, takeStats } from './stats.ts'
import type { RedisClient, RedisGuard } from './store/redis-guard.ts'
import { tagsOfUrl } from './url-tags.ts'
import { ValueCache, type ValueOptions } from './value-cache.ts'

export interface InvalidateOptions {
  /**
   * What is left of what was invalidated. `'expire'`: its validators; no answer is made of it until
   * it has been revalidated. `'soft'`: it counts as stale, and may be served for as long as the
   * stale windows of its route allow. `'purge'`: nothing.
   * @default 'expire'
   */
  mode?: InvalidationMode
}

const MODES: ReadonlySet<string> = new Set<InvalidationMode>(['expire', 'soft', 'purge'])

/**
 * The cache client, `app.cache`: values under keys, and control over everything that is stored.
 * Values and responses share the tiers, the tags and the invalidation log.
 */
export class CacheClient {
  /** The ioredis client in use, for pipelines and all else; null when only memory is used. */
  readonly redis: RedisClient | null
  readonly #cache: ResponseCache
  readonly #guard: RedisGuard | undefined
  readonly #values: ValueCache

  constructor(
    cache: ResponseCache,
    guard: RedisGuard | undefined,
    defaultTtl: Duration | undefined,
  ) {
    this.redis = guard?.client ?? null
    this.#cache = cache
    this.#guard = guard
    this.#values = new ValueCache(cache, defaultTtl)
  }

  /** The value stored under the key; undefined when there is none that may be used. Never rejects for trouble with Redis. */
  get<T = unknown>(key: string): Promise<T | undefined> {
    return this.#values.get<T>(key)
  }

  /** Whether a usable value is stored under the key. */
  has(key: string): Promise<boolean> {
    return this.#values.has(key)
  }

  /**
   * Stores a value that JSON can carry. Other processes forget the one they had first. Resolves
   * with false when Redis did not confirm; then nobody has the old value either.
   */
  set(key: string, value: unknown, options?: ValueOptions): Promise<boolean> {
    return this.#values.set(key, value, options)
  }

  /** Forgets the value under the key, in all processes. Rejects as `invalidateTags` does. */
  delete(key: string): Promise<void> {
    return this.#values.delete(key)
  }

  /**
   * The value under the key, or what the factory makes, stored. Concurrent callers share one run,
   * its error included. The value is what JSON makes of it, on the first call as on every later.
   */
  getOrSet<T>(key: string, factory: () => T | Promise<T>, options?: ValueOptions): Promise<T> {
    return this.#values.getOrSet(key, factory, options)
  }

  /**
   * Makes everything that carries one of the tags unusable, in all processes; with `mode: 'soft'`
   * unusable as a fresh answer. When the promise has
   * resolved, no request that starts later gets what was computed before: here and on `'strict'`
   * routes everywhere at once, on `'eventual'` ones elsewhere as soon as the log is read, at the
   * latest after `stats().stalenessBoundMs`. Rejects in bounded time
   * with FST_RESPONSE_CACHE_INVALIDATION_PENDING when Redis does not confirm: this process has
   * forgotten anyway, and the others are told when Redis is back.
   */
  async invalidateTags(tags: readonly string[], options?: InvalidateOptions): Promise<void> {
    if (!Array.isArray(tags)) throw new InvalidArgumentError('invalidateTags takes a list of tags')
    const problem = tags.map(tagProblem).find((each) => each !== undefined)
    if (problem !== undefined) throw new InvalidArgumentError(`invalidateTags: ${problem}`)
    await this.#invalidate(
      tags.map((tag) => encodeTag('tag', tag)),
      options,
    )
  }

  /**
   * Invalidates the responses of one URL or path, on every host and for every variant. Without a
   * query all queries of the path are meant; `'/path?'` is the path without a query.
   */
  async invalidateUrl(url: string, options?: InvalidateOptions): Promise<void> {
    if (typeof url !== 'string' || url === '') {
      throw new InvalidArgumentError(
        "invalidateUrl takes a URL or a path such as '/products/1?page=2'",
      )
    }
    await this.#invalidate(tagsOfUrl(url, this.#cache.queryFilters, this.#cache.readQuery), options)
  }

  /** Invalidates all responses of a route, named by its pattern: `'/products/:id'`. */
  async invalidateRoute(pattern: string, options?: InvalidateOptions): Promise<void> {
    if (typeof pattern !== 'string' || pattern === '') {
      throw new InvalidArgumentError(
        "invalidateRoute takes a route's pattern such as '/products/:id'",
      )
    }
    await this.#invalidate([encodeTag('route', pattern)], options)
  }

  /** Invalidates everything in this namespace and nothing else, and leaves nothing of it. */
  async clear(): Promise<void> {
    await this.#cache.invalidate({ tags: 'all', mode: 'purge' })
    this.#cache.tiers.memory?.clear()
  }

  /** Hits, misses and their reasons by route; tiers, log and trouble. */
  stats(): Stats {
    return takeStats(this.#cache, this.#values.stats, this.#guard?.state)
  }

  /** Lets go of everything. Called when the instance closes. */
  close(): Promise<void> {
    return this.#cache.close()
  }

  async #invalidate(tags: string[], options: InvalidateOptions | undefined): Promise<void> {
    const mode = options?.mode ?? 'expire'
    if (!MODES.has(mode)) {
      throw new InvalidArgumentError(
        `mode must be 'expire', 'soft' or 'purge', got '${mode as string}'`,
      )
    }
    await this.#cache.invalidate({ tags, mode })
  }
}
