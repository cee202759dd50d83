import type { Flight, Outcome } from './collapser.ts'
import { InvalidArgumentError } from './errors.ts'
import type { Turn } from './fleet-flight.ts'
import type { FleetLease } from './fleet-lease.ts'
import { isFresh } from './http/freshness.ts'
import type { Receipt } from './invalidation/log.ts'
import type { ResponseCache } from './response-cache.ts'
import type { ValueCounters, ValueStats } from './stats.ts'
import { Cached } from './store/cached.ts'
import { type LogPosition, type StoredEntry, bodyBytes, plainLifetimes } from './stored-response.ts'
import { UNREADABLE } from './value-codec.ts'
import type { ValueFailures } from './value-failures.ts'
import { type ValuePlan, tagsFor } from './value-options.ts'
import { type ValueSpace, useFormat } from './value-space.ts'

/** What all namespaces of one registration share. */
export interface ValueParts {
  readonly cache: ResponseCache
  readonly counters: ValueCounters
  readonly failures: ValueFailures
}

/** How long a caller waits for another's factory before it runs its own, in milliseconds. */
const MAX_WAIT_MS = 5000
/** Values that are asked for or set in one go; more would take longer than one operation may. */
const MAX_BATCH = 250

/** Values under the keys of one namespace: the same tiers, fences and coalescing as responses. */
export class ValueCache {
  readonly cache: ResponseCache
  readonly space: ValueSpace
  readonly stats: ValueStats
  readonly #failures: ValueFailures

  constructor({ cache, counters, failures }: ValueParts, space: ValueSpace) {
    this.cache = cache
    this.space = space
    this.stats = counters.of(space.id)
    this.#failures = failures
    const frames = cache.tiers.redis?.frames
    if (frames !== undefined) useFormat(space, frames)
  }

  async get<T>(key: string): Promise<T | undefined> {
    const cached = await this.find(this.space.nameOf(key))
    const value = cached === undefined ? UNREADABLE : this.#decode(cached)
    return this.#count(value) ? (value as T) : undefined
  }

  async has(key: string): Promise<boolean> {
    return this.#count((await this.find(this.space.nameOf(key))) ?? UNREADABLE)
  }

  async getMany<T>(keys: Iterable<string>): Promise<Map<string, T>> {
    const distinct = [...new Set(keys)]
    const names = distinct.map((key) => this.space.nameOf(key))
    const values = new Map<string, T>()
    for (let from = 0; from < names.length; from += MAX_BATCH) {
      // Asked in one go, the questions share a round trip.
      const asked = names.slice(from, from + MAX_BATCH).map((name) => this.find(name))
      for (const [at, cached] of (await Promise.all(asked)).entries()) {
        const value = cached === undefined ? UNREADABLE : this.#decode(cached)
        if (this.#count(value)) values.set(distinct[from + at]!, value as T)
      }
    }
    return values
  }

  async set(key: string, value: unknown, plan: ValuePlan): Promise<boolean> {
    return this.setMany(new Map([[key, value]]), plan)
  }

  /** True when all are stored where they should be. Nothing is done when one of them is refused. */
  async setMany(entries: ReadonlyMap<string, unknown>, plan: ValuePlan): Promise<boolean> {
    const bodies = [...entries].map(([key, value]): [string, StoredEntry['body']] => {
      this.space.nameOf(key)
      return [key, this.encode(key, value, plan)]
    })
    let areStored = true
    for (let at = 0; at < bodies.length; at += MAX_BATCH) {
      areStored = (await this.#setBatch(bodies.slice(at, at + MAX_BATCH), plan)) && areStored
    }
    return areStored
  }

  async #setBatch(
    bodies: readonly [string, StoredEntry['body']][],
    plan: ValuePlan,
  ): Promise<boolean> {
    this.stats.sets += bodies.length
    let receipt: Receipt
    try {
      // Copies in other processes go first; what is stored now carries the position of that: were it
      // a later one, of two that set a key each could keep its own.
      receipt = await this.invalidate(bodies.map(([key]) => key))
    } catch (error) {
      this.cache.trouble.report('cache.set', error)
      return false
    }
    const stored = bodies.map(([key, body]) => this.storeAt(key, receipt, plan, body))
    return (await Promise.all(stored)).every(Boolean)
  }

  async delete(key: string): Promise<void> {
    const { memory, redis } = this.cache.tiers
    const name = this.space.nameOf(key)
    memory?.delete(name)
    await this.invalidate([key])
    await redis?.delete(name)
  }

  async getOrSet<T>(key: string, factory: () => unknown, plan: ValuePlan): Promise<T> {
    const name = this.space.nameOf(key)
    const { collapser, tiers } = this.cache
    const calledAt = performance.now()
    const flight = collapser.join(name, tiers.now(), MAX_WAIT_MS)
    const { own, value: shared } =
      flight === undefined ? this.#lead(name) : await this.#follow(name, flight, calledAt)
    if (shared !== UNREADABLE) {
      this.stats.hits++
      return shared as T
    }
    let outcome: Outcome = 'overtaken'
    let lease: FleetLease | undefined
    try {
      const isForAll = own !== undefined && plan.fleet
      const turn = await this.#findOrContest(name, isForAll ? calledAt : undefined)
      lease = turn.lease
      const value = turn.found === undefined ? UNREADABLE : this.#decode(turn.found)
      if (this.#count(value)) {
        outcome = turn.found!
        return value as T
      }
      const { made, stored } = await this.#compute(key, factory, plan)
      outcome = made
      void lease?.settle('over', stored)
      return this.#decodeOwn(outcome, plan) as T
    } catch (error) {
      if (own !== undefined) own.failure = { error }
      throw error
    } finally {
      // Where it has not been settled there is nothing that others could find.
      void lease?.settle('failed')
      if (own !== undefined) collapser.settle(name, own, outcome, tiers.now())
    }
  }

  #lead(name: string): Followed {
    const own = this.cache.collapser.lead(name, this.cache.tiers.now(), MAX_WAIT_MS)
    return { own, value: UNREADABLE }
  }

