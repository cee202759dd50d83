import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'

import type { FastifyInstance } from 'fastify'

import { InvalidArgumentError, type InvalidateOptions } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openApp } from './apps.ts'

type Open = (t: TestContext) => Promise<FastifyInstance>

async function there(app: FastifyInstance, ...keys: string[]): Promise<string[]> {
  return [...(await app.cache.getMany(keys)).keys()]
}

function patternsContract(open: Open): void {
  it('invalidate the keys that match, and no others', async (t) => {
    const app = await open(t)
    const keys = ['user:1', 'user:2', 'users', 'a/user:1', `user:${'x'.repeat(100)}`]
    await app.cache.setMany(keys.map((key) => [key, 1]))
    await app.cache.invalidatePattern('user:*')
    assert.deepEqual(await there(app, ...keys), ['users', 'a/user:1'])
    await app.cache.set('user:1', 2)
    assert.equal(await app.cache.get('user:1'), 2, 'what is set later is valid')
  })

  it('of a namespace leave the keys of others alone, and those of the top leave namespaces alone', async (t) => {
    const { cache } = await open(t)
    const users = cache.namespace('users')
    const drafts = users.namespace('drafts')
    for (const client of [cache, users, drafts]) await client.set('a1', 1)
    await users.set('b1', 1)
    await users.invalidatePattern('a*')
    const found = (): Promise<boolean[]> =>
      Promise.all([cache.has('a1'), users.has('a1'), users.has('b1'), drafts.has('a1')])
    assert.deepEqual(await found(), [true, false, true, true])
    await cache.invalidatePattern('*')
    assert.deepEqual(await found(), [false, false, true, true])
  })

  it('of a namespace with keys of its own mean all that is in it, and no other', async (t) => {
    const { cache } = await open(t)
    const keys = [{ id: 'a', secret: 'kSp0cD4eF7gH1iJ9kL2mN8oP3qR6sT5uVwXyZ' }]
    const sealed = cache.namespace('sealed', { encryption: { keys } })
    const users = cache.namespace('users')
    for (const client of [sealed, users]) await client.setMany([['a', 1] as const, ['b', 1]])
    await users.invalidatePattern('a')
    assert.deepEqual([...(await sealed.getMany(['a', 'b'])).keys()], ['a', 'b'])
    await sealed.invalidatePattern('a')
    assert.deepEqual([...(await sealed.getMany(['a', 'b'])).keys()], [])
    assert.deepEqual([...(await users.getMany(['a', 'b'])).keys()], ['b'])
  })

  it('keep a computation that began before from being stored', async (t) => {
    const { cache } = await open(t)
    let runs = 0
    const make = async (): Promise<number> => {
      if (runs++ === 0) await cache.invalidatePattern('us?r:[0-9]')
      return runs
    }
    assert.equal(await cache.getOrSet('user:1', make), 1)
    assert.equal(await cache.getOrSet('user:1', make), 2)
    assert.equal(await cache.getOrSet('user:1', make), 2)
  })

  it('and clear() of a namespace also keep what was written through meanwhile from being stored', async (t) => {
    const { cache } = await open(t)
    const users = cache.namespace('users')
    const meanwhile: [string, () => Promise<void>, boolean][] = [
      ['a1', () => users.invalidatePattern('a*'), false],
      ['a2', () => users.clear(), false],
      ['a3', () => users.invalidatePattern('b*'), true],
      ['a4', () => cache.invalidatePattern('*'), true],
    ]
    for (const [key, invalidate, isKept] of meanwhile) {
      assert.equal(
        await users.writeThrough(key, async () => {
          await invalidate()
          return 'written'
        }),
        'written',
      )
      assert.equal(await users.has(key), isKept, key)
    }
  })

  it('refuse what is no pattern', async (t) => {
    const { cache } = await open(t)
    const wrong: [unknown, InvalidateOptions, RegExp][] = [
      ['', {}, /a pattern must not be empty/],
      [5, {}, /a pattern must be a string/],
      ['[a', {}, /has a \[ without \]/],
      ['a\\', {}, /ends in/],
      ['x'.repeat(1025), {}, /longer than 1024/],
      ['a', { mode: 'hard' as 'soft' }, /mode must be/],
    ]
    for (const [pattern, options, message] of wrong) {
      await assert.rejects(
        cache.invalidatePattern(pattern as string, options),
        (error) => error instanceof InvalidArgumentError && message.test(error.message),
      )
    }
  })
}

