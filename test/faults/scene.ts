// One application under a light load, with a Redis that a test does things to. The load notices
// requests that fail, that hang, and that get what this process had been told to forget.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import type { TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { type Client, listen } from '../support/app.ts'
import { isCachedAgain } from '../support/at-rest.ts'
import { eventually } from '../support/clock.ts'

const ITEMS = 10
const READERS = 6
/** How long one request waits for Redis; the default. */
export const DEADLINE_MS = 250
/** For a machine that is busy with other tests. */
const BUSY_MS = 2000
/** A read may ask Redis, wait for another's run, and ask again: a few deadlines. */
const READ_BOUND_MS = 4 * DEADLINE_MS + BUSY_MS
/** A write waits for its invalidation, which has a second. */
const WRITE_BOUND_MS = 1000 + BUSY_MS

/** What a load has seen. */
export interface Seen {
  requests: number
  failed: string[]
  hits: number
  slowestReadMs: number
  slowestWriteMs: number
  /** Reads of a version that this process had been told to forget before they began. */
  stale: number
}

export class Scene {
  readonly app: FastifyInstance
  readonly client: Client
  /** The version that an invalidation, settled in whatever way, has made the least. */
  readonly #least = Array.from({ length: ITEMS }, () => 1)

  static async start(
    t: TestContext,
    cache: ResponseCacheOptions,
    fastify: FastifyServerOptions = {},
  ): Promise<Scene> {
    const app = Fastify(fastify) as unknown as FastifyInstance
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
    versions.push(...this.#least)
  }

  get stats(): ReturnType<FastifyInstance['cache']['stats']> {
    return this.app.cache.stats()
  }

  /** Reads and writes until the action is over. */
  async under(action: () => Promise<unknown>): Promise<Seen> {
    const seen: Seen = {
      requests: 0,
      failed: [],
      hits: 0,
      slowestReadMs: 0,
      slowestWriteMs: 0,
      stale: 0,
    }
    const agent = new Agent({ keepAlive: true })
    let over = false
    const loop = async (act: () => Promise<void>, kind: 'Read' | 'Write'): Promise<void> => {
      while (!over) {
        const took = await timed(seen, act)
        const slowest = `slowest${kind}Ms` as const
        seen[slowest] = Math.max(seen[slowest], took)
        await pause(kind === 'Read' ? 5 : 20)
      }
    }
    const loops = [
      ...Array.from({ length: READERS }, () => loop(() => this.#read(seen, agent), 'Read')),
      loop(() => this.#write(agent), 'Write'),
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

  /** Resolves when all is over and every item is served from the cache again. */
  async recovered(): Promise<void> {
    await isCachedAgain('the application', {
      stats: () => this.stats,
      misses: async () => {
        const misses: string[] = []
        for (let id = 0; id < ITEMS; id++) {
          const { headers } = await this.client.get(`/item/${id}`)
          if (!String(headers['cache-status']).includes('; hit')) misses.push(`item ${id}`)
        }
        return misses
      },
    })
  }
}

async function timed(seen: Seen, act: () => Promise<void>): Promise<number> {
  const start = performance.now()
  seen.requests++
  try {
    await act()
  } catch (error) {
    seen.failed.push(String(error))
  }
  return performance.now() - start
}

/** Nothing failed, nothing hung, nothing was served that had been forgotten. */
export function assertUnharmed(t: TestContext, seen: Seen, leastRequests = 50): void {
  t.diagnostic(
    `${seen.requests} requests, ${seen.failed.length} failed, ${seen.hits} hits, ` +
      `${seen.stale} stale, slowest read ${seen.slowestReadMs.toFixed(0)} ms, ` +
      `slowest write ${seen.slowestWriteMs.toFixed(0)} ms`,
  )
  assert.deepEqual(seen.failed, [])
  assert.equal(seen.stale, 0)
  assert.ok(seen.requests >= leastRequests, `${seen.requests} requests`)
  assert.ok(seen.slowestReadMs < READ_BOUND_MS, `${seen.slowestReadMs} ms`)
  assert.ok(seen.slowestWriteMs < WRITE_BOUND_MS, `${seen.slowestWriteMs} ms`)
}
