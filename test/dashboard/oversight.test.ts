import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { FastifyInstance } from 'fastify'

import type { InvalidationPreview, State, TagState } from '../../src/dashboard/messages.ts'
import type { Client } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { PREFIX, ask, startDashboard, watch } from './watching.ts'

const addProducts = (app: FastifyInstance): void => {
  const cache = { tags: (request: { url: string }) => ['products', `product:${request.url}`] }
  app.get('/products/:id', { config: { cache } }, () => 'text')
}

async function get<Told>(client: Client, path: string): Promise<Told> {
  const { status, text } = await client.get(`${PREFIX}/api/${path}`)
  assert.equal(status, 200, text)
  return JSON.parse(text) as Told
}

describe('The dashboard tells', () => {
  it('what an invalidation would do, and does it only when it is asked to', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    for (const id of ['1', '2']) await client.get(`/products/${id}`)
    const WAYS: [by: string, value: string, entries: number][] = [
      ['tag', 'products', 2],
      ['tag', 'product:/products/1', 1],
      ['tag', 'nobody has it', 0],
      ['url', '/products/1', 1],
      ['route', '/products/:id', 2],
      ['pattern', '/products/*', 2],
    ]
    for (const [by, value, entries] of WAYS) {
      const preview = JSON.parse((await ask(client, 'preview', { by, value })).text)
      const { routes, complete, tags } = preview as InvalidationPreview
      assert.equal(preview.entries, entries, value)
      assert.deepEqual(routes, entries === 0 ? {} : { '/products/:id': entries })
      assert.deepEqual([complete, tags.length > 0], [true, true])
    }
    assert.match(String((await client.get('/products/1')).headers['cache-status']), /; hit/)
  })

  it('which tags there are, and when they were last invalidated', async (t) => {
    const client = await startDashboard(t, { build: addProducts })
    for (const id of ['1', '2']) await client.get(`/products/${id}`)
    const before = await get<TagState[]>(client, 'tags?q=PRODUCTS')
    const named = ({ kind, name }: TagState): boolean => kind === 'tag' && name === 'products'
    const { entries, lastInvalidated } = before.find(named)!
    assert.deepEqual([entries, lastInvalidated], [2, 0])
    assert.deepEqual(await get(client, 'tags?q=nothing'), [])
    await ask(client, 'invalidate', { by: 'tag', value: 'products' })
    const [first] = await get<TagState[]>(client, 'tags')
    assert.deepEqual([first!.name, first!.lastInvalidated, first!.entries], ['products', 1, 0])
    const { invalidations } = await get<State>(client, 'state')
    assert.equal(invalidations.length, 1)
    const [{ seq, mode, tags }] = invalidations as [State['invalidations'][0]]
    assert.deepEqual([seq, mode, tags], [1, 'expire', [{ kind: 'tag', name: 'products' }]])
  })

  it('of many invalidations the last fifty, and of each at most ten tags', async (t) => {
    let cache!: FastifyInstance['cache']
    const client = await startDashboard(t, { build: (app) => void (cache = app.cache) })
    const tags = Array.from({ length: 12 }, (_, at) => `tag ${at}`)
    for (let time = 0; time < 60; time++) await cache.invalidateTags(tags)
    await cache.clear()
    const { invalidations } = await get<State>(client, 'state')
    assert.equal(invalidations.length, 50)
    assert.equal(invalidations[0]!.tags, 'all')
    assert.deepEqual([invalidations[1]!.tags.length, invalidations[1]!.count], [10, 12])
  })

  it('which processes there are: each that has a dashboard announces itself', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const cache = { redis: redis.url, namespace: 'shop' }
    const options = { unprotected: true, intervalMs: 250 }
    const one = await startDashboard(t, { cache, options })
    const two = await startDashboard(t, { cache, options })
    const watcher = await watch(two)
    t.after(() => watcher.close())
    const told = (): State['processes'] => watcher.told.at(-1)!.data.processes
    await eventually('both are told', () => told().length === 2, 20_000)
    assert.deepEqual(
      told().map(({ self }) => self),
      [true, false],
    )
    assert.equal(new Set(told().map(({ id }) => id)).size, 2)
    assert.equal((await get<State>(one, 'state')).processes.filter(({ self }) => self).length, 1)
  })
})
