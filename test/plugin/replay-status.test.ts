// What a response says of the cache: Cache-Status, Age, X-Cache, Cache-Control, and the same in the
// request's own hooks.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'

import type { CacheStatus, RouteStats } from '../../src/index.ts'
import { assertBypass, assertHit, assertStored, statusOf } from '../support/assert-status.ts'
import { start } from '../support/app.ts'

test('Age grows and ttl falls by whole seconds until the response is stale', async (t) => {
  // Fixed before the cache looks at it; timers stay real.
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { ttl: 10 } } }, async () => 'page')
  })
  const miss = await client.get('/x')
  assertStored(miss)
  assert.equal(miss.headers.age, undefined, 'what the handler has just made has no age')
  for (const [later, age, ttl] of [
    [0, '0', 10],
    [999, '0', 9],
    [1, '1', 9],
    [8500, '9', 0],
    [499, '9', 0],
  ] as const) {
    mock.timers.tick(later)
    const hit = await client.get('/x')
    assert.deepEqual([hit.headers.age, statusOf(hit)], [age, { hit: true, ttl }])
  }
  mock.timers.tick(1)
  assertStored(await client.get('/x'), 'stale')
  assertHit(await client.get('/x'))
})

test('a clock set back does not make a response live longer than its lifetime by much', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { ttl: 10 } } }, async () => 'page')
  })
  assertStored(await client.get('/x'))
  mock.timers.setTime(1_700_000_000_000 - 3_600_000)
  assertStored(await client.get('/x'), 'stale')
})

test('the fields of a hit are made anew when another second begins, also for HEAD', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { ttl: 10 } } }, async () => 'page')
  })
  assertStored(await client.get('/x'))
  for (const method of ['GET', 'HEAD', 'GET']) {
    mock.timers.tick(1000)
    const age = (Date.now() - 1_700_000_000_000) / 1000
    const hit = await client.send(method, '/x')
    assert.deepEqual([hit.headers.age, statusOf(hit).ttl], [String(age), 10 - age])
  }
})

test("statusHeader 'x-cache' adds X-Cache to every answer of a cached route", async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get('/x', { config: { cache: true } }, async () => 'page')
      app.get('/uncached', async () => 'page')
    },
    { cache: { statusHeader: 'x-cache' } },
  )
  const told: unknown[] = []
  for (const headers of [{}, {}, { cookie: 'a=b' }]) {
    const answer = await client.get('/x', headers)
    told.push(answer.headers['x-cache'])
    assert.ok(answer.headers['cache-status'])
  }
  told.push((await client.head('/x')).headers['x-cache'])
  assert.deepEqual(told, ['MISS', 'HIT', 'BYPASS', 'HIT'])
  const uncached = await client.get('/uncached')
  assert.deepEqual(
    [uncached.headers['x-cache'], uncached.headers['cache-status']],
    [undefined, undefined],
  )
})

test('statusHeader false tells nothing, and caches all the same', async (t) => {
  let runs = 0
  const client = await start(
    t,
    (app) => {
      app.get('/x', { config: { cache: true } }, async () => `run ${++runs}`)
    },
    { cache: { statusHeader: false } },
  )
  for (const headers of [{}, {}, { cookie: 'a=b' }]) {
    const answer = await client.get('/x', headers)
    assert.deepEqual(
      [answer.headers['cache-status'], answer.headers['x-cache']],
      [undefined, undefined],
    )
  }
  assert.equal(runs, 2)
})

test('by default there is no X-Cache', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  await client.get('/x')
  assert.equal((await client.get('/x')).headers['x-cache'], undefined)
})

