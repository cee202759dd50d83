import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

const tags = ['service']

const Health = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('down')]),
  database: Type.String({ description: "'ok', or what is wrong with it" }),
  uptimeSeconds: Type.Number(),
})

// Without `config.cache` a route is not cached: these two are about now.
export const serviceRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/health',
    {
      schema: {
        tags,
        summary: 'Is the demo able to answer?',
        response: { 200: Health, 503: Health },
      },
    },
    async (_request, reply) => {
      const database = await app.pg.query('SELECT 1').then(
        () => 'ok',
        (error: Error) => error.message,
      )
      const status = database === 'ok' ? ('ok' as const) : ('down' as const)
      reply.code(status === 'ok' ? 200 : 503)
      return { status, database, uptimeSeconds: Math.round(process.uptime() * 10) / 10 }
    },
  )

  app.get(
    '/stats',
    { schema: { tags, summary: 'What the cache did since the start, by route' } },
    async () => app.cache.stats(),
  )
}
