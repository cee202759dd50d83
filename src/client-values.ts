import { InvalidArgumentError } from './errors.ts'
import { remainingSeconds } from './inspection.ts'
import type { RedisListing } from './store/redis-listing.ts'
import { ValueCache, type ValueParts } from './value-cache.ts'
import { listKeys } from './value-listing.ts'
import {
  type GetOrSetOptions,
  type MadeOptions,
  type ValueOptions,
  planMade,
  planValue,
  planWritten,
} from './value-options.ts'
import { type ValueSpace, checkNames, checkTtl } from './value-space.ts'
import { touchValue } from './value-touch.ts'
import { type WrapOptions, type WrappedFunction, wrapFunction } from './wrapped-function.ts'
import { writeThrough } from './write-through.ts'
import type { Duration } from './durations.ts'

export interface KeysOptions {
  /** What the keys begin with. @default all keys */
  prefix?: string
}

/** What clients are made of. */
export interface ClientParts extends ValueParts {
  readonly listing: RedisListing | undefined
}

/** Values under keys: what `app.cache` and each of its namespaces can do. */
export class CacheValues {
  protected readonly parts: ClientParts
  protected readonly values: ValueCache

  constructor(parts: ClientParts, space: ValueSpace) {
    this.parts = parts
    this.values = new ValueCache(parts, space)
  }

  /** The value stored under the key; undefined when there is none that may be used. Never rejects for trouble with Redis. */
  get<T = unknown>(key: string): Promise<T | undefined> {
    return this.values.get<T>(key)
  }

  /** The usable ones of these keys with their values, in one round trip. */
  async getMany<T = unknown>(keys: Iterable<string>): Promise<Map<string, T>> {
    // Text is a list, too: of its characters.
    if (!isList(keys)) throw new InvalidArgumentError('getMany takes a list of keys')
    return this.values.getMany<T>(keys)
  }

  /** Whether a usable value is stored under the key. */
  has(key: string): Promise<boolean> {
    return this.values.has(key)
  }

  /** Seconds for which the value remains usable, rounded up; undefined when there is none. */
  async ttl(key: string): Promise<number | undefined> {
    const { tiers } = this.parts.cache
    const found = await this.values.find(this.values.space.nameOf(key))
    return found && remainingSeconds(found.entry, tiers.now())
  }

  /**
   * Stores a value that the codec can carry: JSON, unless the namespace has another. Other processes
   * forget the one they had first. Resolves with false when Redis did not confirm; then nobody has
   * the old value either.
   */
  async set(key: string, value: unknown, options?: ValueOptions): Promise<boolean> {
    return this.values.set(key, value, planValue(this.values.space, key, options))
  }

  /** `set` for many at once, with the same options: a Map, or pairs of key and value. */
  async setMany(
    entries: Iterable<readonly [key: string, value: unknown]>,
    options?: ValueOptions,
  ): Promise<boolean> {
    const plan = planValue(this.values.space, 'setMany', options)
    const pairs = isList(entries) ? [...entries] : undefined
    if (pairs?.every(Array.isArray)) return this.values.setMany(new Map(pairs), plan)
    throw new InvalidArgumentError(
      'setMany takes a Map, or pairs of key and value as Object.entries() makes them',
    )
  }

  /**
   * Lets a value live for at least `ttl` from now on without making it anew: sliding expiration. False
   * when nothing usable is there, or Redis did not confirm. Never makes an invalidated value usable.
   */
  async touch(key: string, ttl: Duration): Promise<boolean> {
    return touchValue(this.values, key, checkTtl(`'${key}'`, ttl))
  }

  /** Forgets the value under the key, in all processes. Rejects as `invalidateTags` does. */
  delete(key: string): Promise<void> {
    return this.values.delete(key)
  }

  /**
   * The value under the key, or what the factory makes, stored. Concurrent callers share one run,
   * its error included. The value is what the codec makes of it, on the first call as on every later.
   */
  async getOrSet<T>(
    key: string,
    factory: () => T | Promise<T>,
    options?: GetOrSetOptions<NoInfer<T>>,
  ): Promise<T> {
    checkFunction('getOrSet', key, factory)
    return this.values.getOrSet<T>(key, factory, planMade(this.values.space, key, options))
  }

  /**
   * The function, with its results kept by its arguments, as `getOrSet` does. `this` is not passed on.
   * All functions that are wrapped under one name share their results, in all processes.
   */
  wrap<Args extends unknown[], Result>(
    name: string,
    fn: (this: void, ...args: Args) => Result,
    options?: WrapOptions<Args, Awaited<Result>>,
  ): WrappedFunction<Args, Awaited<Result>> {
    return wrapFunction(this.values, name, fn, options)
  }

  /**
   * Runs `write`, which changes the source of truth, and keeps what it returns: what was read before
   * is invalid afterwards, and no `getOrSet` on its way can bring it back. Resolves with what `write`
   * returned; rejects with its error, and then nothing was changed here. Rejects with
   * FST_RESPONSE_CACHE_WRITE_UNCONFIRMED when it has written and Redis did not confirm.
   */
  async writeThrough<T>(
    key: string,
    write: () => T | Promise<T>,
    options?: MadeOptions<NoInfer<T>>,
  ): Promise<T> {
    checkFunction('writeThrough', key, write)
    return writeThrough(this.values, key, write, planWritten(this.values.space, key, options))
  }

  /**
   * The keys under which something usable is stored, in no order; in Redis where there is one, by
   * SCAN. What is there all the while is listed, rarely twice. Rejects with
   * FST_RESPONSE_CACHE_REDIS_UNAVAILABLE when Redis does not answer.
   */
  keys(options: KeysOptions = {}): AsyncIterableIterator<string> {
    checkNames('keys', options, ['prefix'])
    const { prefix = '' } = options
    if (typeof prefix !== 'string' || !prefix.isWellFormed()) {
      throw new InvalidArgumentError('keys: prefix must be a well-formed string')
    }
    return listKeys(this.values, this.parts.listing, prefix)
  }
}

function isList(given: unknown): boolean {
  return typeof given === 'object' && given !== null && Symbol.iterator in given
}

function checkFunction(method: string, key: string, given: unknown): void {
  if (typeof given === 'function') return
  throw new InvalidArgumentError(`${method}: '${key}' needs a function that makes the value`)
}
