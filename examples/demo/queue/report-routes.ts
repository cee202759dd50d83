import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

import { Invalid, Missing, NoRedis, NotFound } from '../problems.ts'
import { type Queues, onQueues } from './queues.ts'
import { NewReport, Report, ReportId } from './schemas.ts'

const tags = ['queue']

/** Work that a request does not wait for: a worker of any process does it. */
export function reportRoutes(queues: Queues | undefined): FastifyPluginAsyncTypebox {
  return async (app) => {
    const on = onQueues(queues)

    app.post(
      '/queue/reports',
      {
        schema: {
          tags,
          summary: 'Order a report on a country',
          description: 'A worker makes it. Ordered again while it waits it is the same report.',
          body: NewReport,
          response: { 202: Report, 400: Invalid, 503: NoRedis },
        },
      },
      async ({ body: { country } }, reply) => {
        const { id = '' } = await on(({ reports }) =>
          reports.add('report', { country }, { deduplication: { id: country }, attempts: 3 }),
        )
        return reply.code(202).header('location', `/queue/reports/${id}`).send({
          id,
          state: 'waiting',
        })
      },
    )

    app.get(
      '/queue/reports/:id',
      {
        schema: {
          tags,
          summary: 'A report, or how far it is',
          params: ReportId,
          response: { 200: Report, 400: Invalid, 404: NotFound, 503: NoRedis },
        },
      },
      async ({ params: { id } }) => {
        const job = await on(({ reports }) => reports.getJob(id))
        if (job === undefined) {
          throw new Missing(`There is no report ${id}. POST /queue/reports orders one.`)
        }
        // The state is read after the job: once it is completed, the job is read anew.
        const state = await on(() => job.getState())
        const done = state === 'completed' ? await on(({ reports }) => reports.getJob(id)) : job
        return {
          id,
          state,
          ...(state === 'completed' && { result: done?.returnvalue as unknown }),
          ...(state === 'failed' && { failure: job.failedReason }),
        }
      },
    )
  }
}
