// One application under a light load, with a Redis that a test does things to. The load notices
// requests that fail, that hang, and that get what this process had been told to forget.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { type Client, listen } from '../support/app.ts'
import { eventually } from '../support/clock.ts'

const ITEMS = 10
const READERS = 6
/** How long one request waits for Redis; the default. */
export const DEADLINE_MS = 250
/**
 * A request may look in memory, ask Redis, wait for another's run, and ask again: a few deadlines.
 * The rest is for a machine that is busy with other tests.
 */
const BOUND_MS = 4 * DEADLINE_MS + 2000

/** What a load has seen. */
export interface Seen {
  requests: number
  failed: string[]
  hits: number
  slowestMs: number
  /** Reads of a version that this process had been told to forget before they began. */
  stale: number
}

export class Scene {
  readonly app: FastifyInstance
  readonly client: Client
  readonly #versions = Array.from({ length: ITEMS }, () => 1)
  /** The version that an invalidation, settled in whatever way, has made the least. */
  readonly #least = Array.from({ length: ITEMS }, () => 1)

  static async start(t: TestContext, cache: ResponseCacheOptions): Promise<Scene> {
    const app = Fastify()
    const versions: number[] = []
    await app.register(responseCache, { namespace: 'shop', defaults: { ttl: '1h' }, ...cache })
    app.get<{ Params: { id: string } }>(
      '/item/:id',
      { config: { cache: { tags: (request) => [`item:${request.params.id}`] } } },
      async (request) => ({ version: versions[Number(request.params.id)] }),
    )
    app.put<{ Params: { id: string } }>(
      '/item/:id',
      { config: { cache: { invalidates: (request) => [`item:${request.params.id}`] } } },
      async (request) => ({ version: ++versions[Number(request.params.id)]! }),
    )
    return new Scene(app, await listen(t, app), versions)
  }

  private constructor(app: FastifyInstance, client: Client, versions: number[]) {
    this.app = app
    this.client = client
    this.#versions = versions
    versions.push(...this.#least)
  }

  get stats(): ReturnType<FastifyInstance['cache']['stats']> {
    return this.app.cache.stats()
  }

  /** Reads and writes until the action is over. */
  async under(action: () => Promise<unknown>): Promise<Seen> {
    const seen: Seen = { requests: 0, failed: [], hits: 0, slowestMs: 0, stale: 0 }
    const agent = new Agent({ keepAlive: true })
    let over = false
    const loop = async (act: () => Promise<void>): Promise<void> => {
      while (!over) {
        await this.#timed(seen, act)
        await pause(5)
      }
    }
    const loops = [
      ...Array.from({ length: READERS }, () => loop(() => this.#read(seen, agent))),
      loop(() => this.#write(agent)),
    ]
    try {
      await action()
    } finally {
      over = true
      await Promise.all(loops)
      agent.destroy()
    }
    return seen
  }

  async #timed(seen: Seen, act: () => Promise<void>): Promise<void> {
    const start = performance.now()
    seen.requests++
    try {
      await act()
    } catch (error) {
      seen.failed.push(String(error))
    }
    seen.slowestMs = Math.max(seen.slowestMs, performance.now() - start)
  }

  async #read(seen: Seen, agent: Agent): Promise<void> {
    const id = Math.floor(Math.random() * ITEMS)
    const least = this.#least[id]!
    const answer = await this.client.send('GET', `/item/${id}`, { agent })
    assert.equal(answer.status, 200)
    if (String(answer.headers['cache-status']).includes('; hit')) seen.hits++
    if ((JSON.parse(answer.text) as { version: number }).version < least) seen.stale++
  }

  async #write(agent: Agent): Promise<void> {
    const id = Math.floor(Math.random() * ITEMS)
    const answer = await this.client.send('PUT', `/item/${id}`, { agent })
    assert.equal(answer.status, 200)
    this.#least[id] = (JSON.parse(answer.text) as { version: number }).version
  }

  /** Resolves when a response is served from the cache again, from Redis if that is asked for. */
  async caches(tier?: 'redis'): Promise<void> {
    await eventually(`hits${tier ? ' from Redis' : ''} again`, async () => {
      const before = this.stats.hitsByTier
      for (let n = 0; n < 2; n++) await this.client.get('/item/0')
      const { hitsByTier } = this.stats
      return tier ? hitsByTier.redis > before.redis : hitsByTier.memory > before.memory
    })
  }

  /** Resolves when nothing waits to be told to the others any more. */
  async delivered(): Promise<void> {
    await eventually('all invalidations are delivered', () => this.stats.pendingInvalidations === 0)
  }
}

/** Nothing failed, nothing hung, nothing was served that had been forgotten. */
export function assertUnharmed(t: TestContext, seen: Seen, leastRequests = 50): void {
  t.diagnostic(
    `${seen.requests} requests, ${seen.failed.length} failed, ${seen.hits} hits, ` +
      `${seen.stale} stale, slowest ${seen.slowestMs.toFixed(0)} ms`,
  )
  assert.deepEqual(seen.failed, [])
  assert.equal(seen.stale, 0)
  assert.ok(seen.requests >= leastRequests, `${seen.requests} requests`)
  assert.ok(seen.slowestMs < BOUND_MS, `${seen.slowestMs} ms`)
}
