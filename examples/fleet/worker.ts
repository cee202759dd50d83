// One process of the fleet: a shop behind the cache.
import Fastify from 'fastify'
import responseCache, { type Stats } from 'fastify-response-cache'

import { closeServer } from '../demo/listen.ts'
import { connectDatabase } from './database.ts'
import { TTL_SECONDS } from './options.ts'

/** What a worker tells the first process. */
export type Told = { url: string } | { stats: Stats } | { failed: string }

/** And what it is told, beside the answers of the database. */
export type Order = { report: true } | { end: true }

const { REDIS_URL, HOST, PORT } = process.env

async function start(): Promise<void> {
  const database = connectDatabase()
  // Connections end after some requests, so that they spread over processes that started later.
  const app = Fastify({ maxRequestsPerSocket: 50 })
  await app.register(responseCache, {
    defaults: { ttl: TTL_SECONDS },
    ...(REDIS_URL ? { redis: REDIS_URL, namespace: 'fleet' } : {}),
  })
  // Set before the handler, so it is made for each answer and no part of what is stored.
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('x-process', process.pid)
  })

  app.get<{ Params: { id: string } }>(
    '/products/:id',
    { config: { cache: { tags: ({ params }) => [`product:${params.id}`] } } },
    ({ params }) => database(params.id),
  )
  app.get('/products', { config: { cache: { tags: ['products'] } } }, () =>
    Promise.all(Array.from({ length: 10 }, (_, index) => database(String(index + 1)))),
  )
  app.put<{ Params: { id: string }; Body: { price: number } }>(
    '/products/:id',
    { config: { cache: { invalidates: ({ params }) => [`product:${params.id}`, 'products'] } } },
    ({ params, body }) => database(params.id, body.price),
  )
  app.get('/stats', async () => ({ process: process.pid, ...app.cache.stats() }))

  process.on('message', (order: Order) => {
    if ('report' in order) tell({ stats: app.cache.stats() })
    if ('end' in order) void closeServer(app).finally(() => process.exit())
  })
  tell({ url: await app.listen({ host: HOST!, port: Number(PORT) }) })
}

function tell(told: Told): void {
  process.send?.(told)
}

// A Ctrl+C reaches all processes of a terminal; the first one decides, and says when.
process.on('SIGINT', () => {})
process.on('disconnect', () => process.exit(1))
if (process.send !== undefined) {
  await start().catch((error: Error) => {
    tell({ failed: error.message })
    process.exitCode = 1
    process.disconnect()
  })
}
