import { randomUUID } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { Job } from 'bullmq'
import Type from 'typebox'

import { Invalid, NoRedis } from '../problems.ts'
import { type Queues, onQueues } from './queues.ts'
import { NewTask, Task, Tasks } from './schemas.ts'

const tags = ['queue']
const SHOWN = 50

/** A queue whose tasks are taken one by one, by whoever asks. */
export function taskRoutes(queues: Queues | undefined): FastifyPluginAsyncTypebox {
  return async (app) => {
    const on = onQueues(queues)

    app.post(
      '/queue/tasks',
      {
        schema: {
          tags,
          summary: 'Add a task',
          body: NewTask,
          response: { 201: Task, 400: Invalid, 503: NoRedis },
        },
      },
      async ({ body: { name, priority = 0 } }, reply) => {
        const job = await on(({ tasks }) => tasks.add(name, {}, { priority }))
        return reply.code(201).send(taskOf(job))
      },
    )

    app.get(
      '/queue/tasks',
      {
        schema: {
          tags,
          summary: 'What waits, without taking it',
          response: { 200: Tasks, 503: NoRedis },
        },
      },
      async () => {
        const jobs = await on(async ({ tasks }) => [
          ...(await tasks.getWaiting(0, SHOWN - 1)),
          ...(await tasks.getPrioritized(0, SHOWN - 1)),
        ])
        return jobs.map(taskOf)
      },
    )

    app.post(
      '/queue/tasks/take',
      {
        schema: {
          tags,
          summary: 'Take the next task',
          description: 'Those without priority first, then by priority; in each the oldest first.',
          response: { 200: Task, 204: Type.Null({ description: 'There is none' }), 503: NoRedis },
        },
      },
      async (_request, reply) => {
        const job = await on(async ({ taker }) => {
          const token = randomUUID()
          const taken = (await taker.getNextJob(token, { block: false })) as Job | undefined
          // Taken is done, here. A worker would do this when its work has ended.
          await taken?.moveToCompleted(null, token, false)
          return taken
        })
        return job === undefined ? reply.code(204).send(null) : taskOf(job)
      },
    )

    app.delete(
      '/queue/tasks',
      {
        schema: {
          tags,
          summary: 'Forget what waits',
          response: { 204: Type.Null({ description: 'Forgotten' }), 503: NoRedis },
        },
      },
      async (_request, reply) => {
        await on(({ tasks }) => tasks.drain())
        return reply.code(204).send(null)
      },
    )
  }
}

function taskOf({ id = '', name, opts }: Job): { id: string; name: string; priority: number } {
  return { id, name, priority: opts.priority ?? 0 }
}
