// Processes that cache under mixed load for as long as it takes, while everything happens to Redis.
import { Agent, type ClientRequest, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import { Database, type Row } from '../fleet/database.ts'
import { History } from '../fleet/history.ts'
import { eventually } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { SOAK_FAULTS } from './faults.ts'
import type { WorkerState } from './worker.ts'

const ITEMS = 60
const GROUPS = 12
const WRITERS = 2
const PATIENCE_MS = 10_000
const POLL_MS = 50
const BETWEEN_FAULTS_MS = 2000
const MIB = 1024 * 1024

export interface SoakOptions {
  processes: number
  /** Requests under way at the same time. */
  readers: number
  /** Of the tier in memory, for each process. */
  memoryBytes: number
  sampleMs: number
  onSample?: (soak: Soak) => void
}

type Consistency = 'eventual' | 'strict'

/** Of each process, in MiB. */
interface Sample {
  /** Seconds since the start. */
  at: number
  rss: number[]
  /** What is left after a garbage collection. */
  live: number[]
  /** Whether the tier in memory is full by then. */
  isFull: boolean
}

interface Worker {
  process: TestProcess
  port: number
}

export class Soak {
  readonly options: SoakOptions
  readonly histories: Record<Consistency, History> = {
    eventual: new History(),
    strict: new History(),
  }
  readonly samples: Sample[] = []
  readonly failed: string[] = []
  readonly faults: Record<string, number> = {}
  requests = 0
  aborted = 0
  slowest = { milliseconds: 0, what: 'none' }
  boundMs = 0
  readonly #server: RedisServer
  readonly #raw: Redis
  readonly #workers: Worker[] = []
  readonly #database = new Database(ITEMS, GROUPS)
  readonly #agent = new Agent({ keepAlive: true })
  readonly #startedAt = performance.now()
  #fault: string | undefined
  #pages = 0
  #over = false

  static async start(options: SoakOptions): Promise<Soak> {
    const soak = new Soak(options, await startRedis())
    try {
      const starting = Array.from({ length: options.processes }, () => soak.#startWorker())
      soak.#workers.push(...(await Promise.all(starting)))
      await eventually('the logs are loaded', async () => {
        return (await soak.states()).every(({ verified }) => verified)
      })
      soak.boundMs = (await soak.states())[0]!.stalenessBoundMs
      return soak
    } catch (error) {
      await soak.stop()
      throw error
    }
  }

  private constructor(options: SoakOptions, server: RedisServer) {
    this.options = options
    this.#server = server
    this.#raw = server.client()
  }

  async #startWorker(): Promise<Worker> {
    const process = await TestProcess.start(
      join(import.meta.dirname, 'worker.js'),
      { redis: this.#server.url, memoryBytes: this.options.memoryBytes },
      { read: (id: number) => this.#database.read(id) },
    )
    return { process, port: await process.ask<number>('port') }
  }

  states(): Promise<WorkerState[]> {
    return Promise.all(this.#workers.map(({ process }) => process.ask<WorkerState>('state')))
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000
  }

  async run(seconds: number): Promise<void> {
    const timer = setInterval(() => void this.#sample(), this.options.sampleMs)
    const loops = [
      ...Array.from({ length: this.options.readers }, () => this.#loop(() => this.#read())),
      ...Array.from({ length: WRITERS }, () => this.#loop(() => this.#write())),
      this.#loop(() => this.#spoil()),
    ]
    await pause(seconds * 1000)
    this.#over = true
    await Promise.all(loops)
    clearInterval(timer)
    await eventually('everything is delivered', async () => {
      const states = await this.states()
      return states.every(
        (each) => each.verified && each.pendingInvalidations === 0 && each.flights === 0,
      )
    })
  }

  /** Keys in Redis that would stay for ever. */
  async keysWithoutTtl(): Promise<string[]> {
    const found: string[] = []
    for await (const keys of this.#raw.scanStream({ count: 1000 })) {
      const ttls = await Promise.all((keys as string[]).map((key) => this.#raw.pttl(key)))
      found.push(...(keys as string[]).filter((_, at) => ttls[at] === -1))
    }
    return found
  }

  /** Of each process after the first third, once memory is full: by the line nearest to the samples. */
  growth(of: 'rss' | 'live'): { mean: number; perMinute: number; share: number }[] {
    const later = this.samples
      .slice(Math.floor(this.samples.length / 3))
      .filter(({ isFull }) => isFull)
    const minutes = ((later.at(-1)?.at ?? 0) - (later[0]?.at ?? 0)) / 60
    return this.#workers.map((_, process) => {
      const mean = later.reduce((sum, each) => sum + each[of][process]!, 0) / later.length
      const perMinute = slope(later.map((each) => [each.at / 60, each[of][process]!]))
      return { mean, perMinute, share: (perMinute * minutes) / mean }
    })
  }

  async stop(): Promise<void> {
    this.#over = true
    this.#agent.destroy()
    await Promise.all(this.#workers.map(({ process }) => process.stop()))
    await this.#server.stop()
  }

  async #sample(): Promise<void> {
    const asked = this.#workers.map(({ process }) => process.ask<WorkerState>('measured'))
    const states = await Promise.all(asked).catch(() => undefined)
    if (states === undefined) return
    this.samples.push({
      at: this.seconds,
      rss: states.map(({ rss }) => rss / MIB),
      live: states.map(({ live }) => live / MIB),
      isFull: states.every(({ bytes }) => bytes > 0.9 * this.options.memoryBytes),
    })
    this.options.onSample?.(this)
  }

  async #loop(act: () => Promise<unknown>): Promise<void> {
    while (!this.#over) {
      try {
        await act()
      } catch (error) {
        this.failed.push(`while Redis is ${this.#fault ?? 'well'}: ${String(error)}`)
        await pause(POLL_MS)
      }
    }
  }

  /** Half of all requests are for pages that nobody asks for again. */
  async #read(): Promise<void> {
    const consistency: Consistency = Math.random() < 0.1 ? 'strict' : 'eventual'
    const dice = Math.random()
    if (dice < 0.5) return this.#readPage(consistency)
    if (dice < 0.52) return this.#abort(consistency)
    const kind = dice < 0.56 ? 'stream' : dice < 0.66 ? 'stale' : 'item'
    const id = Math.floor(Math.random() ** 2 * ITEMS)
    const startedAt = performance.now()
    const answer = await this.#send('GET', `/${consistency}/${kind}/${id}`)
    if (answer.status !== 200) throw new Error(`${kind} answered ${answer.status}: ${answer.text}`)
    const end = answer.text.indexOf('\n')
    if (kind === 'stream' && answer.text.length !== end + 1 + 60_000) throw new Error('cut short')
    const row = JSON.parse(end < 0 ? answer.text : answer.text.slice(0, end)) as Row
    this.histories[consistency].read(row, startedAt, answer.hit)
  }

  async #readPage(consistency: Consistency): Promise<void> {
    const id = `${this.#pages++}`
    const answer = await this.#send('GET', `/${consistency}/page/${id}`)
    const page = answer.status === 200 ? (JSON.parse(answer.text) as { id: string }) : undefined
    if (page?.id !== id) throw new Error(`page ${id} answered ${answer.status}: ${answer.text}`)
  }

  /** A client that hangs up in the middle of a stream, or before it begins. */
  async #abort(consistency: Consistency): Promise<void> {
    const id = Math.floor(Math.random() * ITEMS)
    const { port } = this.#anyWorker()
    const options = { host: '127.0.0.1', port, path: `/${consistency}/stream/${id}`, agent: false }
    const asked: ClientRequest = request({ ...options, agent: false }).end()
    asked.on('error', () => {})
    asked.on('response', (answer) => answer.on('error', () => {}).resume())
    await pause(Math.random() * 25)
    asked.destroy()
    this.aborted++
  }

  async #write(): Promise<void> {
    const consistency: Consistency = Math.random() < 0.5 ? 'strict' : 'eventual'
    // Both show the same rows, so both have to hear of it.
    const write = this.#database.writeSomething()
    const tell = async (to: Consistency): Promise<void> => {
      const worker = this.#anyWorker()
      const answer = await this.#send('POST', `/${to}/invalidate`, { body: [write.tag], worker })
      if (answer.status === 202) {
        this.histories[to].pending++
        await this.#delivered(worker)
      } else if (answer.status !== 204) {
        throw new Error(`invalidate answered ${answer.status}: ${answer.text}`)
      }
      this.histories[to].resolved(write)
    }
    await tell(consistency)
    await tell(consistency === 'strict' ? 'eventual' : 'strict')
    await pause(Math.random() * 100)
  }

  async #delivered({ process }: Worker): Promise<void> {
    const waits = async (): Promise<boolean> =>
      (await process.ask<WorkerState>('state')).pendingInvalidations > 0
    while (await waits()) await pause(POLL_MS)
  }

  async #spoil(): Promise<void> {
    await pause(Math.random() * BETWEEN_FAULTS_MS)
    const names = Object.keys(SOAK_FAULTS)
    const name = names[Math.floor(Math.random() * names.length)]!
    this.#fault = name
    this.faults[name] = (this.faults[name] ?? 0) + 1
    await SOAK_FAULTS[name]!(this.#server, this.#raw)
    this.#fault = undefined
  }

  #noteTime(milliseconds: number, what: string): void {
    if (milliseconds <= this.slowest.milliseconds) return
    this.slowest = { milliseconds, what: `${what}, Redis ${this.#fault ?? 'well'}` }
  }

  #anyWorker(): Worker {
    return this.#workers[Math.floor(Math.random() * this.#workers.length)]!
  }

  #send(
    method: string,
    path: string,
    { body, worker = this.#anyWorker() }: { body?: unknown; worker?: Worker } = {},
  ): Promise<{ status: number; hit: boolean; text: string }> {
    this.requests++
    const startedAt = performance.now()
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const options = { host: '127.0.0.1', port: worker.port, method, path, headers }
      const sent = request({ ...options, agent: this.#agent, timeout: PATIENCE_MS }, (incoming) => {
        let text = ''
        incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        incoming.on('error', reject)
        incoming.on('end', () => {
          const status = String(incoming.headers['cache-status'])
          this.#noteTime(performance.now() - startedAt, `${method} ${path} (${status})`)
          const hit = status.includes('; hit')
          resolve({ status: incoming.statusCode!, hit, text })
        })
      })
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)))
      sent.on('error', reject)
      sent.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }
}

/** Of the line that is nearest to the points. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: 0 | 1): number =>
    points.reduce((sum, each) => sum + each[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  const along = points.reduce((sum, each) => sum + (each[0] - x) * (each[1] - y), 0)
  const width = points.reduce((sum, each) => sum + (each[0] - x) ** 2, 0)
  return width === 0 ? 0 : along / width
}
