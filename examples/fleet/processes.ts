// The processes of the fleet, from the first one's view: N of them, whatever happens to one.
import cluster, { type Worker } from 'node:cluster'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Stats } from 'fastify-response-cache'

import { answerQuery } from './database.ts'
import type { FleetOptions } from './options.ts'
import type { Order, Told } from './worker.ts'

export interface Report {
  pid: number
  /** Undefined while it starts, and when it does not answer. */
  stats: Stats | undefined
}

interface Events {
  onEnd: (pid: number, reason: string) => void
  onFailure: (message: string) => void
}

const REPORT_MS = 300
const END_MS = 5000
const RESTART_MS = 250

export class Processes {
  readonly #events: Events
  readonly #workers = new Set<Worker>()
  #ending = false

  constructor({ processes, host, port, redisUrl }: FleetOptions, events: Events) {
    this.#events = events
    cluster.setupPrimary({ exec: join(import.meta.dirname, 'worker.js'), args: [] })
    const env = { HOST: host, PORT: String(port), REDIS_URL: redisUrl ?? '' }
    for (let started = 0; started < processes; started++) this.#start(env)
  }

  /** Resolves with the address, once all listen. */
  async listening(): Promise<string> {
    const urls = [...this.#workers].map(
      (worker) =>
        new Promise<string>((resolve) => {
          worker.on('message', (told: Told) => 'url' in told && resolve(told.url))
        }),
    )
    return (await Promise.all(urls))[0]!
  }

  /** All at the same moment, so that their positions can be compared. */
  reports(): Promise<Report[]> {
    return Promise.all([...this.#workers].map(report))
  }

  async end(): Promise<void> {
    this.#ending = true
    const ends = [...this.#workers].map(
      (worker) => new Promise((resolve) => worker.once('exit', resolve)),
    )
    for (const worker of this.#workers)
      if (worker.isConnected()) worker.send({ end: true } satisfies Order)
    const late = pause(END_MS, undefined, { ref: false })
    await Promise.race([Promise.all(ends), late])
    for (const { process: left } of this.#workers) left.kill('SIGKILL')
  }

  #start(env: Record<string, string>): void {
    const worker = cluster.fork(env)
    let served = false
    this.#workers.add(worker)
    worker.on('message', (told: Told) => {
      if (answerQuery(worker, told)) return
      if ('failed' in told) this.#events.onFailure(told.failed)
      if ('url' in told) served = true
    })
    worker.on('exit', (code, signal) => {
      this.#workers.delete(worker)
      if (this.#ending) return
      const [pid, reason] = [worker.process.pid ?? 0, signal ?? `code ${code}`]
      // What cannot even start would be started for ever.
      if (!served && signal === null) this.#events.onFailure(`Process ${pid} ended with ${reason}`)
      this.#events.onEnd(pid, reason)
      setTimeout(() => !this.#ending && this.#start(env), RESTART_MS)
    })
  }
}

async function report(worker: Worker): Promise<Report> {
  const pid = worker.process.pid ?? 0
  if (!worker.isConnected()) return { pid, stats: undefined }
  const answer = new Promise<Stats>((resolve) => {
    const read = (told: Told): void => {
      if (!('stats' in told)) return
      worker.off('message', read)
      resolve(told.stats)
    }
    worker.on('message', read)
    setTimeout(() => worker.off('message', read), REPORT_MS)
  })
  worker.send({ report: true } satisfies Order)
  const stats = await Promise.race([answer, pause(REPORT_MS, undefined, { ref: false })])
  return { pid, stats }
}
