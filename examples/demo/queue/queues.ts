import { type ConnectionOptions, type Job, Queue, Worker } from 'bullmq'
import type { FastifyInstance } from 'fastify'

import { countryStatistics } from '../countries/queries.ts'
import { RedisNeeded } from '../problems.ts'
import { answered, ownConnection } from '../redis-pattern.ts'

/** BullMQ's keys in one slot, which its scripts need in a Cluster. */
export const QUEUE_PREFIX = '{cities-demo}'

const KEPT = { age: 3600, count: 1000 }
const CLOSING_MS = 1000

export interface ReportOrder {
  country: string
}

export interface Queues {
  tasks: Queue
  /** Takes tasks when it is asked to; nothing is processed behind it. */
  taker: Worker
  reports: Queue<ReportOrder>
}

const NAME = 'The queue'

/** Runs something on the queues, or throws a 503 with the reason. */
export type OnQueues = <Result>(work: (queues: Queues) => Promise<Result>) => Promise<Result>

export function onQueues(queues: Queues | undefined): OnQueues {
  return async (work) => {
    if (queues === undefined) throw new RedisNeeded(NAME)
    return answered(NAME, work(queues))
  }
}

/** Undefined without Redis. */
export function openQueues(app: FastifyInstance): Queues | undefined {
  // A request does not wait for Redis to come back; a worker has nothing else to do.
  const impatient = ownConnection(app, { enableOfflineQueue: false, maxRetriesPerRequest: 1 })
  const patient = ownConnection(app, { enableOfflineQueue: true, maxRetriesPerRequest: null })
  if (impatient === undefined || patient === undefined) return undefined
  const connection = patient as ConnectionOptions
  const options = {
    connection: impatient as ConnectionOptions,
    prefix: QUEUE_PREFIX,
    defaultJobOptions: { removeOnComplete: KEPT, removeOnFail: KEPT },
  }
  const tasks = new Queue('tasks', options)
  const reports = new Queue<ReportOrder>('reports', options)
  const taker = new Worker('tasks', null, { connection, prefix: QUEUE_PREFIX, autorun: false })
  // A job whose worker dies is given to another one: at least once, so the work must bear repetition.
  const work = ({ data }: Job<ReportOrder>): Promise<unknown> => {
    return countryStatistics(app.pg, data.country)
  }
  const reporter = new Worker<ReportOrder>('reports', work, { connection, prefix: QUEUE_PREFIX })
  const onError = (error: Error): void => app.log.debug(error, 'BullMQ and Redis')
  for (const queue of [tasks, reports]) queue.on('error', onError)
  for (const worker of [taker, reporter]) worker.on('error', onError)
  // Forced: a worker that waits for a Redis that is away would otherwise hold the end up.
  app.addHook('preClose', async () => {
    const closing = [tasks.close(), reports.close(), taker.close(true), reporter.close(true)]
    const late = new Promise((resolve) => setTimeout(resolve, CLOSING_MS).unref())
    await Promise.race([Promise.allSettled(closing), late])
  })
  return { tasks, taker, reports }
}
