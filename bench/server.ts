import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

/** One server of the benchmark, in a process of its own: `node server.js VARIANT [REDIS_URL | ROUTES]`. */
const [variant = 'bare', redisUrl] = process.argv.slice(2)

const BODY = Buffer.from(
  JSON.stringify({ items: Array.from({ length: 20 }, (_, id) => ({ id, name: `product ${id}` })) }),
)
const FIELDS = {
  'content-type': 'application/json; charset=utf-8',
  'cache-control': 'no-transform',
  age: '0',
  'cache-status': 'fastify; hit; ttl=3599',
}

type Build = (app: FastifyInstance) => Promise<void>

async function missHandler(_request: FastifyRequest, reply: FastifyReply): Promise<string> {
  const { age: _age, 'cache-status': _status, ...own } = FIELDS
  reply.headers(own)
  return BODY.toString()
}

const builds: Record<string, Build> = {
  async bare(app) {
    app.get('/*', (_request, reply) => {
      reply.headers(FIELDS).send(BODY)
    })
  },

  async memoryHit(app) {
    await app.register(import('fastify-response-cache'), { defaults: { ttl: '1h' } })
    app.get('/*', { config: { cache: true } }, (_request, reply) => {
      const { age: _age, 'cache-status': _status, ...own } = FIELDS
      reply.headers(own).send(BODY)
    })
  },

  async memoryHitMetered(app) {
    const [client, { registerMetrics }] = await Promise.all([
      import('prom-client'),
      import('../src/metrics.ts'),
    ])
    await builds['memoryHit']!(app)
    registerMetrics(client, { caches: app.cache })
    app.get('/metrics', async (_request, reply) => {
      reply.type(client.register.contentType)
      return client.register.metrics()
    })
  },

  /** As many routes as the argument says; whoever watches is another process. */
  async dashboard(app) {
    const [cache, dashboard] = await Promise.all([
      import('../src/index.ts'),
      import('../src/dashboard/index.ts'),
    ])
    await app.register(cache.default, { defaults: { ttl: '1h', tags: ['pages'] } })
    await app.register(dashboard.default, { prefix: '/cache-dashboard', unprotected: true })
    const count = Number(redisUrl)
    for (let index = 0; index < count; index++) {
      app.get(`/route-${index}/:page`, { config: { cache: true } }, (_request, reply) => {
        reply.header('content-type', FIELDS['content-type']).send(BODY)
      })
    }
  },

  async redisByHand(app) {
    const { Redis } = await import('ioredis')
    const redis = new Redis(redisUrl!, { enableAutoPipelining: true })
    app.addHook('onClose', () => redis.quit())
    await redis.set('bench:by-hand', BODY)
    app.get('/*', async (_request, reply) => {
      const body = await redis.getBuffer('bench:by-hand')
      reply.headers(FIELDS)
      return body
    })
  },

  async redisHit(app) {
    await app.register(import('fastify-response-cache'), {
      redis: redisUrl!,
      namespace: 'bench',
      memory: false,
      defaults: { ttl: '1h' },
    })
    await builds['cachedInRedis']!(app)
  },

  /** Each request asks Redis for itself. */
  async redisHitAlone(app) {
    await app.register(import('fastify-response-cache'), {
      redis: redisUrl!,
      namespace: 'bench',
      memory: false,
      defaults: { ttl: '1h', coalesce: false },
    })
    await builds['cachedInRedis']!(app)
  },

  async cachedInRedis(app) {
    app.get('/*', { config: { cache: true } }, (_request, reply) => {
      const { age: _age, 'cache-status': _status, ...own } = FIELDS
      reply.headers(own).send(BODY)
    })
  },

  /** What a careful person writes: a store bounded by bytes, a ttl, the bytes and the head. */
  async missByHand(app) {
    const { LRUCache } = await import('lru-cache')
    const store = new LRUCache<string, { fields: typeof FIELDS; body: Buffer }>({
      maxSize: 8_000_000,
      ttl: 3_600_000,
    })
    app.get('/*', async (request, reply) => {
      reply.headers(FIELDS)
      const text = BODY.toString()
      const body = Buffer.from(text)
      store.set(request.url, { fields: FIELDS, body }, { size: body.length + 1000 })
      return text
    })
  },

  /**
   * The same by a person who has thought of the four accidents: a digest of host and URL as the key,
   * one run for those who come together, nothing private, nothing that was invalidated meanwhile,
   * tags, and the fields as the handler set them.
   */
  async missWithCare(app) {
    const [{ LRUCache }, { hash }] = await Promise.all([import('lru-cache'), import('node:crypto')])
    interface Kept {
      status: number
      fields: ReturnType<FastifyReply['getHeaders']>
      body: string
      tags: string[]
      storedAt: number
      invalidations: number
    }
    const store = new LRUCache<string, Kept>({ maxSize: 8_000_000, ttl: 3_600_000 })
    const underWay = new Map<string, Promise<Kept | undefined>>()
    const invalidated = new Map<string, number>()
    const invalidations = 0
    const isPrivate = (fields: Kept['fields']): boolean =>
      fields['set-cookie'] !== undefined ||
      fields['vary'] !== undefined ||
      /no-store|no-cache|private/i.test(String(fields['cache-control'] ?? ''))
    const run = async (
      request: FastifyRequest,
      reply: FastifyReply,
      key: string,
    ): Promise<Kept | undefined> => {
      const before = invalidations
      const body = await missHandler(request, reply)
      const fields = { ...reply.getHeaders() }
      const tags = [`path:${request.url.split('?', 1)[0]}`, `url:${request.url}`, 'route:/*']
      const isOvertaken = tags.some((tag) => (invalidated.get(tag) ?? -1) > before)
      if (reply.statusCode !== 200 || isPrivate(fields) || isOvertaken) return undefined
      const storedAt = Date.now()
      const kept = { status: 200, fields, body, tags, storedAt, invalidations: before }
      store.set(key, kept, { size: body.length + 1000 })
      return kept
    }
    app.get('/*', async (request, reply) => {
      const { authorization, cookie } = request.headers
      if (authorization !== undefined || cookie !== undefined) return missHandler(request, reply)
      const { host, protocol, url } = request
      const key = hash(
        'sha256',
        `${protocol.length}:${protocol}${host.length}:${host}${url}`,
        'base64url',
      )
      const known = store.get(key) ?? (await underWay.get(key))
      if (known !== undefined) return reply.headers(known.fields).send(known.body)
      const running = run(request, reply, key)
      underWay.set(key, running)
      const kept = await running.finally(() => underWay.delete(key))
      reply.header('cache-status', `fastify; fwd=uri-miss${kept === undefined ? '' : '; stored'}`)
      return kept?.body ?? missHandler(request, reply)
    })
  },

  async miss(app) {
    await app.register(import('fastify-response-cache'), {
      defaults: { ttl: '1h' },
      memory: { maxBytes: 8_000_000 },
    })
    app.get('/*', { config: { cache: true } }, missHandler)
  },

  async redisMissByHand(app) {
    const { Redis } = await import('ioredis')
    const redis = new Redis(redisUrl!, { enableAutoPipelining: true })
    app.addHook('onClose', () => redis.quit())
    app.get('/*', async (request, reply) => {
      const stored = await redis.getBuffer(`by-hand:${request.url}`)
      reply.headers(FIELDS)
      if (stored !== null) return stored
      const text = BODY.toString()
      void redis.set(`by-hand:${request.url}`, text, 'PX', 3_600_000)
      return text
    })
  },

  async redisMiss(app) {
    await app.register(import('fastify-response-cache'), {
      redis: redisUrl!,
      namespace: 'bench-miss',
      memory: false,
      defaults: { ttl: '1h' },
    })
    app.get('/*', { config: { cache: true } }, missHandler)
  },

  /** Each URL is another text, or bytes, of so many bytes: `KIND:BYTES:MIB`, kept in so many MiB. */
  async filled(app) {
    const [kind, bytes, mib] = redisUrl!.split(':') as [string, string, string]
    if (mib !== '0') {
      await app.register(import('fastify-response-cache'), {
        defaults: { ttl: '1h', maxBytes: 16_000_000 },
        memory: { maxBytes: Number(mib) * 1024 * 1024, maxEntryBytes: 16_000_000 },
      })
    }
    const filling = 'x'.repeat(Number(bytes))
    app.get('/*', { config: { cache: mib !== '0' } }, async (request, reply) => {
      const answer = { url: request.url, filling: filling + request.url }
      return kind === 'text' ? answer : reply.type('image/webp').send(Buffer.from(answer.filling))
    })
  },

  async uncachedWithPlugin(app) {
    await app.register(import('fastify-response-cache'), { defaults: { ttl: '1h' } })
    await builds['bare']!(app)
  },
}

const app = Fastify()
await builds[variant]!(app)
await app.listen({ port: 0, host: '127.0.0.1' })
const address = app.server.address() as { port: number }

/** The parent asks for what was used so far, around each round; with `collect` after a collection. */
process.on('message', (message) => {
  void (message === 'collect' ? collect() : Promise.resolve()).then(() => {
    const { user, system } = process.cpuUsage()
    const rss = process.memoryUsage.rss()
    const counted = variant === 'filled' ? app.cache?.stats().memory?.bytes : undefined
    process.send!({ cpuMicros: user + system, rss, counted, at: performance.now() })
  })
})

/** Where `gc` is exposed: several times, as what goes takes other things with it. */
async function collect(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    globalThis.gc?.()
    await pause(50)
  }
}
process.on('disconnect', () => process.exit())
process.send!({ port: address.port })
