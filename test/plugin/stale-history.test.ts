// Whatever is combined: no answer from before an awaited invalidation, other than what its mode and
// the windows of the route allow. Seeded histories against a model of one number for each row.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { InvalidateOptions, ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { type Client, start } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { overRedis } from '../support/tiers.ts'

const STEPS = 120
const ROWS = ['a', 'b'] as const
const MODES: readonly NonNullable<InvalidateOptions['mode']>[] = ['expire', 'soft', 'purge']

/** Mulberry32: the same history for the same seed, as far as time lets it. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  chance(percent: number): boolean {
    return this.below(100) < percent
  }
}

/** What answers may be no older than, by what an answer is. */
interface Floor {
  /** Answers of any kind. */
  purged: number
  /** All but those that stand in for an error. */
  expired: number
  /** All but those that are served stale. */
  softened: number
}

interface Row extends Floor {
  version: number
}

class History {
  readonly rows: Record<string, Row> = {}
  readonly options: RouteCacheOptions
  readonly dice: Dice
  broken = false
  /** Answers by their kind, so that a history in which nothing happens is seen. */
  readonly kinds: Record<string, number> = {}
  #failure: Error | undefined
  readonly #open = new Set<Promise<void>>()
  readonly #clients: { client: Client; app: FastifyInstance }[] = []

  constructor(seed: number, strict: boolean) {
    this.dice = new Dice(seed)
    for (const name of ROWS) this.rows[name] = { version: 1, purged: 1, expired: 1, softened: 1 }
    const { dice } = this
    this.options = {
      ttl: 10,
      requestDirectives: true,
      tags: (request) => [(request.params as { row: string }).row],
      ...(dice.chance(70) && { staleWhileRevalidate: 20 }),
      ...(dice.chance(50) && { staleIfError: 20 }),
      ...(dice.chance(20) && { coalesce: false }),
      ...(dice.chance(30) && { vary: { by: () => 'somebody' } }),
      ...(strict && { consistency: 'strict' }),
    }
  }

  async open(t: TestContext, cache: ResponseCacheOptions): Promise<void> {
    const hasTag = this.dice.chance(60)
    const varies = this.dice.chance(30)
    const client = await start(
      t,
      (app) => {
        app.get('/:row', { config: { cache: this.options } }, async (request, reply) => {
          if (varies) reply.header('vary', 'accept-language')
          return this.#handle(request, reply, hasTag)
        })
        this.#clients.push({ client: undefined as never, app })
      },
      { cache },
    )
    this.#clients.at(-1)!.client = client
  }

  async #handle(request: FastifyRequest, reply: FastifyReply, hasTag: boolean): Promise<unknown> {
    const { version } = this.rows[(request.params as { row: string }).row]!
    const { broken } = this
    if (this.dice.chance(80)) await pause(this.dice.below(4))
    if (broken) throw new Error('broken')
    const tag = `"v${version}"`
    if (hasTag) reply.header('etag', tag)
    if (hasTag && request.headers['if-none-match'] === tag) return reply.code(304).send()
    return String(version)
  }

  async step(t: TestContext): Promise<void> {
    const { dice } = this
    const name = dice.of(ROWS)
    const what = dice.below(100)
    if (what < 70) this.#ask(name)
    else if (what < 85) await this.#write(name)
    else if (what < 90) t.mock.timers.tick(1000 * dice.below(14))
    else if (what < 95) this.broken = dice.chance(40)
    else await this.settle()
    if (dice.chance(50)) await pause(dice.below(3))
  }

  async settle(): Promise<void> {
    await Promise.all(this.#open)
    if (this.#failure !== undefined) throw this.#failure
  }

  async #write(name: string): Promise<void> {
    const row = this.rows[name]!
    const version = ++row.version
    const mode = this.dice.of(MODES)
    await this.dice.of(this.#clients).app.cache.invalidateTags([name], { mode })
    row.softened = Math.max(row.softened, version)
    if (mode !== 'soft') row.expired = Math.max(row.expired, version)
    if (mode === 'purge') row.purged = Math.max(row.purged, version)
  }

  #ask(name: string): void {
    const asked = this.#answered(name)
      .catch((error: Error) => void (this.#failure ??= error))
      .finally(() => this.#open.delete(asked))
    this.#open.add(asked)
  }

  async #answered(name: string): Promise<void> {
    const floor = { ...this.rows[name]! }
    const directives = this.dice.of(['', '', '', 'no-cache', 'max-stale=30', 'max-age=3'])
    const headers = {
      host: 'shop.example',
      'accept-language': this.dice.of(['en', 'de']),
      ...(directives !== '' && { 'cache-control': directives }),
    }
    const { client } = this.dice.of(this.#clients)
    const answer = await client.get(`/${name}`, headers)
    const status = statusOf(answer)
    const [kind, least] = this.#least(floor, status, answer.status)
    this.kinds[kind] = (this.kinds[kind] ?? 0) + 1
    if (answer.status !== 200) return
    const version = Number(answer.text)
    const told = `${String(answer.headers['cache-status'])} for '${directives}'`
    assert.ok(version >= least, `row ${name} as of ${version}, not before ${least}: ${told}`)
  }

  #least(floor: Floor, told: ReturnType<typeof statusOf>, status: number): [string, number] {
    const { staleIfError, staleWhileRevalidate } = this.options
    if (status !== 200) return ['error', 0]
    if (told.detail === 'stale-if-error') {
      assert.ok(staleIfError !== undefined, 'nobody has allowed it')
      return ['stand-in', floor.purged]
    }
    // Softened within its lifetime, a stale response tells what is left of that.
    const maybeStale = told.hit === true && staleWhileRevalidate !== undefined
    if (maybeStale) return [told.ttl! < 0 ? 'stale' : 'hit', floor.expired]
    return [told.hit ? 'hit' : String(told.fwd), floor.softened]
  }
}

const ARRANGEMENTS: Record<
  string,
  { seeds: number; strict: boolean; open: () => Promise<ResponseCacheOptions[]> }
> = {
  'in memory': { seeds: 12, strict: false, open: async () => [{}] },
  'over Redis': { seeds: 8, strict: false, open: async () => [await overRedis()] },
  'over Redis alone': {
    seeds: 8,
    strict: false,
    open: async () => [await overRedis({ memory: false })],
  },
  'in two strict processes': {
    seeds: 8,
    strict: true,
    open: async () => {
      const shared = await overRedis()
      return [shared, { ...shared, memory: false }]
    },
  },
}

for (const [name, { seeds, strict, open }] of Object.entries(ARRANGEMENTS)) {
  test(`no answer is from before an awaited invalidation, ${name}`, async (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
    const kinds: Record<string, number> = {}
    for (let seed = 1; seed <= seeds * Number(process.env['SEEDS'] ?? 1); seed++) {
      const history = new History(seed, strict)
      for (const cache of await open()) await history.open(t, cache)
      try {
        for (let step = 0; step < STEPS; step++) await history.step(t)
        await history.settle()
      } catch (error) {
        throw new Error(`seed ${seed}, ${JSON.stringify(history.options)}`, { cause: error })
      }
      for (const [kind, count] of Object.entries(history.kinds)) {
        kinds[kind] = (kinds[kind] ?? 0) + count
      }
    }
    for (const kind of ['hit', 'stale', 'stand-in', 'uri-miss', 'error']) {
      assert.ok(kinds[kind]! > 0, `no ${kind} in all histories: ${JSON.stringify(kinds)}`)
    }
  })
}
