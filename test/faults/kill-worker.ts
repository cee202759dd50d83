// A process that is killed at any moment: it counts in a write-behind buffer, or works under a lock.
import { setTimeout as pause } from 'node:timers/promises'

import Fastify from 'fastify'

import responseCache, {
  BufferUnconfirmedError,
  type CacheClient,
  LockLostError,
  type WriteBuffer,
} from '../../src/index.ts'
import { serveTest } from '../support/processes.ts'

export interface WorkerStart {
  redis: string
  name: string
  job: 'count' | 'lock'
  /** How much of its counting is known to be in the buffer. */
  from: number
}

export interface Flushed {
  id: string
  increments: [string, number][]
  values: [string, unknown][]
}

let cache: CacheClient
let views: WriteBuffer | undefined
let isStopped = false
let working = Promise.resolve()

/** One write at a time: what is not acknowledged is one at most. */
async function count({ name, from }: WorkerStart): Promise<void> {
  views = cache.buffer('views', {
    everyMs: 10,
    flush: async ({ increments, values }, { id }) => {
      await ask('flush', { id, increments: [...increments], values: [...values] })
    },
  })
  for (let n = from + 1; !isStopped; n++) {
    const written = [views.increment(name), views.set(name, n)]
    // On a machine that stands still Redis may be late: it is sent all the same, once.
    const isSure = await Promise.all(written).then(
      () => true,
      (error) => {
        if (error instanceof BufferUnconfirmedError) return false
        throw error
      },
    )
    await ask(isSure ? 'counted' : 'unsure', { name, n })
  }
}

/** Reads, waits, and writes one more: without a lock much of it would be lost. */
async function lock(): Promise<void> {
  while (!isStopped) {
    const held = cache.withLock(
      'resource',
      async ({ fencing }) => {
        const value = await ask<number | undefined>('read', fencing)
        await pause(2 * Math.random())
        if (value !== undefined) await ask('write', { fencing, value: value + 1 })
      },
      { ttl: '400ms', wait: '1m' },
    )
    await held.catch((error) => {
      if (!(error instanceof LockLostError)) throw error
    })
  }
}

const { ask } = serveTest({
  start: async (start: WorkerStart): Promise<void> => {
    const app = Fastify()
    await app.register(responseCache, { redis: start.redis, namespace: 'kill' })
    await app.ready()
    ;({ cache } = app)
    const work = start.job === 'count' ? () => count(start) : lock
    working = work().catch((error: Error) => void ask('failed', String(error)))
  },
  stop: async (): Promise<void> => {
    isStopped = true
    await working
  },
  flush: () => views!.flush(),
})
