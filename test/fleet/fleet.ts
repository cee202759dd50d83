// Several processes behind one Redis and one database, and the load on them.
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Stats } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Database, type Row, type Write } from './database.ts'
import { History } from './history.ts'
import { MODES } from './modes.ts'

const ITEMS = 60
const GROUPS = 12
const READERS = 16
const WRITERS = 3
const CLEANUP_MS = 10_000

interface Worker {
  process: TestProcess
  port: number
}

interface Answer {
  status: number
  hit: boolean
  text: string
}

export class Fleet {
  readonly redis: RedisServer
  readonly workers: readonly Worker[]
  database = new Database(ITEMS, GROUPS)
  readonly #agent = new Agent({ keepAlive: true })

  static async start(size: number): Promise<Fleet> {
    const redis = await startRedis()
    const workers: Worker[] = []
    const fleet = new Fleet(redis, workers)
    try {
      const starting = Array.from({ length: size }, async () => {
        const process = await TestProcess.start(
          join(import.meta.dirname, 'worker.js'),
          { redisUrl: redis.url },
          { read: (id: number) => fleet.database.read(id) },
        )
        const port = await process.ask<number>('port')
        workers.push({ process, port })
      })
      await Promise.all(starting)
      await fleet.verified()
      return fleet
    } catch (error) {
      await fleet.stop()
      throw error
    }
  }

  private constructor(redis: RedisServer, workers: readonly Worker[]) {
    this.redis = redis
    this.workers = workers
  }

  /** Resolves when every process has loaded every log. */
  async verified(): Promise<void> {
    for (const { process } of this.workers) {
      for (const mode of Object.keys(MODES)) {
        await eventually(`${mode} is loaded`, async () => {
          return (await process.ask<Stats>('stats', mode)).log.verified
        })
      }
    }
  }

  anyWorker(): number {
    return Math.floor(Math.random() * this.workers.length)
  }

  /** Reads through one process, and lets the history judge. */
  async read(history: History, mode: string, id: number, worker = this.anyWorker()): Promise<Row> {
    const startedAt = performance.now()
    const answer = await this.#send('GET', worker, `/${mode}/item/${id}`)
    if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.text}`)
    const row = JSON.parse(answer.text) as Row
    history.read(row, startedAt, answer.hit)
    return row
  }

  /** Writes, and invalidates through one process. */
  async write(
    history: History,
    mode: string,
    write: Write,
    worker = this.anyWorker(),
  ): Promise<void> {
    const answer = await this.#send('POST', worker, `/${mode}/invalidate`, [write.tag])
    if (answer.status !== 204) throw new Error(`answered ${answer.status}: ${answer.text}`)
    history.resolved(write)
  }

  /** Random reads and writes through all processes at once, on a fresh database. */
  async load(mode: string, reads: number): Promise<History> {
    this.database = new Database(ITEMS, GROUPS)
    const history = new History()
    const probes: Promise<Row>[] = []
    let left = reads
    const reader = async (): Promise<void> => {
      while (left-- > 0) {
        await this.read(history, mode, Math.floor(Math.random() * ITEMS))
      }
    }
    const writer = async (): Promise<void> => {
      while (left > 0) {
        const write = this.database.writeSomething()
        await this.write(history, mode, write)
        // At this very moment a process that has not heard of it is at its weakest.
        for (const at of this.workers.keys()) probes.push(this.read(history, mode, write.id, at))
        await pause(Math.random() * 20)
      }
    }
    await Promise.all([
      ...Array.from({ length: READERS }, reader),
      ...Array.from({ length: WRITERS }, writer),
    ])
    await Promise.all(probes)
    return history
  }

  /** Reads every item from every process; all must have the present version. */
  async readAll(mode: string): Promise<{ reads: number; old: number }> {
    let reads = 0
    let old = 0
    for (let worker = 0; worker < this.workers.length; worker++) {
      for (let id = 0; id < ITEMS; id++) {
        const row = await this.read(new History(), mode, id, worker)
        const now = this.database.read(id)
        reads++
        if (row.version !== now.version || row.groupVersion !== now.groupVersion) old++
      }
    }
    return { reads, old }
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    await Promise.all(this.workers.map(({ process }) => process.stop()))
    await this.redis.stop()
  }

  #send(method: string, worker: number, path: string, body?: unknown): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { port } = this.workers[worker]!
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const options = { host: '127.0.0.1', port, method, path, headers, agent: this.#agent }
      const sent = request({ ...options, timeout: CLEANUP_MS }, (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        incoming.on('end', () => {
          const hit = String(incoming.headers['cache-status']).includes('; hit')
          resolve({ status: incoming.statusCode!, hit, text })
        })
        incoming.on('error', reject)
      })
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}
