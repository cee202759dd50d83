// What the compiler knows of the plugin. The compiler is the judge: a wrong type is an error of
// `tsc`, and so is an `@ts-expect-error` without an error. Nothing is left to do when this runs.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import Fastify, {
  type FastifyContextConfig,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'

import {
  default as defaultExport,
  type CacheClient,
  type CacheRequest,
  type CacheStatus,
  type Duration,
  type ForwardReason,
  type ResponseCacheOptions,
  type RouteCacheOptions,
  type Stats,
  responseCache,
} from '../../src/index.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

// The value itself, not only its type.
assert.equal(defaultExport, responseCache)

/** Takes only `true`, so it is the compiler that fails. */
function expect<Holds extends true>(holds: Holds): asserts holds {
  assert.equal(holds, true)
}

type ByFunction = Extract<RouteCacheOptions['ttl'], (...args: never[]) => unknown>

test('the types of exports and decorations are as documented', () => {
  expect<Equal<typeof defaultExport, FastifyPluginAsync<ResponseCacheOptions>>>(true)
  expect<Equal<typeof defaultExport, typeof responseCache>>(true)
  expect<Equal<Duration, number | string>>(true)
  expect<Equal<FastifyInstance['cache'], CacheClient>>(true)
  expect<Equal<FastifyContextConfig['cache'], boolean | RouteCacheOptions | undefined>>(true)
  expect<Equal<FastifyRequest['cacheStatus'], CacheStatus | undefined>>(true)
  expect<Equal<Parameters<FastifyReply['cacheTags']>, string[]>>(true)
  expect<Equal<ReturnType<FastifyReply['cacheTags']>, FastifyReply>>(true)
  expect<Equal<Parameters<FastifyReply['cacheTtl']>, [ttl: Duration]>>(true)
  expect<Equal<Parameters<FastifyReply['cacheSkip']>, [reason?: string | undefined]>>(true)
  expect<Equal<ReturnType<ByFunction>, Duration | undefined>>(true)
  expect<
    Equal<Parameters<ByFunction>, [request: CacheRequest, reply: FastifyReply, payload: unknown]>
  >(true)
  expect<Equal<CacheStatus['fwd'], ForwardReason | undefined>>(true)
  expect<
    Equal<
      ForwardReason,
      'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'miss' | 'request' | 'stale'
    >
  >(true)
  expect<Equal<ReturnType<CacheClient['stats']>, Stats>>(true)
  expect<Equal<Awaited<ReturnType<CacheClient['invalidateTags']>>, void>>(true)
})

/** Compiled, never called. */
function routes(app: FastifyInstance): void {
  app.get('/a', { config: { cache: true } }, async (request, reply) => {
    expect<Equal<typeof request.cacheStatus, CacheStatus | undefined>>(true)
    reply.cacheTags('a', 'b').cacheTtl('5m').cacheSkip('why').code(200)
    // @ts-expect-error a tag is a string
    reply.cacheTags(7)
    // @ts-expect-error tags are arguments, not a list
    reply.cacheTags(['a'])
    // @ts-expect-error a duration is a number or text
    reply.cacheTtl(new Date())
    // @ts-expect-error the status is read only
    request.cacheStatus = undefined
  })
  app.get('/b', { config: { cache: false } }, async () => 'b')
  app.get<{ Params: { id: string }; Querystring: { page: number } }>(
    '/c/:id',
    {
      config: {
        cache: {
          ttl: (request, reply, payload) => {
            expect<Equal<typeof reply, FastifyReply>>(true)
            expect<Equal<typeof payload, unknown>>(true)
            return request.headers['x-short'] ? 1 : undefined
          },
          tags: (request) => [`c:${request.params.id}`, 'c'],
          vary: {
            headers: ['accept-language'],
            cookies: ['lang'],
            query: { only: ['page'] },
            by: (request) => (request.query.tenant as string | undefined) ?? undefined,
          },
          public: true,
          staleWhileRevalidate: '1h',
          staleIfError: 60,
          statuses: { 200: true, 404: '10s', 301: 60 },
          consistency: 'strict',
          coalesce: { maxWaitMs: 100, fleet: true },
          bypass: (request) => request.method === 'HEAD',
          clientCacheControl: 'no-cache',
          maxBytes: 10,
          storable: (_request, reply) => reply.statusCode === 200,
        },
      },
    },
    async (request) => {
      expect<Equal<typeof request.params.id, string>>(true)
      expect<Equal<typeof request.query.page, number>>(true)
      return request.params.id
    },
  )
  app.put(
    '/d',
    { config: { cache: { invalidates: (request) => [request.params.id as string] } } },
    async () => 'd',
  )
  app.put('/e', { config: { cache: { invalidates: ['a'] } } }, async () => 'e')
  // Fastify infers `config` from what it is given, so the compiler does not see this one there.
  app.get('/f', { config: { cache: { tll: 1 } } }, async () => 'f')
  // @ts-expect-error unknown option
  const misspelled: RouteCacheOptions = { tll: 1 }
  assert.ok(misspelled)
  // @ts-expect-error a function must not be async
  app.get('/g', { config: { cache: { vary: { by: async () => 'ann' } } } }, async () => 'g')
  // @ts-expect-error wrong value
  app.get('/h', { config: { cache: { consistency: 'strong' } } }, async () => 'h')
  // @ts-expect-error tags are a list
  app.get('/i', { config: { cache: { tags: 'a' } } }, async () => 'i')
  // @ts-expect-error `only` and `ignore` take lists
  app.get('/j', { config: { cache: { vary: { query: { only: 'a' } } } } }, async () => 'j')
}

