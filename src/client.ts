import { type BufferOptions, Buffers } from './buffers.ts'
import { type InspectTarget, inspectResponses } from './client-inspect.ts'
import {
  type InvalidateOptions,
  checkPattern,
  checkRoute,
  checkTags,
  checkUrl,
  emitEvent,
  invalidate,
} from './client-invalidate.ts'
import type { PreviewTarget, TagsOptions } from './client-oversight.ts'
import { CacheNamespace } from './client-namespace.ts'
import { CacheValues } from './client-values.ts'
import type { Duration } from './durations.ts'
import type { ExplainTarget } from './exchange-explain-target.ts'
import type { Explanation } from './explanation.ts'
import { type CacheEvents, type EventMapping, Events, type OtherEvent } from './events.ts'
import { type InspectOptions, type Inspection, inspectName } from './inspection.ts'
import { type LockContext, type LockOptions, Locks } from './locks.ts'
import {
  type InvalidationPreview,
  type InvalidationSeen,
  type ProcessState,
  type TagState,
  invalidationsSeen,
} from './oversight.ts'
import type { Presence } from './presence.ts'
import type { AnnounceOptions } from './presence-record.ts'
import type { ResponseCache } from './response-cache.ts'
import type { Sealing } from './sealing.ts'
import { Figures, type Stats, ValueCounters } from './stats.ts'
import type { RedisClient, RedisGuard } from './store/redis-guard.ts'
import { RedisListing } from './store/redis-listing.ts'
import { RedisLocks } from './store/redis-locks.ts'
import { ValueFailures } from './value-failures.ts'
import { type NamespaceOptions, ValueSpace } from './value-space.ts'
import type { WriteBuffer } from './write-behind.ts'

export interface ClientSettings {
  defaultTtl: Duration | undefined
  sealing: Sealing | undefined
  announce: AnnounceOptions | undefined
}

/**
 * The cache client, `app.cache`: values under keys, and control over everything that is stored.
 * Values and responses share the tiers, the tags and the invalidation log.
 */
export class CacheClient extends CacheValues {
  /** The ioredis client in use, for pipelines and all else; null when only memory is used. */
  readonly redis: RedisClient | null
  readonly #figures: Figures
  readonly #cache: ResponseCache
  readonly #locks: Locks
  readonly #buffers: Buffers
  readonly #events = new Events()
  readonly #guard: RedisGuard | undefined
  readonly #settings: ClientSettings
  #presence: Promise<Presence> | undefined

  constructor(cache: ResponseCache, guard: RedisGuard | undefined, settings: ClientSettings) {
    super(
      {
        cache,
        counters: new ValueCounters(),
        failures: new ValueFailures(),
        listing: guard && new RedisListing(guard, cache.namespace, cache.tiers.redis?.frames),
      },
      ValueSpace.root(settings.defaultTtl, cache.namespace),
    )
    this.redis = guard?.client ?? null
    this.#cache = cache
    this.#figures = new Figures(this, this.parts, () => guard?.state)
    this.#guard = guard
    this.#settings = settings
    this.#buffers = new Buffers(guard, cache.namespace, (error) =>
      cache.trouble.report('buffer.flush', error),
    )
    this.#locks = new Locks(guard && new RedisLocks(guard, cache.namespace))
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
    await invalidate(this.#cache, checkTags('invalidateTags', tags), options)
  }

