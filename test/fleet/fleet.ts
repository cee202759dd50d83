// Several processes behind one Redis, or one Cluster, and requests to them.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { Pool } from 'undici'

import type { Stats } from '../../src/index.ts'
import { isCachedAgain } from '../support/at-rest.ts'
import { eventually } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { Database, type Row, type Write } from './database.ts'
import type { History } from './history.ts'
import { MODES, type Topology } from './modes.ts'

export const ITEMS = 60
export const GROUPS = 12
const PATIENCE_MS = 60_000
const POLL_MS = 25

interface Worker {
  process: TestProcess
  port: number
  pool: Pool
  /** Being killed, or not yet ready again. */
  down: boolean
}

type Method = 'GET' | 'POST'

interface Answer {
  status: number
  hit: boolean
  text: string
  /** When the request that was answered began, and by which process. */
  startedAt: number
  worker: number
}

export class Fleet {
  readonly servers: readonly RedisServer[]
  /** A connection of the test to each of the servers. */
  readonly raw: readonly Redis[]
  readonly workers: Worker[] = []
  database = new Database(ITEMS, GROUPS)
  /** Of modes that are not to share the one above. */
  readonly databases = new Map<string, Database>()
  /** What is going wrong at the moment. */
  fault: string | undefined
  /** Requests that were sent again, to another process, because theirs had been killed. */
  resent = 0
  readonly #histories = new Set<History>()
  readonly #topology: Topology

  static async start(size: number, { cluster = false } = {}): Promise<Fleet> {
    const servers = cluster ? (await startCluster()).nodes : [await startRedis()]
    const fleet = new Fleet(servers, { ports: servers.map(({ port }) => port), cluster })
    try {
      fleet.workers.push(
        ...(await Promise.all(Array.from({ length: size }, () => fleet.#startWorker()))),
      )
      await fleet.verified()
      return fleet
    } catch (error) {
      await fleet.stop()
      throw error
    }
  }

  private constructor(servers: readonly RedisServer[], topology: Topology) {
    this.servers = servers
    this.raw = servers.map((server) => server.client())
    this.#topology = topology
  }

  async #startWorker(): Promise<Worker> {
    const process = await TestProcess.start(
      join(import.meta.dirname, 'worker.js'),
      this.#topology,
      { read: ({ mode, id }: { mode: string; id: number }) => this.databaseOf(mode).read(id) },
    )
    const port = await process.ask<number>('port')
    const patience = { headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS }
    return { process, port, pool: new Pool(`http://127.0.0.1:${port}`, patience), down: false }
  }

  databaseOf(mode: string): Database {
    return this.databases.get(mode) ?? this.database
  }

  /** Resolves when every process has loaded every log, and has told the others all it has to. */
  async verified(): Promise<void> {
    for (const { process } of this.workers) {
      for (const mode of Object.keys(MODES)) {
        await eventually(`${mode} is loaded`, async () => {
          const { log, pendingInvalidations } = await process.ask<Stats>('stats', mode)
          return log.verified && pendingInvalidations === 0
        })
      }
    }
  }

  /** Resolves when all is over, and every process answers from its cache with every item. */
  async cachedAgain(mode: string): Promise<void> {
    for (const [at, { process }] of this.workers.entries()) {
      await isCachedAgain(`${mode} in process ${at}`, {
        stats: () => process.ask<Stats>('stats', mode),
        misses: async () => {
          const items = Array.from({ length: ITEMS }, (_, id) => `/${mode}/item/${id}`)
          const answers = await Promise.all(items.map((path) => this.#send('GET', at, path)))
          return items.filter((_, n) => !answers[n]!.hit)
        },
      })
    }
  }

  /** One that is not being killed. */
  anyWorker(): number {
    const up = [...this.workers.keys()].filter((at) => !this.workers[at]!.down)
    return up[Math.floor(Math.random() * up.length)]!
  }

  /** Kills a process in the middle of everything, and starts another in its place. */
  async restart(at: number): Promise<void> {
    const worker = this.workers[at]!
    worker.down = true
    await worker.process.stop()
    await worker.pool.destroy()
    for (const history of this.#histories) history.restarted(at)
    this.workers[at] = await this.#startWorker()
  }

  /** Reads through one process, and lets the history judge. */
  async read(history: History, mode: string, id: number, worker = this.anyWorker()): Promise<Row> {
    const answer = await this.#send('GET', worker, `/${mode}/item/${id}`)
    if (answer.status !== 200) throw new Error(`answered ${answer.status}: ${answer.text}`)
    const row = JSON.parse(answer.text) as Row
    history.read(row, answer.startedAt, answer.hit, answer.worker)
    return row
  }

  /** Writes, and invalidates through one process; where that rejects, until it is delivered. */
  async write(
    history: History,
    mode: string,
    write: Write,
    worker = this.anyWorker(),
  ): Promise<void> {
    this.#histories.add(history)
    const answer = await this.#send('POST', worker, `/${mode}/invalidate`, [write.tag])
    const { process } = this.workers[answer.worker]!
    history.forgotten(write, answer.worker)
    if (answer.status === 202) {
      history.pending++
      // What a process could not tell dies with it: who was rejected has to say it again.
      if (!(await delivered(process, mode))) return this.write(history, mode, write)
    } else if (answer.status !== 204) {
      throw new Error(`answered ${answer.status}: ${answer.text}`)
    }
    history.resolved(write)
  }

  async stop(): Promise<void> {
    await Promise.all(
      this.workers.map(({ process, pool }) => Promise.all([process.stop(), pool.destroy()])),
    )
    await Promise.all(this.servers.map((server) => server.stop()))
  }

  /** As a load balancer does it: what a process that was killed left unanswered goes to another. */
  async #send(method: Method, at: number, path: string, body?: unknown): Promise<Answer> {
    const worker = this.workers[at]!
    try {
      return await this.#exchange(method, at, path, body)
    } catch (error) {
      if (!worker.down) throw error
      this.resent++
      return this.#send(method, this.anyWorker(), path, body)
    }
  }

  async #exchange(method: Method, at: number, path: string, body: unknown): Promise<Answer> {
    const startedAt = performance.now()
    const sent = await this.workers[at]!.pool.request({
      method,
      path,
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    })
    const text = await sent.body.text()
    const hit = String(sent.headers['cache-status']).includes('; hit')
    return { status: sent.statusCode, hit, text, startedAt, worker: at }
  }
}

/** Resolves with true when nothing waits any more, with false when the process ended before. */
async function delivered(process: TestProcess, mode: string): Promise<boolean> {
  try {
    while ((await process.ask<Stats>('stats', mode)).pendingInvalidations > 0) await pause(POLL_MS)
    return true
  } catch {
    return false
  }
}
