import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

import type { ProcessState } from './oversight.ts'
import { type ToldState, decodeTold, encodeTold } from './presence-record.ts'
import type { ResponseCache } from './response-cache.ts'
import type { Sealing } from './sealing.ts'
import { hitRateOf } from './stats.ts'
import { FAILED, type RedisGuard } from './store/redis-guard.ts'
import { RedisPresence } from './store/redis-presence.ts'

const EVERY_MS = 5000

export interface PresenceParts {
  cache: ResponseCache
  guard: RedisGuard | undefined
  sealing: Sealing | undefined
  /** In the place of the host's. */
  name: string | undefined
}

/** What processes of a namespace tell of themselves; nothing depends on it. */
export class Presence {
  readonly #cache: ResponseCache
  readonly #guard: RedisGuard | undefined
  readonly #redis: RedisPresence | undefined
  readonly #sealing: Sealing | undefined
  /** Of this run of this process. */
  readonly #id = randomBytes(9).toString('base64url')
  readonly #host: string
  #count = 0
  #telling: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ cache, guard, sealing, name = hostname() }: PresenceParts) {
    this.#cache = cache
    this.#host = name
    this.#guard = guard
    this.#redis = guard && new RedisPresence(guard, cache.namespace)
    this.#sealing = sealing
  }

  /** From now on. */
  announce(): void {
    if (this.#redis === undefined || this.#closed) return
    this.#telling ??= this.#tell(this.#redis)
  }

  async #tell(redis: RedisPresence): Promise<void> {
    const told = encodeTold(this.#state(), this.#id, this.#sealing)
    await redis.tell({ id: this.#id, count: ++this.#count }, this.#cache.log.position, told)
    if (this.#closed) return
    // No two processes in step.
    const delayMs = EVERY_MS * (0.9 + 0.2 * Math.random())
    this.#timer = setTimeout(() => {
      this.#telling = this.#tell(redis)
    }, delayMs).unref()
  }

  async processes(): Promise<ProcessState[]> {
    const told = (await this.#redis?.list()) ?? FAILED
    const state = this.#state()
    const own = { id: this.#id, ...state, self: true, toldAgoMs: 0, behind: 0 }
    if (told === FAILED) return [own]
    const { position, records } = told
    const isInStep = position.epoch === this.#cache.log.position.epoch
    own.behind = Math.max(0, position.seq - (isInStep ? own.seq : 0))
    const others: ProcessState[] = []
    for (const { id, toldAgoMs, behind, payload } of records) {
      const other = id === this.#id ? undefined : decodeTold(payload, id, this.#sealing)
      if (other !== undefined) others.push({ id, ...other, self: false, toldAgoMs, behind })
    }
    others.sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1))
    return [own, ...others]
  }

  #state(): ToldState {
    const { seq, sinceVerifiedMs, pendingInvalidations } = this.#cache.log.state()
    return {
      host: this.#host,
      pid: process.pid,
      startedAt: Math.round(performance.timeOrigin),
      seq,
      sinceVerifiedMs: sinceVerifiedMs && Math.round(sinceVerifiedMs),
      pendingInvalidations,
      hitRate: this.#hitRate(),
      breaker: this.#guard?.state,
    }
  }

  #hitRate(): number {
    const total = { hits: 0, collapsed: 0, misses: 0 }
    for (const { hits, collapsed, misses } of this.#cache.routeStats.values()) {
      total.hits += hits
      total.collapsed += collapsed
      total.misses += misses
    }
    return hitRateOf(total)
  }

  /** The record is removed, or goes by itself. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    if (this.#telling === undefined) return
    // What was sent after it would bring it back.
    await this.#telling
    await this.#redis!.leave(this.#id)
  }
}
