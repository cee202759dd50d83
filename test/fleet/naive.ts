// A deliberately naive cache: an index set per tag, deleted key by key. The race test must find it out.
import type { FastifyInstance } from 'fastify'
import type { Cluster, Redis } from 'ioredis'

import type { Row } from './database.ts'

export function naiveRoutes(
  app: FastifyInstance,
  redis: Redis | Cluster,
  readRow: (id: number) => Promise<Row>,
): void {
  app.get<{ Params: { id: string } }>('/item/:id', async (request, reply) => {
    const key = `naive:item:${request.params.id}`
    const stored = await redis.get(key)
    if (stored !== null) {
      reply.header('cache-status', 'naive; hit')
      return JSON.parse(stored) as Row
    }
    const row = await readRow(Number(request.params.id))
    await redis.set(key, JSON.stringify(row), 'EX', 3600)
    await redis.sadd(`naive:tag:item:${row.id}`, key)
    await redis.sadd(`naive:tag:group:${row.group}`, key)
    return row
  })
  app.post<{ Body: string[] }>('/invalidate', async (request, reply) => {
    for (const tag of request.body) {
      const keys = await redis.smembers(`naive:tag:${tag}`)
      // One by one: they may lie in different slots of a Cluster.
      await Promise.all([`naive:tag:${tag}`, ...keys].map((key) => redis.del(key)))
    }
    return reply.code(204).send()
  })
}
