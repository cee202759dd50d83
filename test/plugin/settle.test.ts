// Handlers that read a replica of the database, which lags behind the writes.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, {
  type RouteCacheOptions,
  type ResponseCacheOptions,
} from '../../src/index.ts'
import { type Client, Door, listen } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { openClient } from '../client/apps.ts'

/** As long as a replica may lag; long for a test, so that a slow machine is still within it. */
const LONG = { settle: '1h' } as const
const SHORT = { settle: '600ms' } as const

/** What is written is in the primary at once, and in the replica when the test says so. */
class Database {
  primary = 1
  replica = 1

  write(): void {
    this.primary++
  }

  replicate(): void {
    this.replica = this.primary
  }
}

interface Scene {
  app: FastifyInstance
  client: Client
  database: Database
  runs: () => number
  get: (path?: string) => Promise<[version: number, status: string | undefined]>
}

async function scene(
  t: TestContext,
  route: RouteCacheOptions,
  options: ResponseCacheOptions = {},
  pass: () => Promise<void> = async () => {},
): Promise<Scene> {
  const database = new Database()
  let runs = 0
  const app = Fastify()
  await app.register(responseCache, { defaults: { ttl: '1h' }, ...options })
  app.get('/', { config: { cache: { ...route, tags: ['x'] } } }, async () => {
    runs++
    const version = database.replica
    await pass()
    return { version }
  })
  app.get('/late', { config: { cache: { ...route } } }, async (_request, reply) => {
    reply.cacheTags('x')
    return { version: database.replica }
  })
  app.get('/other', { config: { cache: { ...route, tags: ['y'] } } }, async () => ({ version: 0 }))
  const client = await listen(t, app)
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  const get: Scene['get'] = async (path = '/') => {
    const answer = await client.get(path)
    const status = statusOf(answer)
    const { version } = JSON.parse(answer.text) as { version: number }
    return [version, status.hit ? 'hit' : status.stored ? 'stored' : status.detail]
  }
  return { app, client, database, runs: () => runs, get }
}

/** Past the moment from which on everything could be as it was before the start. */
async function settled({ get }: Scene): Promise<void> {
  await eventually('what is known at the start has settled', async () => {
    const told = [await get(), await get('/late'), await get('/other')]
    return told.every(([, status]) => status === 'hit')
  })
}

describe('a route with settle', { concurrency: true }, () => {
  it('does not store what its handler reads within that time of an invalidation, and does after', async (t) => {
    const play = await scene(t, SHORT)
    const { app, database, get } = play
    await settled(play)
    database.write()
    await app.cache.invalidateTags(['x'])
    const first = await get()
    database.replicate()
    if (first[1] === 'settling') assert.equal(first[0], 1)
    await eventually('the new version is stored', async () => {
      const [version, status] = await get()
      assert.equal(version, 2, `${status}`)
      return status === 'hit'
    })
  })

  it('would store the old version without it', async (t) => {
    const { app, database, get } = await scene(t, {})
    await get()
    database.write()
    await app.cache.invalidateTags(['x'])
    assert.deepEqual(await get(), [1, 'stored'])
    database.replicate()
    assert.deepEqual(await get(), [1, 'hit'], 'for as long as its lifetime')
  })

  it('goes on storing what has nothing to do with it, and what carries the tag only in the end does not count as such', async (t) => {
    const play = await scene(t, { settle: 0.1 })
    const { app, get } = play
    await settled(play)
    const longer = await scene(t, LONG)
    assert.deepEqual(
      await longer.get('/other'),
      [0, 'settling'],
      'nothing is known of before the start',
    )
    await app.cache.invalidateTags(['x'])
    assert.deepEqual(await get('/other'), [0, 'hit'])
    const late = await get('/late')
    assert.ok(late[1] === 'settling' || late[1] === 'stored')
  })

  it('stores nothing for a while after everything was invalidated', async (t) => {
    const play = await scene(t, SHORT)
    const { app, get } = play
    await settled(play)
    await app.cache.clear()
    const started = performance.now()
    const [, status] = await get('/other')
    if (performance.now() - started < 500) assert.equal(status, 'settling')
    await eventually('it is stored again', async () => (await get('/other'))[1] === 'hit')
  })

  it('lets those who come together share one run, and nobody else', async (t) => {
    const doors = [new Door(), new Door()]
    let at = 0
    const { runs, get } = await scene(t, LONG, {}, () => doors[Math.min(at, 1)]!.pass())
    const together = [get(), get(), get()]
    await doors[0]!.reached()
    await eventually('all have come', () => runs() === 1)
    doors[0]!.open()
    await Promise.all(together)
    const before = runs()
    assert.ok(before <= 3)
    at = 1
    doors[1]!.open()
    assert.deepEqual(await get(), [1, 'settling'])
    assert.equal(runs(), before + 1)
  })

  it('gives a run that began within the time to nobody who came after it', async (t) => {
    const door = new Door()
    let isFirst = false
    const pass = async (): Promise<void> => {
      if (!isFirst) return
      isFirst = false
      await door.pass()
    }
    const play = await scene(t, SHORT, {}, pass)
    const { app, database, get } = play
    await settled(play)
    database.write()
    await app.cache.invalidateTags(['x'])
    isFirst = true
    const early = get()
    await door.reached()
    database.replicate()
    await eventually('the time is over', async () => (await get('/late'))[1] === 'hit')
    const late = get()
    await eventually('it waits', () => app.cache.stats().flights === 1)
    door.open()
    assert.equal((await early)[0], 1)
    assert.equal((await late)[0], 2)
  })

  it('is told of an invalidation by the log as well', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const shared = { redis: server.url, namespace: 'shop' }
    const other = await openClient(t, shared)
    const play = await scene(t, SHORT, shared)
    const { app, database, get } = play
    await settled(play)
    database.write()
    await other.invalidateTags(['x'])
    await eventually('it has heard', () => app.cache.stats().log.seq === 1)
    const [version, status] = await get()
    if (status === 'settling') assert.equal(version, 1)
    database.replicate()
    await eventually('the new version is stored', async () => (await get())[1] === 'hit')
    assert.deepEqual(await get(), [2, 'hit'])
  })

  it('refuses what is no duration', async () => {
    const app = Fastify()
    await app.register(responseCache, { defaults: { ttl: '1h' } })
    const declare = (): unknown =>
      app.get('/', { config: { cache: { settle: 'soon' } } }, async () => 'a')
    assert.throws(declare, /GET \/: config\.cache\.settle must be a number of seconds/)
  })
})
