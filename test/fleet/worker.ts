// One process of the fleet: an HTTP server with the cache in all modes. The database is the test's.
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'
import type { Row } from './database.ts'
import { MODES, NAIVE } from './modes.ts'
import { naiveRoutes } from './naive.ts'

/** The longest that a handler holds what it has read, in milliseconds. */
const SLOWEST_MS = 15

export interface WorkerStart {
  redisUrl: string
}

let port = 0
const clients = new Map<string, FastifyInstance['cache']>()

const { ask } = serveTest({
  start: async ({ redisUrl }: WorkerStart): Promise<void> => {
    const app = Fastify()
    for (const mode of Object.keys(MODES)) {
      await app.register(async (scope) => cachedRoutes(scope, mode, redisUrl), {
        prefix: `/${mode}`,
      })
    }
    await app.register(async (scope) => naiveRoutes(scope, redisUrl, readRow), {
      prefix: `/${NAIVE}`,
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    port = (app.server.address() as AddressInfo).port
  },
  port: () => port,
  stats: (mode: string) => clients.get(mode)!.stats(),
})

/** Reads, and answers with what it read some time ago: that is what makes the race. */
async function readRow(id: number): Promise<Row> {
  const row = await ask<Row>('read', id)
  await pause(Math.random() * SLOWEST_MS)
  return row
}

async function cachedRoutes(scope: FastifyInstance, mode: string, redisUrl: string): Promise<void> {
  await scope.register(responseCache, {
    ...MODES[mode],
    redis: redisUrl,
    namespace: mode,
    defaults: { ttl: '1h' },
  })
  clients.set(mode, scope.cache)
  scope.get<{ Params: { id: string } }>(
    '/item/:id',
    { config: { cache: true } },
    async (request, reply) => {
      const row = await readRow(Number(request.params.id))
      // Known only now: the group may have changed while the handler ran.
      reply.cacheTags(`item:${row.id}`, `group:${row.group}`)
      return row
    },
  )
  scope.post<{ Body: string[] }>('/invalidate', async (request, reply) => {
    await scope.cache.invalidateTags(request.body)
    return reply.code(204).send()
  })
}
