import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, NoRedis } from '../problems.ts'
import { CityId, Views } from './schemas.ts'
import { countViews, viewsOf } from './views.ts'

const tags = ['cities']

export const cityViews: FastifyPluginAsyncTypebox = async (app) => {
  const count = countViews(app)

  app.post(
    '/cities/:id/views',
    {
      schema: {
        tags,
        summary: 'Count a view of a city',
        description:
          'Write-behind: kept in Redis (without it in this process), and added to PostgreSQL by one ' +
          'of all processes, each second, in one statement. A batch is added once, whoever dies.',
        params: CityId,
        response: { 202: Type.Null({ description: 'Counted' }), 400: Invalid, 503: NoRedis },
      },
    },
    async (request, reply) => {
      await count(request.params.id)
      return reply.code(202).send(null)
    },
  )

  app.get(
    '/cities/:id/views',
    {
      schema: {
        tags,
        summary: 'How often a city was viewed, as PostgreSQL knows it',
        params: CityId,
        response: { 200: Views, 400: Invalid },
      },
    },
    async (request) => ({ views: await viewsOf(app.pg, request.params.id) }),
  )
}
