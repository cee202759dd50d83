// What the client tells of invalidations and tags, and what an invalidation would do.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, {
  type CacheClient,
  type NamedTag,
  type PreviewTarget,
  type ResponseCacheOptions,
} from '../../src/index.ts'
import { walk } from '../../src/client-oversight.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { openApp, openClient } from './apps.ts'

const INVALID = { code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT' }
const encryption = { keys: [{ id: 'a', secret: randomBytes(32) }] }

async function openSite(options: ResponseCacheOptions): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(responseCache, { defaults: { ttl: '1h' }, ...options })
  for (const kind of ['products', 'users']) {
    app.get<{ Params: { id: string } }>(
      `/${kind}/:id`,
      {
        config: {
          cache: { tags: (request) => [kind, `${kind}:${(request.params as { id: string }).id}`] },
        },
      },
      async ({ params }) => `${kind} ${params.id}`,
    )
  }
  await app.ready()
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  return app
}

onEachTier(
  'invalidations() has the newest first, of each its mode and tags',
  async (t, options) => {
    const client = await openClient(t, options)
    const before = Date.now()
    await client.invalidateTags(['a', 'b'], { mode: 'soft' })
    await client.invalidateUrl('/products/1')
    await client.invalidateRoute('/products/:id', { mode: 'purge' })
    await client.invalidatePattern('user:*')
    await client.namespace('drafts').clear()
    await client.clear()
    const seen = client.invalidations()
    const tag = (kind: string, name: string): object => ({ kind, name })
    assert.deepEqual(
      seen.map(({ mode, tags, count }) => [mode, tags, count]),
      [
        ['purge', 'all', 0],
        ['purge', [tag('space', 'drafts')], 1],
        ['expire', [tag('pattern', 'user:*')], 1],
        ['purge', [tag('route', '/products/:id')], 1],
        ['expire', [tag('path', '/products/1')], 1],
        ['soft', [tag('tag', 'a'), tag('tag', 'b')], 2],
      ],
    )
    assert.equal(seen[0]!.seq, client.stats().log.seq)
    assert.deepEqual(
      seen.map(({ seq }) => seq),
      [0, 1, 2, 3, 4, 5].map((ago) => seen[0]!.seq - ago),
    )
    for (const { at } of seen) assert.ok(at >= before && at <= Date.now())
  },
)

test('invalidations() keeps the last 100, and 20 tags of each', async (t) => {
  const client = await openClient(t)
  for (let n = 0; n < 120; n++) await client.invalidateTags([`t${n}`])
  await client.invalidateTags(Array.from({ length: 50 }, (_, n) => `many${n}`))
  const [latest, ...others] = client.invalidations()
  assert.equal(latest!.count, 50)
  assert.deepEqual(latest!.tags.at(-1), { kind: 'tag', name: 'many19' })
  assert.equal(latest!.tags.length, 20)
  assert.equal(others.length, 99)
  assert.deepEqual(others.at(-1)!.tags, [{ kind: 'tag', name: 't21' }])
})

/** Stores a value without invalidating its key, as `set` does. */
function keep(client: CacheClient, tag: string): Promise<unknown> {
  return client.getOrSet('value', () => 1, { ttl: '1h', tags: [tag] })
}

test('invalidations() has those of other processes; sealed ones by name where it is known', async (t) => {
  const options = await overRedis({ encryption })
  const [one, other] = [await openClient(t, options), await openClient(t, options)]
  await keep(other, 'known')
  await one.invalidateTags(['known', 'unknown'])
  await eventually('the other has seen it', () => other.invalidations().length === 1)
  assert.equal(await other.has('value'), false)
  const named = { kind: 'tag', name: 'known' }
  assert.deepEqual(one.invalidations()[0]!.tags, [named, { kind: 'tag', name: 'unknown' }])
  const { tags, count } = other.invalidations()[0]!
  const [known, sealed] = tags as NamedTag[]
  assert.equal(count, 2)
  assert.deepEqual(known, named)
  assert.equal(sealed!.kind, 'sealed')
  assert.match(sealed!.name, /^[\w-]{22}$/)
})

