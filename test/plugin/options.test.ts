// A bad value is an error at registration that names the route, the option and the value.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { InvalidOptionError, type ResponseCacheOptions } from '../../src/index.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { start } from '../support/app.ts'

/** All of them appear in the message. */
type Parts = readonly string[]

function assertNames(error: unknown, parts: Parts): true {
  assert.ok(error instanceof InvalidOptionError, String(error))
  assert.ok(error instanceof TypeError)
  assert.equal((error as { code: string }).code, 'FST_RESPONSE_CACHE_INVALID_OPTION')
  for (const part of parts)
    assert.ok(error.message.includes(part), `'${part}' in: ${error.message}`)
  return true
}

async function withCache(options: ResponseCacheOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(responseCache, options)
  return app
}

const DURATIONS: [unknown, string][] = [
  [0, '0'],
  [-1, '-1'],
  [Number.NaN, 'NaN'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
  [2 ** 53, '9007199254740992'],
  [315_576_001, '315576001'],
  ['5 parsecs', "'5 parsecs'"],
  ['', "''"],
  ['60', "'60'"],
  ['-5m', "'-5m'"],
  ['0s', "'0s'"],
  ['forever', "'forever'"],
  ['5m 3s', "'5m 3s'"],
  [' ', "' '"],
  [null, 'null'],
  [{}, 'an object'],
  [[60], '[60]'],
  [true, 'true'],
  [60n, '60'],
  [new Date(0), 'an object'],
]

const ROUTE_OPTIONS: [Record<string, unknown>, Parts][] = [
  ...DURATIONS.flatMap(([value, shown]): [Record<string, unknown>, Parts][] => [
    [{ ttl: value }, ['config.cache.ttl must be', `got ${shown}`]],
    [
      { ttl: 1, staleWhileRevalidate: value },
      ['config.cache.staleWhileRevalidate must be', `got ${shown}`],
    ],
    [{ ttl: 1, staleIfError: value }, ['config.cache.staleIfError must be', `got ${shown}`]],
    ...(value === true
      ? []
      : [
          [
            { ttl: 1, statuses: { 404: value } },
            ['config.cache.statuses.404 must be', `got ${shown}`],
          ] as [Record<string, unknown>, Parts],
        ]),
  ]),
  [{}, ['config.cache.ttl is missing', 'defaults']],
  [{ ttl: undefined }, ['config.cache.ttl is missing']],
  [{ ttl: 1, tags: 'a' }, ['config.cache.tags must be', "got 'a'"]],
  [{ ttl: 1, tags: ['a', 7] }, ['config.cache.tags must be', "['a', 7]"]],
  [{ ttl: 1, tags: [''] }, ['config.cache.tags', "['']"]],
  [{ ttl: 1, tags: ['x'.repeat(1025)] }, ['config.cache.tags', '1024']],
  [{ ttl: 1, tags: ['\ud800'] }, ['config.cache.tags', 'Unicode']],
  [{ ttl: 1, tags: null }, ['config.cache.tags must be', 'null']],
  [{ ttl: 1, tags: Array.from({ length: 257 }, (_, n) => `t${n}`) }, ['config.cache.tags', '256']],
  [{ ttl: 1, vary: 'accept' }, ['config.cache.vary must be an object', "'accept'"]],
  [{ ttl: 1, vary: null }, ['config.cache.vary must be an object', 'null']],
  [{ ttl: 1, vary: { header: ['a'] } }, ['config.cache.vary.header is not an option', "'headers'"]],
  [{ ttl: 1, vary: { headers: 'accept' } }, ['config.cache.vary.headers must be', "'accept'"]],
  [{ ttl: 1, vary: { headers: [7] } }, ['config.cache.vary.headers must be', '[7]']],
  [{ ttl: 1, vary: { headers: ['no name'] } }, ['config.cache.vary.headers', "'no name'"]],
  [{ ttl: 1, vary: { headers: ['*'] } }, ['config.cache.vary.headers', "'*'"]],
  [{ ttl: 1, vary: { cookies: [''] } }, ['config.cache.vary.cookies must be']],
  [{ ttl: 1, vary: { by: 'user' } }, ['config.cache.vary.by must be a function', "'user'"]],
  [{ ttl: 1, vary: { query: ['a'] } }, ['config.cache.vary.query must be an object']],
  [
    { ttl: 1, vary: { query: { ignores: ['a'] } } },
    ['config.cache.vary.query.ignores', "'ignore'"],
  ],
  [{ ttl: 1, vary: { query: { only: 'a' } } }, ['config.cache.vary.query.only must be', "'a'"]],
  [
    { ttl: 1, vary: { query: { only: ['a'], ignore: ['b'] } } },
    ['config.cache.vary.query.ignore', 'only'],
  ],
  [{ ttl: 1, public: 'yes' }, ['config.cache.public must be true or false', "'yes'"]],
  [{ ttl: 1, public: null }, ['config.cache.public must be true or false', 'null']],
  [{ ttl: 1, statuses: 200 }, ['config.cache.statuses must be', '200']],
  [{ ttl: 1, statuses: null }, ['config.cache.statuses must be', 'null']],
  [{ ttl: 1, statuses: [404] }, ['config.cache.statuses']],
  ...['199', '600', '206', '304', 'ok', '200.5', '2e2', ' 404', '0xc8'].map(
    (status): [Record<string, unknown>, Parts] => [
      { ttl: 1, statuses: { [status]: true } },
      [`config.cache.statuses.${status} is not a status`],
    ],
  ),
  [{ ttl: 1, statuses: { 404: false } }, ['config.cache.statuses.404 must be', 'false']],
  [{ ttl: 1, consistency: 'strong' }, ['config.cache.consistency must be', "'strict'", "'strong'"]],
  [{ ttl: 1, coalesce: 'no' }, ['config.cache.coalesce', "'no'"]],
  [{ ttl: 1, coalesce: null }, ['config.cache.coalesce', 'null']],
  [{ ttl: 1, coalesce: { maxWaitMs: 0 } }, ['config.cache.coalesce.maxWaitMs must be', '0']],
  [{ ttl: 1, coalesce: { maxWaitMs: 1.5 } }, ['config.cache.coalesce.maxWaitMs must be', '1.5']],
  [{ ttl: 1, coalesce: { maxWaitMs: '5s' } }, ['config.cache.coalesce.maxWaitMs must be', "'5s'"]],
  // A longer timer fires at once.
  [{ ttl: 1, coalesce: { maxWaitMs: 2 ** 31 } }, ['config.cache.coalesce.maxWaitMs', '2147483648']],
  [{ ttl: 1, coalesce: { maxWait: 5 } }, ['config.cache.coalesce.maxWait is not', "'maxWaitMs'"]],
  [{ ttl: 1, earlyRefresh: 'yes' }, ['config.cache.earlyRefresh must be true, false', "'yes'"]],
  [{ ttl: 1, earlyRefresh: 0 }, ['config.cache.earlyRefresh must be', 'from 0.01 to 100', '0']],
  [{ ttl: 1, earlyRefresh: 101 }, ['config.cache.earlyRefresh must be', '101']],
  [{ ttl: 1, earlyRefresh: Number.NaN }, ['config.cache.earlyRefresh must be', 'NaN']],
  [
    { ttl: 1, earlyRefresh: 2, coalesce: false },
    ['config.cache.earlyRefresh must be left out or false where coalesce is false', '2'],
  ],
  [{ ttl: 1, ttlJitter: 1.1 }, ['config.cache.ttlJitter must be a number from 0 to 1', '1.1']],
  [{ ttl: 1, ttlJitter: -0.1 }, ['config.cache.ttlJitter must be', '-0.1']],
  [{ ttl: 1, ttlJitter: true }, ['config.cache.ttlJitter must be', 'true']],
  [{ ttl: 1, coalesce: { fleet: 'yes' } }, ['config.cache.coalesce.fleet must be', "'yes'"]],
  [{ ttl: 1, bypass: true }, ['config.cache.bypass must be a function', 'true']],
  [{ ttl: 1, storable: 'yes' }, ['config.cache.storable must be a function', "'yes'"]],
  [{ ttl: 1, clientCacheControl: '' }, ['config.cache.clientCacheControl must be', "''"]],
  [{ ttl: 1, clientCacheControl: 60 }, ['config.cache.clientCacheControl must be', '60']],
  [{ ttl: 1, clientCacheControl: 'max-age=1\nx: y' }, ['config.cache.clientCacheControl']],
  [{ ttl: 1, maxBytes: 0 }, ['config.cache.maxBytes must be', '0']],
  [{ ttl: 1, maxBytes: '1mb' }, ['config.cache.maxBytes must be', "'1mb'"]],
  [{ ttl: 1, maxBytes: Number.POSITIVE_INFINITY }, ['config.cache.maxBytes must be', 'Infinity']],
  [{ ttl: 1, invalidates: ['a'] }, ['config.cache.invalidates has no effect on GET']],
  [{ ttl: 1, TTL: 1 }, ['config.cache.TTL is not an option', "'ttl'"]],
  [{ ttl: 1, tag: ['a'] }, ['config.cache.tag is not an option', "'tags'"]],
  [{ ttl: 1, staleWhileRevalidat: 1 }, ['is not an option', "'staleWhileRevalidate'"]],
  [{ ttl: 1, publik: true }, ['config.cache.publik is not an option', "'public'"]],
  [
    { ttl: 1, expires: 60 },
    ['config.cache.expires is not an option', 'known are', 'ttl', 'storable'],
  ],
]

/** For titles. */
function show(options: unknown): string {
  return inspect(options, { breakLength: Number.POSITIVE_INFINITY, depth: 4 })
    .replace(/\s+/g, ' ')
    .slice(0, 70)
}

for (const [options, parts] of ROUTE_OPTIONS) {
  const shown = show(options)
  test(`config.cache ${shown} is an error that names route and option`, async () => {
    const app = await withCache()
    const declare = (): unknown =>
      app.get('/things/:id', { config: { cache: options as never } }, async () => 'x')
    assert.throws(declare, (error) => assertNames(error, ['GET /things/:id', ...parts]))
  })
}

for (const cache of [null, 'yes', 60, ['ttl'], (): void => {}]) {
  test(`config.cache ${show(cache)} is an error that names the route`, async () => {
    const app = await withCache()
    assert.throws(
      () => app.get('/x', { config: { cache: cache as never } }, async () => 'x'),
      (error) => assertNames(error, ['GET /x', 'config.cache']),
    )
  })
}

test('config.cache true without a default lifetime is an error that says where to set one', async () => {
  const app = await withCache()
  assert.throws(
    () => app.get('/x', { config: { cache: true } }, async () => 'x'),
    (error) => assertNames(error, ['GET /x: config.cache.ttl is missing', "plugin's defaults"]),
  )
})

test('global without a default lifetime is an error', async () => {
  const app = await withCache({ global: true })
  assert.throws(
    () => app.get('/x', async () => 'x'),
    (error) => assertNames(error, ['GET /x', 'ttl']),
  )
})

test('a lifetime on a route that only writes is an error that names invalidates', async () => {
  const app = await withCache()
  for (const method of ['POST', 'PUT', 'DELETE']) {
    assert.throws(
      () =>
        app.route({ method, url: '/x', config: { cache: { ttl: 1 } }, handler: async () => 'x' }),
      (error) => assertNames(error, [`${method} /x`, 'config.cache', 'invalidates']),
    )
  }
})

const PLUGIN_OPTIONS: [Record<string, unknown>, Parts][] = [
  ...DURATIONS.map(([value, shown]): [Record<string, unknown>, Parts] => [
    { defaults: { ttl: value } },
    ['fastify-response-cache.defaults.ttl must be', `got ${shown}`],
  ]),
  [{ defaults: 60 }, ['fastify-response-cache.defaults', '60']],
  [{ defaults: null }, ['fastify-response-cache.defaults', 'null']],
  [{ defaults: { tll: 60 } }, ['fastify-response-cache.defaults.tll', "'ttl'"]],
  [{ default: { ttl: 60 } }, ['fastify-response-cache.default is not an option', "'defaults'"]],
  [{ ttl: 60 }, ['fastify-response-cache.ttl is not an option']],
  [{ memory: true }, ['fastify-response-cache.memory', 'true']],
  [{ memory: null }, ['fastify-response-cache.memory', 'null']],
  [{ memory: false }, ['fastify-response-cache.memory', 'redis']],
  [{ memory: { maxBytes: 0 } }, ['fastify-response-cache.memory.maxBytes', '0']],
  [{ memory: { maxBytes: '64mb' } }, ['fastify-response-cache.memory.maxBytes', "'64mb'"]],
  [{ memory: { maxEntryBytes: -1 } }, ['fastify-response-cache.memory.maxEntryBytes', '-1']],
  [{ memory: { maxBytes: 10, maxEntryBytes: 11 } }, ['memory.maxEntryBytes', '10', '11']],
  [{ memory: { maxByte: 10 } }, ['fastify-response-cache.memory.maxByte', "'maxBytes'"]],
  [{ global: 'yes' }, ['fastify-response-cache.global must be true or false', "'yes'"]],
  [{ consistency: 'weak' }, ['fastify-response-cache.consistency', "'weak'"]],
  [{ credentialHeaders: 'x-key' }, ['fastify-response-cache.credentialHeaders', "'x-key'"]],
  [{ credentialHeaders: ['x key'] }, ['fastify-response-cache.credentialHeaders', "'x key'"]],
  [{ deadlineMs: 0 }, ['fastify-response-cache.deadlineMs', '0']],
  [{ deadlineMs: '1s' }, ['fastify-response-cache.deadlineMs', "'1s'"]],
  [{ softDeadlineMs: 0 }, ['fastify-response-cache.softDeadlineMs', 'at least 1', '0']],
  [{ softDeadlineMs: 251 }, ['fastify-response-cache.softDeadlineMs', 'at most 250', '251']],
  [
    { deadlineMs: 20, softDeadlineMs: 21 },
    ['fastify-response-cache.softDeadlineMs', 'at most 20', '21'],
  ],
  [{ deadlineMs: 2 ** 31 }, ['fastify-response-cache.deadlineMs', '2147483648']],
  [{ breaker: true }, ['fastify-response-cache.breaker', 'true']],
  [{ breaker: { failures: 0 } }, ['fastify-response-cache.breaker.failures', '0']],
  [{ breaker: { reset: 10 } }, ['fastify-response-cache.breaker.reset', "'resetMs'"]],
  [{ statusHeader: 'X-Cache' }, ['fastify-response-cache.statusHeader', "'x-cache'", "'X-Cache'"]],
  [{ onError: 'log' }, ['fastify-response-cache.onError must be a function', "'log'"]],
  [{ decorateAs: '' }, ['fastify-response-cache.decorateAs', "''"]],
  [{ decorateAs: 'get' }, ['fastify-response-cache.decorateAs', "'get'"]],
  [{ namespace: '' }, ['fastify-response-cache.namespace', "''"]],
  [{ namespace: 'a{b}' }, ['fastify-response-cache.namespace', "'a{b}'"]],
  [{ namespace: 'a b' }, ['fastify-response-cache.namespace', "'a b'"]],
  [{ namespace: 'x'.repeat(101) }, ['fastify-response-cache.namespace', '100']],
  [{ redis: 'localhost:6379' }, ['fastify-response-cache.redis', "'localhost:6379'", 'redis://']],
  [{ redis: 6379 }, ['fastify-response-cache.redis', '6379']],
  [{ redis: null }, ['fastify-response-cache.redis', 'null']],
  [{ redis: 'shared', namespace: 'a' }, ['fastify-response-cache.redis', '@fastify/redis']],
  [{ redis: 'redis://localhost:6379' }, ['fastify-response-cache.namespace', 'redis']],
]

for (const [options, parts] of PLUGIN_OPTIONS) {
  const shown = show(options)
  test(`plugin options ${shown} are an error that names the one`, async () => {
    await assert.rejects(withCache(options), (error) => assertNames(error, parts))
  })
}

const GOOD_TTLS: [unknown, number][] = [
  [1, 1],
  [0.5, 0],
  [60, 60],
  ['500ms', 0],
  ['30s', 30],
  ['5m', 300],
  ['1h', 3600],
  ['7d', 604_800],
  // What the text parser counts as ten years is what the limit means.
  ['10y', 315_576_000],
  [315_360_000, 315_360_000],
]

for (const [ttl, seconds] of GOOD_TTLS) {
  test(`ttl ${JSON.stringify(ttl)} is ${seconds} whole seconds`, async (t) => {
    const client = await start(t, (app) => {
      app.get('/x', { config: { cache: { ttl: ttl as never } } }, async () => 'x')
    })
    assertStored(await client.get('/x'))
    const hit = await client.get('/x')
    if (seconds === 0) return
    assertHit(hit)
    const left = Number(/ttl=(\d+)/.exec(String(hit.headers['cache-status']))?.[1])
    assert.ok(left === seconds || left === seconds - 1, `${left} of ${seconds} seconds are left`)
  })
}

test('a lifetime of half a second ends', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { ttl: '50ms' } } }, async () => 'x')
  })
  assertStored(await client.get('/x'))
  const until = performance.now() + 60
  while (performance.now() < until) await client.get('/elsewhere')
  assertStored(await client.get('/x'), 'stale')
})

test('options of a route go over the defaults, one by one', async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get('/x', { config: { cache: { vary: { headers: ['x-own'] } } } }, async () => 'x')
      app.get('/y', { config: { cache: { ttl: 7 } } }, async () => 'y')
      app.get('/z', { config: { cache: true } }, async () => 'z')
    },
    {
      cache: {
        defaults: { ttl: 60, clientCacheControl: 'max-age=5', vary: { headers: ['x-default'] } },
      },
    },
  )
  for (const [path, header, other] of [
    ['/x', 'x-own', 'x-default'],
    ['/y', 'x-default', 'x-own'],
    ['/z', 'x-default', 'x-own'],
  ] as const) {
    const miss = await client.get(path)
    assertStored(miss)
    assert.equal(miss.headers['cache-control'], 'max-age=5')
    assertHit(await client.get(path, { [other]: 'not in the key' }))
    assertStored(await client.get(path, { [header]: 'in the key' }))
  }
})
