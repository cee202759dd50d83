import type { Outcome } from './collapser.ts'
import { DURATION_HELP, type Duration, seconds } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import { digest } from './http/encoding.ts'
import { MAX_TAGS, encodeTag, tagProblem } from './invalidation/tags.ts'
import type { ResponseCache } from './response-cache.ts'
import type { ValueStats } from './stats.ts'
import { Cached } from './store/cached.ts'
import { type LogPosition, type StoredEntry, bodyBytes, plainLifetimes } from './stored-response.ts'

export interface ValueOptions {
  /** Lifetime; seconds when a number. @default the plugin's `defaults.ttl` */
  ttl?: Duration
  /** Tags by which the value can be invalidated, together with responses. */
  tags?: readonly string[]
}

/** How long a caller waits for another's factory before it runs its own, in milliseconds. */
const MAX_WAIT_MS = 5000
const MAX_READABLE_KEY_LENGTH = 200

/** Values under keys: the same tiers, fences and coalescing as responses. */
export class ValueCache {
  readonly stats: ValueStats = { hits: 0, misses: 0, sets: 0 }
  readonly #cache: ResponseCache
  readonly #defaultTtl: Duration | undefined

  constructor(cache: ResponseCache, defaultTtl: Duration | undefined) {
    this.#cache = cache
    this.#defaultTtl = defaultTtl
  }

  async get<T>(key: string): Promise<T | undefined> {
    const cached = await this.#find(storeKey(key))
    return cached === undefined ? undefined : decodeValue<T>(cached.entry.body)
  }

  async has(key: string): Promise<boolean> {
    return (await this.#find(storeKey(key))) !== undefined
  }

  async set(key: string, value: unknown, options: ValueOptions = {}): Promise<boolean> {
    const name = storeKey(key)
    const plan = this.#plan(key, options)
    const body = encodeValue(key, value)
    this.stats.sets++
    try {
      // Copies in other processes go first; what is stored now carries a position after that.
      await this.#cache.invalidate({ tags: [keyTag(key)], mode: 'expire' })
    } catch (error) {
      this.#cache.trouble.report('cache.set', error as Error)
      return false
    }
    const entry = this.#entry(this.#cache.log.position, plan, body)
    // While this process has not heard of its own invalidation, nobody could read what it stores.
    if (entry === undefined || !this.#cache.log.allows(entry)) return false
    return this.#cache.tiers.store(name, entry)
  }

  async delete(key: string): Promise<void> {
    const name = storeKey(key)
    this.#cache.tiers.memory?.delete(name)
    await this.#cache.invalidate({ tags: [keyTag(key)], mode: 'expire' })
    await this.#cache.tiers.redis?.delete(name)
  }

  async getOrSet<T>(
    key: string,
    factory: () => T | Promise<T>,
    options: ValueOptions = {},
  ): Promise<T> {
    const name = storeKey(key)
    const plan = this.#plan(key, options)
    const { collapser, tiers } = this.#cache
    const flight = collapser.join(name, tiers.now(), MAX_WAIT_MS)
    if (flight !== undefined) {
      const cached = await collapser.wait(flight, MAX_WAIT_MS)
      if (flight.failure !== undefined) throw flight.failure.error
      if (cached !== undefined && tiers.usable(cached, tiers.now())) {
        this.stats.hits++
        return decodeValue<T>(cached.entry.body) as T
      }
    }
    const own = collapser.lead(name, tiers.now(), MAX_WAIT_MS)
    let outcome: Outcome = 'overtaken'
    try {
      outcome = (await this.#find(name)) ?? (await this.#compute(key, factory, plan))
      return decodeValue<T>(outcome.entry.body) as T
    } catch (error) {
      if (own !== undefined) own.failure = { error }
      throw error
    } finally {
      if (own !== undefined) collapser.settle(name, own, outcome, tiers.now())
    }
  }

  async #compute(key: string, factory: () => unknown, plan: Plan): Promise<Cached> {
    const { tiers } = this.#cache
    const fence = this.#cache.log.position
    const body = encodeValue(key, await factory())
    const entry = this.#entry(fence, plan, body)
    const current = entry ?? { ...NOWHERE, ...plainLifetimes(0, 0), tags: [], body }
    if (entry !== undefined && this.#cache.log.allows(entry)) void tiers.store(storeKey(key), entry)
    return new Cached(current, 'handler')
  }

  async #find(name: string): Promise<Cached | undefined> {
    const { tiers } = this.#cache
    const lookup = tiers.peek(name, tiers.now(), false) ?? (await tiers.lookup(name, false))
    if (lookup.state === 'fresh') {
      this.stats.hits++
      return lookup.found
    }
    this.stats.misses++
    return undefined
  }

  #entry(fence: LogPosition, plan: Plan, body: string): StoredEntry | undefined {
    if (fence.epoch === '' || bodyBytes(body) > this.#cache.maxEntryBytes) return undefined
    const now = this.#cache.tiers.now()
    return {
      ...NOWHERE,
      ...fence,
      tags: plan.tags,
      ...plainLifetimes(now, now + plan.ttl * 1000),
      body,
    }
  }

  #plan(key: string, options: ValueOptions): Plan {
    const ttl = seconds(options.ttl ?? this.#defaultTtl)
    if (ttl === undefined) {
      throw new InvalidArgumentError(`the ttl of '${key}' must be ${DURATION_HELP}`)
    }
    const tags = options.tags ?? []
    if (!Array.isArray(tags)) throw new InvalidArgumentError(`the tags of '${key}' must be a list`)
    const problem = (tags as unknown[]).map(tagProblem).find((each) => each !== undefined)
    if (problem !== undefined) throw new InvalidArgumentError(`the tags of '${key}': ${problem}`)
    if (tags.length > MAX_TAGS) {
      throw new InvalidArgumentError(`'${key}' has ${tags.length} tags; ${MAX_TAGS} is the most`)
    }
    return { ttl, tags: [keyTag(key), ...(tags as string[]).map((tag) => encodeTag('tag', tag))] }
  }
}

interface Plan {
  ttl: number
  tags: string[]
}

/** A value has no status, no header section and, until stored, no position. */
const NOWHERE = { epoch: '', seq: 0, status: 0, headers: [], removed: [], varies: undefined }

function keyTag(key: string): string {
  return encodeTag('key', key)
}

function storeKey(key: string): string {
  if (typeof key !== 'string' || key === '' || !key.isWellFormed()) {
    throw new InvalidArgumentError('a key must be a non-empty, well-formed string')
  }
  return key.length <= MAX_READABLE_KEY_LENGTH ? `d:${key}` : `d#${digest(key)}`
}

/** JSON never makes an empty text, so that is how undefined is kept. */
function encodeValue(key: string, value: unknown): string {
  if (value === undefined) return ''
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (error) {
    throw new InvalidArgumentError(`the value of '${key}' is not JSON: ${(error as Error).message}`)
  }
  if (text === undefined) throw new InvalidArgumentError(`the value of '${key}' is not JSON`)
  return text
}

function decodeValue<T>(body: StoredEntry['body']): T | undefined {
  return body === undefined || body.length === 0 ? undefined : (JSON.parse(body.toString()) as T)
}