/** Counts the runs of its handler by path. */
function countRuns(app: FastifyInstance): Map<string, number> {
  const runs = new Map<string, number>()
  const config = { cache: { ttl: '1h', staleWhileRevalidate: '1h' } } as const
  app.get('/*', { config }, async (request) => {
    const path = request.url.split('?')[0]!
    runs.set(path, (runs.get(path) ?? 0) + 1)
    return path
  })
  return runs
}

describe('patterns in memory', () => {
  patternsContract((t) => openApp(t))
})

describe('patterns with Redis and encryption', () => {
  let server: RedisServer
  let namespaces = 0
  before(async () => (server = await startRedis()))
  after(() => server.stop())
  const keys = [{ id: 'k', secret: 'Zt9yQ4rW7eU1iO8pA2sD5fG6hJ3kL0xCvBnM' }]
  patternsContract((t) =>
    openApp(t, { redis: server.url, namespace: `sealed${++namespaces}`, encryption: { keys } }),
  )
})

describe('patterns with Redis', () => {
  let server: RedisServer
  let namespaces = 0
  before(async () => (server = await startRedis()))
  after(() => server.stop())
  const options = (): { redis: string; namespace: string } => ({
    redis: server.url,
    namespace: `patterns${namespaces}`,
  })

  function open(t: TestContext): Promise<FastifyInstance> {
    namespaces++
    return openApp(t, options())
  }
  patternsContract(open)

  it('reach other processes, and those that load the log later', async (t) => {
    const one = await open(t)
    const two = await openApp(t, options())
    await one.cache.setMany(['user:1', 'order:1'].map((key) => [key, 1]))
    assert.deepEqual(await there(two, 'user:1', 'order:1'), ['user:1', 'order:1'])
    await one.cache.invalidatePattern('user:*')
    await eventually('it is forgotten', async () => !(await two.cache.has('user:1')))
    assert.equal(await two.cache.has('order:1'), true)
    const three = await openApp(t, options())
    assert.deepEqual(await there(three, 'user:1', 'order:1'), ['order:1'])
    assert.equal(await server.client().exists(`${options().namespace}#d:user:1`), 1, 'lazily')
  })
})

for (const withRedis of [false, true]) {
  describe(`patterns of paths, ${withRedis ? 'with Redis' : 'in memory'}`, () => {
    it('invalidate the responses that match, with every query, in any mode', async (t) => {
      const server = withRedis ? await startRedis() : undefined
      if (server) t.after(() => server.stop())
      const { default: Fastify } = await import('fastify')
      const { default: responseCache } = await import('../../src/index.ts')
      const app = Fastify()
      t.after(() => app.close())
      await app.register(responseCache, server ? { redis: server.url, namespace: 'shop' } : {})
      const runs = countRuns(app)
      await app.ready()
      await eventually('the log is loaded', () => app.cache.stats().log.verified)
      const status = async (url: string): Promise<string> =>
        String((await app.inject(url)).headers['cache-status'])
      const long = `/products/${'x'.repeat(100)}`
      const all = ['/products/1?page=1', '/products/1', long, '/articles/1']
      for (const url of all) await status(url)
      for (const url of all) assert.match(await status(url), /; hit/)
      await app.cache.invalidatePattern('/products/*')
      for (const url of all.slice(0, 3)) assert.match(await status(url), /; fwd=/)
      assert.match(await status('/articles/1'), /; hit/)
      assert.equal(runs.get('/products/1'), 4)
      await app.cache.invalidatePattern('/art*', { mode: 'soft' })
      assert.match(await status('/articles/1'), /; hit/)
      await eventually('it was refreshed', () => runs.get('/articles/1') === 2)
    })
  })
}
