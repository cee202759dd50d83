// One process with cached routes. Each run of a handler asks the test what to answer, and when.
import type { AddressInfo } from 'node:net'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'
import { COALESCING } from './modes.ts'

export interface Run {
  path: string
  pid: number
}

export interface RunAnswer {
  text: string
  setCookie?: boolean
}

let port = 0
const clients = new Map<string, FastifyInstance['cache']>()

const { ask } = serveTest({
  start: async (redisUrl: string): Promise<void> => {
    const app = Fastify()
    for (const name of Object.keys(COALESCING)) {
      await app.register(async (scope) => routes(scope, name, redisUrl), { prefix: `/${name}` })
    }
    await app.listen({ port: 0, host: '127.0.0.1' })
    port = (app.server.address() as AddressInfo).port
  },
  port: () => port,
  stats: (name: string) => clients.get(name)!.stats(),
  invalidate: (name: string) => clients.get(name)!.invalidateTags(['pages']),
})

async function routes(scope: FastifyInstance, name: string, redis: string): Promise<void> {
  const { cache, route } = COALESCING[name]!
  const coalesce = { fleet: true, maxWaitMs: 60_000 }
  await scope.register(responseCache, { redis, namespace: name, deadlineMs: 5000, ...cache })
  clients.set(name, scope.cache)
  scope.get(
    '/:id',
    { config: { cache: { ttl: '1h', coalesce, tags: ['pages'], ...route } } },
    async ({ url: path }, reply) => {
      const run: Run = { path, pid: process.pid }
      const { text, setCookie } = await ask<RunAnswer>('run', run)
      if (setCookie) reply.header('set-cookie', 'a=b')
      return text
    },
  )
}
