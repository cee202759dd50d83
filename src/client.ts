import { type InspectTarget, inspectResponses } from './client-inspect.ts'
import { CacheValues } from './client-values.ts'
import type { Duration } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import { explain } from './exchange-explain.ts'
import type { ExplainTarget } from './exchange-explain-target.ts'
import type { Explanation } from './explanation.ts'
import { type InspectOptions, type Inspection, inspectName } from './inspection.ts'
import type { InvalidationMode } from './invalidation/log.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import type { ResponseCache } from './response-cache.ts'
import { type Stats, ValueCounters, type ValueStats, takeStats } from './stats.ts'
import type { RedisClient, RedisGuard } from './store/redis-guard.ts'
import { RedisListing } from './store/redis-listing.ts'
import { tagsOfUrl } from './url-tags.ts'
import { ValueFailures } from './value-failures.ts'
import { type NamespaceOptions, ValueSpace } from './value-space.ts'

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
 * Values under keys of their own: two namespaces, and `app.cache` itself, never share one. Tags are
 * common to all.
 */
export class CacheNamespace extends CacheValues {
  /** A namespace in this one; the same name and version are the same values in all processes. */
  namespace(name: string, options?: NamespaceOptions): CacheNamespace {
    return new CacheNamespace(this.parts, this.values.space.inner(name, options))
  }

  /**
   * Forgets all values of this namespace and of those in it, in all processes, and nothing else.
   * Rejects as `invalidateTags` does.
   */
  async clear(): Promise<void> {
    await this.parts.cache.invalidate({ tags: this.values.space.tags.slice(-1), mode: 'purge' })
  }

  /** What each tier holds under a key. */
  async inspect(key: string, options?: InspectOptions): Promise<Inspection[]> {
    return inspectName(this.parts.cache, this.values.space.nameOf(key), options)
  }

  /** Hits, misses and sets of this namespace in this process, without those in it. */
  stats(): ValueStats {
    return { ...this.values.stats }
  }
}

/**
 * The cache client, `app.cache`: values under keys, and control over everything that is stored.
 * Values and responses share the tiers, the tags and the invalidation log.
 */
export class CacheClient extends CacheValues {
  /** The ioredis client in use, for pipelines and all else; null when only memory is used. */
  readonly redis: RedisClient | null
  readonly #cache: ResponseCache
  readonly #guard: RedisGuard | undefined

  constructor(
    cache: ResponseCache,
    guard: RedisGuard | undefined,
    defaultTtl: Duration | undefined,
  ) {
    super(
      {
        cache,
        counters: new ValueCounters(),
        failures: new ValueFailures(),
        listing: guard && new RedisListing(guard, cache.namespace),
      },
      ValueSpace.root(defaultTtl),
    )
    this.redis = guard?.client ?? null
    this.#cache = cache
    this.#guard = guard
  }

  /**
   * Values with keys, codec, ttl and `clear()` of their own. The same name and version are the same
   * values in all processes.
   */
  namespace(name: string, options?: NamespaceOptions): CacheNamespace {
    return new CacheNamespace(this.parts, this.values.space.inner(name, options))
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

  /** Invalidates all values and responses of this registration, and leaves nothing of them. */
  async clear(): Promise<void> {
    await this.#cache.invalidate({ tags: 'all', mode: 'purge' })
    this.#cache.tiers.memory?.clear()
  }

  /**
   * What each tier holds: of a key, or, where a request or `{ url }` is given, of responses. Of a
   * request what answers it; of a URL what this process has in memory, for every variant.
   */
  async inspect(target: string | InspectTarget, options?: InspectOptions): Promise<Inspection[]> {
    return typeof target === 'string'
      ? inspectName(this.#cache, this.values.space.nameOf(target), options)
      : inspectResponses(this.#cache, target, options)
  }

  /**
   * Why a request would be answered as it would be: route, key, what is stored, tags, decision, and
   * which option would change it. Runs no hook and no handler, stores and counts nothing.
   */
  async explain(target: ExplainTarget): Promise<Explanation> {
    return explain(this.#cache, target)
  }

  /** Hits, misses and their reasons by route; tiers, log and trouble. */
  stats(): Stats {
    return takeStats(this.#cache, this.parts.counters, this.#guard?.state)
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
