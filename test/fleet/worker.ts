// One process of the fleet: an HTTP server with the cache in all modes. The databases are the test's.
import type { AddressInfo } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'

import responseCache, { InvalidationPendingError } from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'
import type { Row } from './database.ts'
import { MODES, NAIVE, type Topology } from './modes.ts'
import { naiveRoutes } from './naive.ts'

/** The longest that a handler holds what it has read, in milliseconds. */
const SLOWEST_MS = 15
/** Where the race is to be lost, and soon. */
const SLOWEST_NAIVE_MS = 60

let port = 0
const clients = new Map<string, FastifyInstance['cache']>()

const { ask } = serveTest({
  start: async (topology: Topology): Promise<void> => {
    const app = Fastify()
    for (const mode of Object.keys(MODES)) {
      await app.register(async (scope) => cachedRoutes(scope, mode, topology), {
        prefix: `/${mode}`,
      })
    }
    await app.register(
      async (scope) =>
        naiveRoutes(scope, openRedis(topology), (id) => readRow(NAIVE, id, SLOWEST_NAIVE_MS)),
      { prefix: `/${NAIVE}` },
    )
    await app.listen({ port: 0, host: '127.0.0.1' })
    port = (app.server.address() as AddressInfo).port
  },
  port: () => port,
  stats: (mode: string) => clients.get(mode)!.stats(),
  /** Nothing happens in this process for so long. */
  stall: (milliseconds: number) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
  },
})

function openRedis({ ports, cluster }: Topology): Redis | Cluster {
  const client = cluster
    ? new Cluster(ports.map((each) => ({ host: '127.0.0.1', port: each })))
    : new Redis(ports[0]!)
  return client.on('error', () => {}) // as an application would log it
}

/** Reads, and answers with what it read some time ago: that is what makes the race. */
async function readRow(mode: string, id: number, slowestMs = SLOWEST_MS): Promise<Row> {
  const row = await ask<Row>('read', { mode, id })
  await pause(Math.random() * slowestMs)
  return row
}

async function cachedRoutes(
  scope: FastifyInstance,
  mode: string,
  topology: Topology,
): Promise<void> {
  const { ports, cluster } = topology
  await scope.register(responseCache, {
    ...MODES[mode],
    redis: cluster ? openRedis(topology) : `redis://127.0.0.1:${ports[0]}`,
    namespace: mode,
    defaults: { ttl: '1h' },
  })
  clients.set(mode, scope.cache)
  scope.get<{ Params: { id: string } }>(
    '/item/:id',
    { config: { cache: true } },
    async (request, reply) => {
      const row = await readRow(mode, Number(request.params.id))
      // Known only now: the group may have changed while the handler ran.
      reply.cacheTags(`item:${row.id}`, `group:${row.group}`)
      return row
    },
  )
  scope.post<{ Body: string[] }>('/invalidate', async (request, reply) => {
    try {
      await scope.cache.invalidateTags(request.body)
      return await reply.code(204).send()
    } catch (error) {
      if (!(error instanceof InvalidationPendingError)) throw error
      return reply.code(202).send()
    }
  })
}