onEachTier(
  'tags() sorts by the last invalidation, then by entries in memory',
  async (t, options) => {
    const app = await openSite(options)
    t.after(() => app.close())
    for (const id of [1, 2, 3]) await app.inject(`/products/${id}`)
    for (const id of [1, 2]) await app.inject(`/users/${id}`)
    await app.cache.invalidateTags(['users:1'])
    await app.cache.invalidateTags(['elsewhere'])
    const { seq } = app.cache.stats().log
    const states = await app.cache.tags()
    const inMemory = options.memory === false ? 0 : 1
    const [elsewhere, first, ...rest] = states
    const at = app.cache.invalidations().map((seen) => seen.at)
    assert.deepEqual(elsewhere, {
      ...{ kind: 'tag', name: 'elsewhere', lastInvalidated: seq },
      ...{ at: at[0], entries: 0 },
    })
    assert.deepEqual(first, {
      ...{ kind: 'tag', name: 'users:1', lastInvalidated: seq - 1 },
      ...{ at: at[1], entries: 0 },
    })
    const counts = rest
      .filter(({ kind }) => kind === 'tag')
      .map(({ name, entries }) => [name, entries])
    const expected = [
      ['products', 3],
      ['products:1', 1],
      ['products:2', 1],
      ['products:3', 1],
    ]
    assert.deepEqual(counts, inMemory ? [...expected, ['users', 1], ['users:2', 1]] : [])
    const route = rest.find(({ kind, name }) => kind === 'route' && name === '/products/:id')
    assert.equal(route?.entries, inMemory ? 3 : undefined)
    assert.ok(rest.every((each) => each.lastInvalidated === 0 && each.at === undefined))
  },
)

test('tags() takes a part of the name, in upper or lower case, and a limit', async (t) => {
  const client = await openClient(t)
  for (const tag of ['Product:1', 'product:2', 'user:1']) {
    await client.getOrSet(`key-${tag}`, () => 1, { tags: [tag, 'all'] })
  }
  await client.invalidateTags(['product:9', 'user:9'])
  const names = async (options: object): Promise<string[]> =>
    (await client.tags(options)).map(({ kind, name }) => `${kind} ${name}`)
  const matching = ['tag product:9', 'tag Product:1', 'tag product:2', 'key key-Product:1']
  assert.deepEqual(await names({ match: 'PRODUCT' }), [...matching, 'key key-product:2'])
  assert.deepEqual(await names({ match: 'prod', limit: 2 }), matching.slice(0, 2))
  assert.deepEqual(await names({ limit: 3 }), ['tag product:9', 'tag user:9', 'tag all'])
  // No part of any name, though it stands in front of them in the log.
  assert.deepEqual(await names({ match: '=' }), [])
  for (const wrong of [
    { limit: 0 },
    { limit: 1.5 },
    { limit: 1001 },
    { match: 5 },
    { like: 'a' },
  ]) {
    await assert.rejects(client.tags(wrong as object), INVALID)
  }
})

test('tags() knows sealed tags by those of entries in memory, and by no other means', async (t) => {
  const options = await overRedis({ encryption })
  const [one, other] = [await openClient(t, options), await openClient(t, options)]
  await other.invalidateTags(['foreign'])
  await other.invalidateTags(['mine'])
  await eventually('seen', () => one.invalidations().length === 2)
  const kinds = async (): Promise<string[]> => (await one.tags()).map(({ kind }) => kind)
  assert.deepEqual(await kinds(), ['sealed', 'sealed'])
  await keep(one, 'mine')
  assert.deepEqual(await kinds(), ['tag', 'sealed', 'key'])
  const [mine] = await one.tags()
  assert.deepEqual([mine!.name, mine!.entries, mine!.at], ['mine', 1, one.invalidations()[0]!.at])
})

/** Puts nine responses and a value into memory. */
async function fill(app: FastifyInstance): Promise<void> {
  for (const id of [1, 2, 3]) {
    await app.inject(`/products/${id}`)
    await app.inject(`/products/${id}?full`)
    await app.inject(`/users/${id}`)
  }
  await app.cache.set('products', 1, { tags: ['products'] })
}

test('preview() tells what an invalidation makes unusable, and so it is then', async () => {
  const targets = [
    { tag: 'products' },
    { tags: ['products:1', 'users:3'] },
    { url: '/products/2' },
    { url: '/products/2?full' },
    { url: 'https://anywhere/products/2#top' },
    { route: '/users/:id' },
    { pattern: '/products/[12]' },
    { pattern: 'prod*' },
    { tag: 'nothing' },
  ]
  const entries: [number, object][] = []
  for (const target of targets) {
    const app = await openSite({})
    await fill(app)
    const { memory, log } = app.cache.stats()
    const told = await app.cache.preview(target as PreviewTarget)
    assert.ok(told.complete)
    assert.equal(app.cache.stats().log.seq, log.seq)
    const usable = async (): Promise<number> => {
      let count = Number((await app.cache.get('products')) === 1)
      for (const { url } of PAGES) {
        const [found] = await app.cache.inspect({ url })
        if (found?.state === 'fresh') count++
      }
      return count
    }
    assert.equal(await usable(), 10)
    await invalidate(app, target)
    assert.equal(await usable(), 10 - told.entries)
    assert.deepEqual(told.tags, app.cache.invalidations()[0]!.tags)
    assert.ok(told.bytes <= memory!.bytes && told.bytes >= told.entries * 1000)
    entries.push([told.entries, told.routes])
    // What it has done already, it would not do again.
    assert.equal((await app.cache.preview(target as PreviewTarget)).entries, 0)
    await app.close()
  }
  const [products, users, values] = ['/products/:id', '/users/:id', '(values)']
  assert.deepEqual(entries, [
    [7, { [products!]: 6, [values!]: 1 }],
    [3, { [products!]: 2, [users!]: 1 }],
    [2, { [products!]: 2 }],
    [1, { [products!]: 1 }],
    [2, { [products!]: 2 }],
    [3, { [users!]: 3 }],
    [4, { [products!]: 4 }],
    [1, { [values!]: 1 }],
    [0, {}],
  ])
})

