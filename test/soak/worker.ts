// One process of the soak: pages of every kind, cached in two ways. The database is the test's.
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'

import responseCache, { InvalidationPendingError } from '../../src/index.ts'
import type { Row } from '../fleet/database.ts'
import { serveTest } from '../support/processes.ts'

export interface WorkerStart {
  redis: string
  memoryBytes: number
}

/** What a process says of itself. */
export interface WorkerState {
  rss: number
  /** What is left after a garbage collection, buffers included. */
  live: number
  /** Of the tier in memory, by mode. */
  bytes: number
  flights: number
  pendingInvalidations: number
  verified: boolean
  stalenessBoundMs: number
  failures: Record<string, number>
}

interface ById {
  Params: { id: string }
}

const clients: FastifyInstance['cache'][] = []
let port = 0
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const { ask } = serveTest({
  start: async ({ redis, memoryBytes }: WorkerStart): Promise<void> => {
    const app = Fastify()
    for (const consistency of ['eventual', 'strict'] as const) {
      await app.register(
        async (scope) => {
          await scope.register(responseCache, {
            ...{ redis, namespace: `soak-${consistency}`, consistency },
            memory: { maxBytes: memoryBytes / 2 },
            defaults: { ttl: '1h' },
          })
          clients.push(scope.cache)
          routes(scope)
        },
        { prefix: `/${consistency}` },
      )
    }
    await app.listen({ port: 0, host: '127.0.0.1' })
    port = (app.server.address() as AddressInfo).port
  },
  port: () => port,
  /** With a garbage collection first, which is not for the load to pay for each time it asks. */
  measured: (): WorkerState => {
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return { ...stateOf(), live: heapUsed + external }
  },
  state: stateOf,
})

function stateOf(): WorkerState {
  const { rss } = process.memoryUsage()
  const stats = clients.map((client) => client.stats())
  const sum = (of: (each: (typeof stats)[number]) => number): number =>
    stats.reduce((total, each) => total + of(each), 0)
  return {
    ...{ rss, live: 0 },
    bytes: sum(({ memory }) => memory!.bytes),
    flights: sum(({ flights }) => flights),
    pendingInvalidations: sum(({ pendingInvalidations }) => pendingInvalidations),
    verified: stats.every(({ log }) => log.verified),
    stalenessBoundMs: Math.max(...stats.map(({ stalenessBoundMs }) => stalenessBoundMs)),
    failures: { ...stats[1]!.failures, ...stats[0]!.failures },
  }
}

/** What it answers is a moment old: that is what makes the race. */
async function readRow(id: string, reply: FastifyReply): Promise<Row> {
  const row = await ask<Row>('read', Number(id))
  await pause(Math.random() * 10)
  reply.cacheTags(`item:${row.id}`, `group:${row.group}`)
  return row
}

function routes(scope: FastifyInstance): void {
  scope.get<ById>('/item/:id', { config: { cache: true } }, (request, reply) =>
    readRow(request.params.id, reply),
  )
  scope.get<ById>(
    '/stale/:id',
    { config: { cache: { ttl: 1, staleWhileRevalidate: '1h' } } },
    (request, reply) => readRow(request.params.id, reply),
  )
  scope.get<ById>('/stream/:id', { config: { cache: true } }, async (request, reply) => {
    const row = await readRow(request.params.id, reply)
    return reply.type('text/plain').send(Readable.from(chunks(row)))
  })
  /** Of these there is no end. */
  scope.get<ById>('/page/:id', { config: { cache: true } }, async ({ params: { id } }) => ({
    ...{ id, text: `page ${id} `.repeat(150) },
  }))
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

async function* chunks(row: Row): AsyncGenerator<string> {
  yield `${JSON.stringify(row)}\n`
  for (let n = 0; n < 4; n++) {
    await pause(2)
    yield 'x'.repeat(15_000)
  }
}
