/** One column of the table: a package in one set-up. */
export interface Peer {
  /** The column's heading, and the name of its file in adapters/. */
  name: string
  /** What keeps responses stands before the handler; what keeps values is called in it. */
  keeps: 'responses' | 'values'
  /** Processes share what is kept, in Redis. */
  shared: boolean
  /** Exact versions of what is installed for it, the package itself first. */
  packages: Readonly<Record<string, string>>
  /** Where its documentation says that it is set up like this. */
  docs: string
  /** The set-up in a line. */
  setUp: string
}

const KEYV = { '@keyv/redis': '5.1.6', keyv: '5.6.0' }
const QIFIED = { '@qified/redis': '0.10.1', qified: '0.10.1' }

export const OURS = 'fastify-response-cache'

export const PEERS: readonly Peer[] = [
  {
    name: OURS,
    keeps: 'responses',
    shared: true,
    packages: {},
    docs: '../README.md#with-redis',
    setUp:
      "`redis`, `namespace`, `global: true`, `defaults: { ttl: '1h' }`; `tags` where pages are invalidated, `coalesce: { fleet: true }` there",
  },
  {
    name: 'fastify-lcache',
    keeps: 'responses',
    shared: false,
    packages: { 'fastify-lcache': '2.1.5' },
    docs: 'https://github.com/denbon05/fastify-lcache#readme',
    setUp: '`ttlInMinutes: 60`; `app.lcache.reset()` invalidates. It keeps in memory only',
  },
  {
    name: 'apicache-plus',
    keeps: 'responses',
    shared: true,
    packages: { 'apicache-plus': '2.3.1', '@fastify/middie': '9.3.6', ioredis: '5.11.1' },
    docs: 'https://github.com/arthurfranca/apicache-plus#readme',
    setUp:
      "`redisClient: new Redis(url)`, `app.use(apicache('1 hour'))` through @fastify/middie; `req.apicacheGroup`, `apicache.clear(group)`. It is made for Express, Restify and Koa; its documentation does not name Fastify",
  },
  {
    name: '@fastify/caching',
    keeps: 'responses',
    shared: false,
    packages: { '@fastify/caching': '9.0.4' },
    docs: 'https://github.com/fastify/fastify-caching#readme',
    setUp:
      "`privacy: 'public'`, `expiresIn: 3600`, `reply.etag(…)` in handlers. It keeps entity tags and sets Cache-Control; it keeps no responses",
  },
  {
    name: 'async-cache-dedupe',
    keeps: 'values',
    shared: true,
    packages: { 'async-cache-dedupe': '3.4.0', ioredis: '5.11.1' },
    docs: 'https://github.com/mcollina/async-cache-dedupe#redis',
    setUp:
      "`storage: { type: 'redis' }`, `invalidation: { referencesTTL }` of the entries' ttl, `references`; `invalidateAll([reference])`",
  },
  {
    name: 'bentocache',
    keeps: 'values',
    shared: true,
    packages: { bentocache: '1.6.1', ioredis: '5.11.1' },
    docs: 'https://bentocache.dev/docs/multi-tier',
    setUp:
      "Memory, Redis and the Redis bus, `l2CircuitBreakerDuration: '10s'`; `getOrSet` with `tags`, `deleteByTag`",
  },
  {
    name: 'cacheable',
    keeps: 'values',
    shared: true,
    packages: { cacheable: '2.5.0', ...KEYV, ...QIFIED },
    docs: 'https://cacheable.org/docs/cacheable/#basic-usage',
    setUp:
      '`secondary: new KeyvRedis(url)`, `getOrSet`, `delete(key)`, with `sync` over Redis where there are several processes; for tags a cache with `tags: true`, `set` and `invalidateTag`, as `getOrSet` takes none',
  },
  {
    name: 'cacheable-non-blocking',
    keeps: 'values',
    shared: true,
    packages: { cacheable: '2.5.0', ...KEYV, ...QIFIED },
    docs: 'https://cacheable.org/docs/cacheable/#non-blocking-with-keyvredis',
    setUp:
      'The same with the four settings of its documentation against hanging on Redis: `disableOfflineQueue: true`, `reconnectStrategy: false`, `throwOnConnectError: false`, `nonBlocking: true`',
  },
  {
    name: 'cache-manager',
    keeps: 'values',
    shared: true,
    packages: { 'cache-manager': '7.2.9', cacheable: '2.5.0', ...KEYV },
    docs: 'https://github.com/jaredwray/cacheable/tree/main/packages/cache-manager#quick-start',
    setUp:
      '`stores`: CacheableMemory and KeyvRedis, as in its quick start; `wrap(key, fn, ttl)` and `del(key)`',
  },
]

/** Left out of the tables: what it does instead is checked by starting it. */
export const REFUSES: Pick<Peer, 'name' | 'packages' | 'docs'> = {
  name: 'fastify-response-caching',
  packages: { 'fastify-response-caching': '0.0.3' },
  docs: 'https://github.com/codeaholicguy/fastify-response-caching#readme',
}