  /**
   * Invalidates the responses of one URL or path, on every host and for every variant. Without a
   * query all queries of the path are meant; `'/path?'` is the path without a query.
   */
  async invalidateUrl(url: string, options?: InvalidateOptions): Promise<void> {
    await invalidate(this.#cache, checkUrl(this.#cache, url), options)
  }

  /** Invalidates all responses of a route, named by its pattern: `'/products/:id'`. */
  async invalidateRoute(pattern: string, options?: InvalidateOptions): Promise<void> {
    await invalidate(this.#cache, [checkRoute(pattern)], options)
  }

  /**
   * Invalidates every value whose key, and every response whose path, matches: `'user:*'`,
   * `'/products/*'`. `*` is any number of characters, `/` too; `?` one; `[a-z]`, `[^a]` one of a set;
   * `\\` takes the meaning from the next. Keys in namespaces are their own. Of keys and paths above
   * 64 characters all those match whose beginning allows it.
   */
  async invalidatePattern(pattern: string, options?: InvalidateOptions): Promise<void> {
    await invalidate(this.#cache, [checkPattern(pattern)], options)
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
    // Loaded when it is asked: most processes never are.
    const { explain } = await import('./exchange-explain.ts')
    return explain(this.#cache, target)
  }

  /** The last 100 invalidations that this process has seen in the log, the newest first. */
  invalidations(): InvalidationSeen[] {
    return invalidationsSeen(this.#cache.log)
  }

  /**
   * The tags that this process knows: those that were invalidated, and those of entries in its
   * memory; what was invalidated last comes first, then what most entries carry. Walks all of both,
   * in slices: for people.
   */
  async tags(options?: TagsOptions): Promise<TagState[]> {
    const { knownTags } = await import('./client-oversight.ts')
    return knownTags(this.#cache, options)
  }

  /**
   * What an invalidation would do, and does not: its tags, and what entries in this process's memory
   * it makes unusable, or stale with `mode: 'soft'`. Takes what `invalidateTags`, `invalidateUrl`, `invalidateRoute` or
   * `invalidatePattern` take, and rejects what they reject.
   */
  async preview(target: PreviewTarget, options?: InvalidateOptions): Promise<InvalidationPreview> {
    const { preview } = await import('./client-oversight.ts')
    return preview(this.#cache, target, options)
  }

  /**
   * From now on this process tells of itself in Redis, as the plugin option `announce` does. Call it
   * where no request is under way.
   */
  announce(): void {
    void this.#present().then((presence) => presence.announce())
  }

  /**
   * The processes of this namespace that announce themselves, as each told of itself in the last 30
   * seconds, and this one, which comes first. Only this one when Redis does not answer in time.
   */
  async processes(): Promise<ProcessState[]> {
    return (await this.#present()).processes()
  }

  #present(): Promise<Presence> {
    const [cache, guard] = [this.#cache, this.#guard]
    const { sealing, announce } = this.#settings
    return (this.#presence ??= import('./presence.ts').then(
      ({ Presence }) => new Presence({ cache, guard, sealing, name: announce?.name }),
    ))
  }

  /** Hits, misses and their reasons by route; tiers, log and trouble. */
  stats(): Stats {
    return this.#figures.all()
  }

  /**
   * From now on the event makes invalid what the mapping says, when it is emitted in this process.
   * Returns what ends that.
   */
  on<Name extends keyof CacheEvents>(
    event: Name,
    mapping: EventMapping<CacheEvents[Name]>,
  ): () => void
  on<Name extends string, Data>(event: OtherEvent<Name>, mapping: EventMapping<Data>): () => void
  on(event: string, mapping: EventMapping<never>): () => void {
    return this.#events.on(event, mapping)
  }

  /**
   * Invalidates, in all processes, what the mappings in this one say. Resolved means what it does for
   * `invalidateTags`. Rejects with FST_RESPONSE_CACHE_EVENT_FAILED when there is no mapping, or one
   * fails; what the others say is invalid all the same.
   */
  emit<Name extends keyof CacheEvents>(
    event: Name,
    data: CacheEvents[Name],
    options?: InvalidateOptions,
  ): Promise<void>
  emit<Name extends string>(
    event: OtherEvent<Name>,
    data?: unknown,
    options?: InvalidateOptions,
  ): Promise<void>
  emit(event: string, data: unknown, options?: InvalidateOptions): Promise<void> {
    return emitEvent(this.#events, this.#cache, { event, data, options })
  }

  /**
   * Runs `fn` while nobody else has the lock of that name, in any process. Resolves with what it
   * returns, rejects with its error; with FST_RESPONSE_CACHE_LOCK_NOT_ACQUIRED (409) when somebody
   * else has the lock, FST_RESPONSE_CACHE_REDIS_UNAVAILABLE when Redis does not answer, and with
   * FST_RESPONSE_CACHE_LOCK_LOST when the lock was gone before `fn` had ended.
   */
  withLock<T>(
    name: string,
    fn: (context: LockContext) => T | Promise<T>,
    options?: LockOptions,
  ): Promise<T> {
    return this.#locks.withLock(name, fn, options)
  }

  /**
   * Write-behind: counters and last values that are kept in Redis, and flushed to a slower store by
   * one process at a time, in batches that come again under the same id until they are done. Each
   * process opens it once, with the same options.
   */
  buffer(name: string, options: BufferOptions): WriteBuffer {
    return this.#buffers.open(name, options)
  }

  /** Lets go of everything. Called when the instance closes. */
  async close(): Promise<void> {
    const absent = this.#presence?.then((presence) => presence.close())
    await Promise.all([absent, this.#locks.close(), this.#buffers.close()])
    await this.#cache.close()
  }
}