  /**
   * What others make of it who have called before; of what an invalidation overtook, the next. Joined
   * or begun in one step, so that of those who have waited in vain one runs.
   */
  async #follow(name: string, from: Flight, calledAt: number): Promise<Followed> {
    const { collapser, tiers, log } = this.cache
    const arrivedAt = tiers.now()
    for (let flight: Flight | undefined = from; flight !== undefined;) {
      const cached = await collapser.wait(flight, MAX_WAIT_MS - (performance.now() - calledAt))
      if (flight.failure !== undefined) throw flight.failure.error
      if (cached === undefined || !isFresh(cached.entry, tiers.now())) break
      // Nobody can tell what was invalidated during a longer run.
      if (!log.verified() && arrivedAt - flight.startedAt > log.state().stalenessBoundMs) break
      if (tiers.usable(cached, tiers.now())) return { own: undefined, value: this.#decode(cached) }
      flight = collapser.join(name, tiers.now(), MAX_WAIT_MS)
    }
    return this.#lead(name)
  }

  /** What is stored, by another process meanwhile; or the right to make it for all processes. */
  async #findOrContest(
    name: string,
    calledAt: number | undefined,
  ): Promise<Turn<Cached> | { found?: Cached; lease?: undefined }> {
    const found = await this.find(name)
    if (found !== undefined) return { found }
    const { fleet, log } = this.cache
    if (calledAt === undefined || fleet === undefined || !log.verified()) return {}
    const contest = { key: name, find: () => this.find(name), holdMs: MAX_WAIT_MS }
    const turn = await fleet.contest(contest, MAX_WAIT_MS - (performance.now() - calledAt))
    return typeof turn === 'object' ? turn : {}
  }

  async #compute(key: string, factory: () => unknown, plan: ValuePlan): Promise<Made> {
    const { tiers, log } = this.cache
    const fence = log.position
    const name = this.space.nameOf(key)
    const value = await this.#run(name, factory, { key, plan, fence })
    const body = this.encode(key, value, plan)
    const tags = this.#tagsOf(key, tagsFor(plan, value))
    const entry = this.#entry(key, fence, { tags, ttl: plan.ttl, body })
    const made = new Cached(entry ?? { ...NOWHERE, ...OVER, body }, 'handler')
    if (entry === undefined || fence.epoch === '') return { made, stored: NOT_STORED }
    return { made, stored: log.allows(entry) ? tiers.store(name, entry) : undefined }
  }

  async #run(
    name: string,
    factory: () => unknown,
    { key, plan, fence }: { key: string; plan: ValuePlan; fence: LogPosition },
  ): Promise<unknown> {
    const { errorTtl, listed } = plan
    if (errorTtl === undefined) return factory()
    const { log, tiers } = this.cache
    const failure = this.#failures.find(name, tiers.now(), log)
    if (failure !== undefined) throw failure.error
    try {
      return await factory()
    } catch (error) {
      const tags = this.#tagsOf(key, listed)
      this.#failures.add(name, { ...fence, tags, error, until: tiers.now() + errorTtl * 1000 })
      throw error
    }
  }

  /** What is stored under a name and may be used. Never rejects. */
  async find(name: string): Promise<Cached | undefined> {
    const { tiers } = this.cache
    const lookup = tiers.peek(name, tiers.now(), false) ?? (await tiers.lookup(name, false))
    return lookup.state === 'fresh' ? lookup.found : undefined
  }

  /** From here on nothing computed before is used for these keys. Rejects as the log does. */
  invalidate(keys: readonly string[]): Promise<Receipt> {
    const tags = keys.flatMap((key) => this.space.tagsOf(key))
    return this.cache.invalidate({ tags, mode: 'expire' })
  }

  encode(key: string, value: unknown, { lossy }: ValuePlan): StoredEntry['body'] {
    return this.space.codec.encode(`the value of '${key}'`, value, lossy)
  }

  /** Stores a value as computed right after an invalidation of its key. */
  async storeAt(
    key: string,
    receipt: LogPosition,
    plan: ValuePlan,
    body: StoredEntry['body'],
  ): Promise<boolean> {
    const tags = this.#tagsOf(key, plan.listed)
    const entry = this.#entry(key, receipt, { tags, ttl: plan.ttl, body })
    // Of another epoch than this process knows: nobody could read it.
    if (entry === undefined || receipt.epoch === '' || !this.cache.log.allows(entry)) return false
    return this.cache.tiers.store(this.space.nameOf(key), entry)
  }

  /** A value is read, or there is none that can be. */
  #count(value: unknown): boolean {
    if (value === UNREADABLE) this.stats.misses++
    else this.stats.hits++
    return value !== UNREADABLE
  }

  #decode({ entry }: Cached): unknown {
    const value = this.space.codec.decode(entry.body)
    if (value === UNREADABLE) {
      this.cache.trouble.report('decode', new Error('a stored value cannot be decoded'))
    }
    return value
  }

  #decodeOwn(cached: Cached, { subject }: ValuePlan): unknown {
    const value = this.#decode(cached)
    if (value !== UNREADABLE) return value
    throw new InvalidArgumentError(`${subject}: the serializer cannot decode what it has encoded`)
  }

  #tagsOf(key: string, encoded: readonly string[]): string[] {
    return [...this.space.tagsOf(key), ...this.space.tags, ...encoded]
  }

  #entry(
    key: string,
    { epoch, seq }: LogPosition,
    { tags, ttl, body }: { tags: string[]; ttl: number; body: StoredEntry['body'] },
  ): StoredEntry | undefined {
    if (bodyBytes(body) > this.cache.maxEntryBytes) return undefined
    const [now, name] = [this.cache.tiers.now(), this.space.nameIn(key)]
    return { ...NOWHERE, epoch, seq, tags, ...plainLifetimes(now, now + ttl * 1000), body, ...name }
  }
}

/** What another has made, or the run that others follow, if there may be one. */
interface Followed {
  readonly own: Flight | undefined
  readonly value: unknown
}

interface Made {
  readonly made: Cached
  /** Whether Redis has it; undefined where an invalidation came between. */
  readonly stored: Promise<boolean> | undefined
}

const NOT_STORED = Promise.resolve(false)
const OVER = { ...plainLifetimes(0, 0), tags: [] }
/** A value has no status, no header section and, until stored, no position. */
const NOWHERE = { epoch: '', seq: 0, status: 0, headers: [], removed: [], varies: undefined }