test('clientCacheControl goes with stored answers and hits, not with errors nor bypassed answers', async (t) => {
  const client = await start(t, (app) => {
    const cache = {
      ttl: '1h',
      clientCacheControl: 'public, max-age=7',
      statuses: { 404: true },
    } as const
    app.get('/:what', { config: { cache } }, async (request, reply) => {
      const { what } = request.params as { what: string }
      if (what === 'error') throw new Error('broken')
      if (what === 'private') void reply.header('cache-control', 'private')
      if (what === 'own') void reply.header('cache-control', 'max-age=1')
      if (what === 'skipped') reply.cacheSkip()
      if (what === '404') void reply.code(404)
      if (what === '500') void reply.code(500)
      return what
    })
  })
  const expected = {
    page: 'public, max-age=7',
    '404': 'public, max-age=7',
    own: 'max-age=1',
    private: 'private',
    error: undefined,
    '500': undefined,
    skipped: undefined,
  }
  for (const round of ['cold', 'warm']) {
    for (const [what, field] of Object.entries(expected)) {
      assert.equal(
        (await client.get(`/${what}`)).headers['cache-control'],
        field,
        `${what}, ${round}`,
      )
    }
  }
  const own = await client.get('/page', { authorization: 'Bearer x' })
  assertBypass(own, 'authorization')
  assert.equal(own.headers['cache-control'], undefined)
  assert.equal((await client.head('/page')).headers['cache-control'], 'public, max-age=7')
})

test('request.cacheStatus in onResponse is what Cache-Status said', async (t) => {
  const seen: (CacheStatus | undefined)[] = []
  const client = await start(t, (app) => {
    app.addHook('onResponse', async (request) => {
      seen.push(request.cacheStatus)
    })
    app.get('/x', { config: { cache: true } }, async () => 'page')
    app.get('/error', { config: { cache: true } }, async () => {
      throw new Error('broken')
    })
    app.get('/stream', { config: { cache: true } }, async () => new Blob(['page']).stream())
    app.get('/uncached', async () => 'page')
  })
  const requests: [string, string, Record<string, string>][] = [
    ['GET', '/x', {}],
    ['GET', '/x', {}],
    ['HEAD', '/x', {}],
    ['GET', '/x', { cookie: 'a=b' }],
    ['HEAD', '/x?other', {}],
    ['GET', '/error', {}],
    ['GET', '/stream', {}],
  ]
  for (const [method, path, headers] of requests) {
    seen.length = 0
    const told = statusOf(await client.send(method, path, { headers }))
    const { tier, message, hit, ...status } = seen[0]!
    assert.equal(hit, told.hit ?? false)
    const { hit: _hit, ...rest } = told
    assert.deepEqual(status, rest, `${method} ${path}`)
    assert.equal(tier, hit ? 'memory' : undefined)
    assert.equal(message, undefined)
  }
  seen.length = 0
  await client.get('/uncached')
  assert.deepEqual(seen, [undefined])
})

test('each request counts exactly once in the statistics of its route', async (t) => {
  let stats = (): Partial<RouteStats> => ({})
  const client = await start(t, (app) => {
    stats = () => app.cache.stats().routes['/x']!
    app.get('/x', { config: { cache: true } }, async (request) => {
      if ((request.query as { fail?: string }).fail !== undefined) throw new Error('broken')
      return 'page'
    })
  })
  await client.get('/x')
  await client.get('/x')
  await client.head('/x')
  await client.get('/x', { cookie: 'a=b' })
  await client.get('/x?fail')
  const { ageAtHit, latency, savedMs, ...counts } = stats()
  assert.equal(ageAtHit!.count, 2)
  assert.equal(latency!.miss.count, 2)
  assert.ok(savedMs! >= 0)
  assert.deepEqual(counts, {
    hits: 2,
    stale: 0,
    hitsByTier: { memory: 2, redis: 0 },
    collapsed: 0,
    misses: 2,
    missesByReason: { 'uri-miss': 2 },
    bypassed: 1,
    bypassedByReason: { cookie: 1 },
    revalidated: 0,
    stored: 1,
    notStored: 1,
    notStoredByReason: { error: 1 },
    bytesServed: 4,
    coalescing: 'on',
  })
})