/** Compiled, never called. */
async function client(app: FastifyInstance): Promise<void> {
  expect<Equal<typeof app.cache, CacheClient>>(true)
  const made = await app.cache.getOrSet('key', async () => ({ made: 1 }), {
    ttl: '1m',
    tags: ['a'],
  })
  expect<Equal<typeof made, { made: number }>>(true)
  const got = await app.cache.get<number>('key')
  expect<Equal<typeof got, number | undefined>>(true)
  const unknown = await app.cache.get('key')
  expect<Equal<typeof unknown, unknown>>(true)
  expect<Equal<Awaited<ReturnType<typeof app.cache.has>>, boolean>>(true)
  await app.cache.invalidateTags(['a'], { mode: 'purge' })
  await app.cache.invalidateUrl('/a', { mode: 'soft' })
  // @ts-expect-error no mode
  await app.cache.invalidateTags(['a'], { mode: 'hard' })
  // @ts-expect-error a list
  await app.cache.invalidateTags('a')
}

/** Compiled, never called. */
function registrations(app: FastifyInstance): void {
  app.register(responseCache, {
    redis: 'redis://localhost:6379',
    namespace: 'shop',
    memory: { maxBytes: 1, maxEntryBytes: 1 },
    defaults: { ttl: '1m' },
    global: true,
    consistency: 'eventual',
    credentialHeaders: ['x-key'],
    deadlineMs: 1,
    breaker: { failures: 1 },
    statusHeader: 'x-cache',
    onError: (error, { operation }) => `${error.message} ${operation}`,
    decorateAs: 'pages',
  })
  app.register(responseCache, {
    redis: { host: 'localhost', port: 6379 },
    namespace: 'a',
    memory: false,
    breaker: false,
  })
  app.register(responseCache)
  // @ts-expect-error unknown option
  app.register(responseCache, { namspace: 'shop' })
  // @ts-expect-error not a value of it
  app.register(responseCache, { statusHeader: 'yes' })
  // @ts-expect-error a duration
  app.register(responseCache, { defaults: { ttl: null } })
}

test('what the types allow is what registration accepts', async () => {
  const app = Fastify()
  await app.register(responseCache, { defaults: { ttl: '1m' } })
  routes(Object.assign(Object.create(app), { get: acceptTyped(app), put: app.put.bind(app) }))
  assert.equal(app.hasRoute({ method: 'GET', url: '/c/:id' }), true)
  assert.equal(app.hasRoute({ method: 'PUT', url: '/d' }), true)
  assert.deepEqual([typeof client, typeof registrations], ['function', 'function'])
  await app.close()
})

/** Declares a route; those that the compiler refuses, registration refuses too, or a request would. */
function acceptTyped(app: FastifyInstance): unknown {
  const get = app.get.bind(app) as (...args: unknown[]) => unknown
  return (url: string, ...rest: unknown[]) => {
    if (url < '/f') return get(url, ...rest)
    // An async function cannot be told from another before it is called.
    if (url !== '/g') assert.throws(() => get(url, ...rest), /config\.cache/, url)
    return app
  }
}