test('preview() of a soft invalidation tells what it makes stale', async (t) => {
  const app = await openApp(t, { defaults: { ttl: '1h', staleWhileRevalidate: '1h' } })
  await app.cache.getOrSet('a', () => 1, { tags: ['x', 'y'] })
  await app.cache.getOrSet('b', () => 1, { tags: ['x'] })
  const count = async (tag: string, mode: 'soft' | 'expire'): Promise<number> =>
    (await app.cache.preview({ tag }, { mode })).entries
  assert.equal(await count('x', 'soft'), 2)
  await app.cache.invalidateTags(['y'], { mode: 'soft' })
  assert.deepEqual([await count('x', 'soft'), await count('x', 'expire')], [1, 2])
  await assert.rejects(app.cache.preview({ tag: 'x' }, { mode: 'hard' as never }), INVALID)
})

const PAGES = [1, 2, 3].flatMap((id) => [
  { url: `/products/${id}?` },
  { url: `/products/${id}?full` },
  { url: `/users/${id}` },
])

async function invalidate(app: FastifyInstance, target: object): Promise<void> {
  const { tag, tags, url, route, pattern } = target as Record<string, never>
  if (tag !== undefined) await app.cache.invalidateTags([tag])
  if (tags !== undefined) await app.cache.invalidateTags(tags)
  if (url !== undefined) await app.cache.invalidateUrl(url)
  if (route !== undefined) await app.cache.invalidateRoute(route)
  if (pattern !== undefined) await app.cache.invalidatePattern(pattern)
}

test('preview() rejects what the invalidation would reject', async (t) => {
  const { cache } = await openApp(t)
  const wrong: [target: object | undefined, own: (() => Promise<void>) | RegExp][] = [
    [{ tag: '' }, () => cache.invalidateTags([''])],
    [{ tags: 'a' }, () => cache.invalidateTags('a' as never)],
    [{ tags: ['\ud800'] }, () => cache.invalidateTags(['\ud800'])],
    [{ url: '' }, () => cache.invalidateUrl('')],
    [{ route: 5 }, () => cache.invalidateRoute(5 as never)],
    [{ pattern: '[a' }, () => cache.invalidatePattern('[a')],
    [{}, /preview takes one of/],
    [undefined, /preview takes one of/],
    [{ tag: 'a', url: '/' }, /preview takes one of/],
    [{ key: 'a' }, /preview takes one of/],
  ]
  for (const [target, own] of wrong) {
    const error = await cache.preview(target as never).then(
      () => assert.fail('was accepted'),
      (each: Error) => each,
    )
    assert.equal((error as Error & { code: string }).code, INVALID.code)
    if (own instanceof RegExp) assert.match(error.message, own)
    else await assert.rejects(own(), { message: error.message })
  }
})

test('a large memory is walked as a small one', async (t) => {
  const client = await openClient(t)
  const count = 2500
  for (let n = 0; n < count; n++) await client.getOrSet(`key:${n}`, () => n, { tags: ['all'] })
  const told = await client.preview({ pattern: '*9' })
  assert.deepEqual([told.entries, told.complete], [count / 10, true])
  assert.equal((await client.tags({ limit: 1000 })).length, 1000)
  assert.equal((await client.tags())[0]!.entries, count)
})

test('who walks lets others have their turn, and ends after the most that was asked for', async (t) => {
  let turns = 0
  const timer = setInterval(() => turns++)
  t.after(() => clearInterval(timer))
  let visited = 0
  const items = new Set([0])
  await walk(items, 640, (item) => {
    visited++
    items.add(item + 1)
    const end = performance.now() + 0.2
    while (performance.now() < end);
  })
  assert.equal(visited, 640)
  assert.ok(turns >= 5, `${turns} turns`)
})

test('values that are written are at most half of what invalidations() has', async (t) => {
  const client = await openClient(t)
  await client.invalidateTags(['first'])
  for (let n = 0; n < 200; n++) await client.set(`key${n}`, n)
  const kinds = client.invalidations().map(({ tags }) => (tags as NamedTag[])[0]!.kind)
  assert.deepEqual(kinds, [...Array(50).fill('key'), 'tag'])
  for (let n = 0; n < 200; n++) await client.invalidateTags([`t${n}`])
  assert.equal(client.invalidations().length, 100)
  assert.ok(client.invalidations().every(({ tags }) => (tags as NamedTag[])[0]!.kind === 'tag'))
})
