// Two applications under a load of reads and writes while something happens to their Redis. Redis
// replicates after it has answered, so what it confirmed just before a failover may be lost with the
// old master: what is read then is counted, and what is read when all is quiet must be right.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { isCachedAgain } from '../support/at-rest.ts'
import { eventually } from '../support/clock.ts'
import { type Site, openSite } from './sharing.ts'

const ITEMS = 8
/** For a machine that is busy with other tests. */
const BUSY_MS = 2500
const DEADLINE_MS = 250

export interface Seen {
  requests: number
  hits: number
  failed: string[]
  confirmed: number
  rejected: number
  /** Strict reads of what a confirmed invalidation had made unusable before they began. */
  staleStrict: number
  slowestMs: number
}

export class Load {
  readonly sites: readonly Site[]
  readonly #versions: Map<string, number>
  /** The version that a confirmed invalidation has made the least. */
  readonly #least = new Map<string, number>()
  seen: Seen = {
    requests: 0,
    hits: 0,
    failed: [],
    confirmed: 0,
    rejected: 0,
    staleStrict: 0,
    slowestMs: 0,
  }

  static async open(t: TestContext, options: () => ResponseCacheOptions): Promise<Load> {
    const versions = new Map<string, number>()
    const sites: Site[] = []
    for (let n = 0; n < 2; n++) {
      sites.push(await openSite(t, versions, { deadlineMs: DEADLINE_MS, ...options() }))
    }
    for (const { app } of sites) {
      await eventually('the log is loaded', () => app.cache.stats().log.verified)
    }
    return new Load(sites, versions)
  }

  private constructor(sites: readonly Site[], versions: Map<string, number>) {
    this.sites = sites
    this.#versions = versions
  }

  /** Reads and writes at all applications until the action is over. */
  async under(action: () => Promise<unknown>): Promise<Seen> {
    let over = false
    const loop = async (act: () => Promise<void>, restMs: number): Promise<void> => {
      while (!over) {
        const start = performance.now()
        this.seen.requests++
        await act().catch((error: unknown) => this.seen.failed.push(String(error)))
        this.seen.slowestMs = Math.max(this.seen.slowestMs, performance.now() - start)
        await pause(restMs)
      }
    }
    const loops = this.sites.flatMap((site) => [
      loop(() => this.#read(site), 4),
      loop(() => this.#read(site), 4),
      loop(() => this.#write(site), 25),
    ])
    try {
      await action()
    } finally {
      over = true
      await Promise.all(loops)
    }
    return this.seen
  }

  async #read({ get }: Site): Promise<void> {
    const id = anItem()
    const isStrict = Math.random() < 0.5
    const least = this.#least.get(id) ?? 0
    const { version, status } = await get(`/${isStrict ? 'strict' : 'item'}/${id}`)
    if (status.includes('; hit')) this.seen.hits++
    if (isStrict && version < least) this.seen.staleStrict++
  }

  async #write({ app }: Site): Promise<void> {
    const id = anItem()
    const version = (this.#versions.get(id) ?? 0) + 1
    this.#versions.set(id, version)
    try {
      await app.cache.invalidateTags([`item:${id}`])
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'FST_RESPONSE_CACHE_INVALIDATION_PENDING')
      this.seen.rejected++
      return
    }
    this.seen.confirmed++
    this.#least.set(id, Math.max(version, this.#least.get(id) ?? 0))
  }

  /** Resolves when every application hits again, from both tiers. */
  async caches(): Promise<void> {
    for (const { app, get } of this.sites) {
      await eventually('caching resumes', async () => {
        const { hits } = app.cache.stats()
        for (let n = 0; n < 3; n++) await get(`/strict/0`)
        return app.cache.stats().log.verified && app.cache.stats().hits >= hits + 2
      })
    }
  }

  /** Resolves when invalidations are confirmed, and nothing waits to be told any more. */
  async delivers(): Promise<void> {
    for (const { app } of this.sites) {
      await eventually('an invalidation is confirmed', () =>
        app.cache.invalidateTags(['item:0']).then(
          () => true,
          () => false,
        ),
      )
      await eventually('all is delivered', () => app.cache.stats().pendingInvalidations === 0)
    }
  }

  /** When nobody writes any more, every application answers from its cache with the last version. */
  async assertQuiet(t: TestContext): Promise<void> {
    for (const [at, { app, get }] of this.sites.entries()) {
      const urls = Array.from({ length: ITEMS }, (_, id) => [`/item/${id}`, `/strict/${id}`]).flat()
      await isCachedAgain(`application ${at}`, {
        stats: () => app.cache.stats(),
        misses: async () => {
          const answers = await Promise.all(urls.map((url) => get(url)))
          return urls.filter((_, n) => !answers[n]!.status.includes('; hit'))
        },
      })
    }
    await this.delivers()
    const epochs = (): Set<string> =>
      new Set(this.sites.map(({ app }) => app.cache.stats().log.epoch))
    await eventually('all are of one epoch and verified', () => {
      const logs = this.sites.map(({ app }) => app.cache.stats().log)
      return epochs().size === 1 && logs.every((log) => log.verified && log.seq === logs[0]!.seq)
    })
    for (const { get } of this.sites) {
      for (let item = 0; item < ITEMS; item++) {
        for (const route of ['item', 'strict']) {
          const { version } = await get(`/${route}/${item}`)
          assert.equal(version, this.#versions.get(String(item)) ?? 0, `${route} ${item}`)
        }
      }
    }
    const { seen } = this
    t.diagnostic(JSON.stringify({ ...seen, slowestMs: Math.round(seen.slowestMs) }))
    assert.deepEqual(seen.failed, [])
    assert.ok(seen.hits > 0 && seen.confirmed > 0 && seen.requests > 50, JSON.stringify(seen))
    // A write has a second for its invalidation, and then a deadline until it is applied here.
    assert.ok(seen.slowestMs < 1000 + DEADLINE_MS + BUSY_MS, `${seen.slowestMs} ms`)
  }
}

function anItem(): string {
  return String(Math.floor(Math.random() * ITEMS))
}
