import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

import { listRoutes } from './list-routes.ts'
import { openQueues } from './queues.ts'
import { reportRoutes } from './report-routes.ts'
import { taskRoutes } from './task-routes.ts'

export const queueRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const queues = openQueues(app)
  await app.register(taskRoutes(queues))
  await app.register(reportRoutes(queues))
  await app.register(listRoutes)
}
