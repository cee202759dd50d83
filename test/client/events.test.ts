import assert from 'node:assert/strict'
import { type TestContext, after, before, describe, it } from 'node:test'

import { type CacheClient, EventError, InvalidArgumentError } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'

declare module '../../src/events.ts' {
  interface CacheEvents {
    'account.updated': { id: number }
  }
}

async function fill(cache: CacheClient): Promise<void> {
  for (const tag of ['a', 'b', 'c']) await cache.set(tag, 1, { tags: [tag] })
}

async function left(cache: CacheClient): Promise<string> {
  return [...(await cache.getMany(['a', 'b', 'c'])).keys()].join('')
}

function eventsContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('invalidate what all mappings of the event say, and no others', async (t) => {
    const cache = await open(t)
    cache.on('changed', (data: { tag: string }) => [data.tag])
    cache.on('changed', async () => ['b'])
    cache.on('other', () => ['c'])
    await fill(cache)
    await cache.emit('changed', { tag: 'a' })
    assert.equal(await left(cache), 'c')
  })

  it('end with what `on` returned, each by itself', async (t) => {
    const cache = await open(t)
    const mapping = (): string[] => ['a']
    const endFirst = cache.on('changed', mapping)
    const endSecond = cache.on('changed', mapping)
    endFirst()
    endFirst()
    await fill(cache)
    await cache.emit('changed')
    assert.equal(await left(cache), 'bc')
    endSecond()
    await assert.rejects(cache.emit('changed'), EventError)
    cache.on('changed', () => ['b'])
    endSecond()
    await cache.emit('changed')
    assert.equal(await left(cache), 'c')
  })

  it('without a mapping in this process are refused', async (t) => {
    const cache = await open(t)
    await assert.rejects(cache.emit('unheard'), (error) => {
      assert.ok(error instanceof EventError)
      assert.equal(error.code, 'FST_RESPONSE_CACHE_EVENT_FAILED')
      assert.match(error.message, /nothing in this process maps the event 'unheard'/)
      return true
    })
  })

  it('reject when a mapping fails; what the others say is invalid', async (t) => {
    const cache = await open(t)
    const broken = new Error('broken')
    cache.on('changed', () => {
      throw broken
    })
    cache.on('changed', () => ['a'])
    await fill(cache)
    await assert.rejects(
      cache.emit('changed'),
      (error) => error instanceof EventError && error.cause === broken,
    )
    assert.equal(await left(cache), 'bc')
    cache.on('changed', (() => 'b') as unknown as () => string[])
    cache.on('changed', () => [''])
    cache.on('changed', () => Promise.reject(broken))
    await assert.rejects(cache.emit('changed'), (error) => {
      assert.ok(error instanceof EventError && error.cause instanceof AggregateError)
      assert.equal(error.cause.errors.length, 4)
      return true
    })
  })

  it('refuse what cannot be meant', async (t) => {
    const cache = await open(t)
    assert.throws(() => cache.on('', () => []), InvalidArgumentError)
    assert.throws(() => cache.on('a', 5 as unknown as () => []), InvalidArgumentError)
    cache.on('a', () => ['a'])
    const mode = 'hard' as 'soft'
    await assert.rejects(cache.emit('a', 1, { mode }), InvalidArgumentError)
  })

  it('that are declared have data of that type, and others any', async (t) => {
    const cache = await open(t)
    cache.on('account.updated', ({ id }) => [`user:${id.toFixed(0)}`])
    // @ts-expect-error: the data of this event has no name
    cache.on('account.updated', (data: { name: string }) => [data.name])
    // @ts-expect-error: nor is it a text
    await assert.rejects(cache.emit('account.updated', 'a'), EventError)
    cache.on('undeclared', (data: { name: string }) => [data.name])
    await cache.emit('undeclared', { name: 'a' })
  })
}

describe('events in memory', () => {
  eventsContract((t) => openClient(t))
})

describe('events with Redis', () => {
  let server: RedisServer
  let namespaces = 0
  before(async () => (server = await startRedis()))
  after(() => server.stop())
  const options = (): { redis: string; namespace: string } => ({
    redis: server.url,
    namespace: `events${namespaces}`,
  })
  eventsContract((t) => {
    namespaces++
    return openClient(t, options())
  })

  it('invalidate in processes that know nothing of them', async (t) => {
    namespaces++
    const one = await openClient(t, options())
    const two = await openClient(t, options())
    one.on('changed', () => ['a'])
    await fill(two)
    await one.emit('changed')
    await eventually('it is forgotten', async () => (await left(two)) === 'bc')
  })

  it('reject with both errors when a mapping fails and Redis is away', async (t) => {
    const own = await startRedis()
    t.after(() => own.stop())
    const cache = await openClient(t, { redis: own.url, namespace: 'away' })
    cache.on('changed', () => ['a'])
    cache.on('changed', () => Promise.reject(new Error('broken')))
    await own.kill()
    await assert.rejects(cache.emit('changed'), (error) => {
      assert.ok(error instanceof EventError && error.cause instanceof AggregateError)
      assert.match(error.message, /broken; The invalidation of one tag is not confirmed/)
      return true
    })
  })
})
