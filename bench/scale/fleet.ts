// A thousand followers in a few processes, and what the server that they follow makes of it.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import { ControlCalls, controlKeys } from '../../src/invalidation/redis-scripts.ts'
import type { RedisServer } from '../../test/support/redis.ts'
import { type Collected, type Question, machineMs } from './followers.ts'
import { type Row, milliseconds, percent, quantile, rounded } from './figures.ts'
import { type Usage, between, usageOf } from './usage.ts'

const MODULE = join(import.meta.dirname, 'followers.js')
const EPOCH = 'a'.repeat(16)
const MAX_TAGS = 100_000
const MAX_RECORDS = 10_000

/** Invalidations on their way at the same time, when as many as possible are sent. */
const WINDOW = 64

export class Fleet {
  readonly size: number
  readonly #redis: Redis
  readonly #calls: ControlCalls
  readonly #processes: ChildProcess[]

  static async start(server: RedisServer, namespace: string, size: number): Promise<Fleet> {
    const parts = Math.min(size, 2 * availableParallelism())
    const processes = Array.from({ length: parts }, (_, part) => {
      const count = Math.floor(((part + 1) * size) / parts) - Math.floor((part * size) / parts)
      return fork(MODULE, [server.url, namespace, String(count)], { serialization: 'advanced' })
    })
    await Promise.all(processes.map((each) => once(each, 'message')))
    return new Fleet(server, namespace, size, processes)
  }

  private constructor(
    server: RedisServer,
    namespace: string,
    size: number,
    processes: ChildProcess[],
  ) {
    this.#redis = server.client()
    this.#calls = new ControlCalls(controlKeys(namespace))
    this.size = size
    this.#processes = processes
  }

  async stop(): Promise<void> {
    const ends = this.#processes.map((each) => once(each, 'exit'))
    for (const each of this.#processes) each.kill('SIGKILL')
    await Promise.all(ends)
  }

  /** Nothing is invalidated: what followers cost that only ask whether they are right. */
  async idle(seconds: number): Promise<Row> {
    await this.#ask({ watch: true })
    const before = await usageOf(this.#redis)
    await pause(seconds * 1000)
    const used = between(before, await usageOf(this.#redis))
    const [parts] = await this.#collect(0, [])
    return { followers: this.size, 'records/s': 0, ...this.#costs(used, parts) }
  }

  /** Invalidations of one tag, evenly spread over the time. */
  async atRate(rate: number, seconds: number): Promise<Row> {
    return this.#run(async (send) => {
      const start = performance.now()
      for (let index = 0; index < rate * seconds; index++) {
        const due = start + (index * 1000) / rate - performance.now()
        if (due > 0) await pause(due)
        void send()
      }
    })
  }

  /** As many as the server takes. */
  async flood(seconds: number): Promise<Row> {
    return this.#run(async (send) => {
      const end = performance.now() + seconds * 1000
      await Promise.all(
        Array.from({ length: WINDOW }, async () => {
          while (performance.now() < end) await send()
        }),
      )
    })
  }

  async #run(publish: (send: () => Promise<void>) => Promise<void>): Promise<Row> {
    await this.#ask({ watch: true })
    const sentAt: number[] = []
    const answers: Promise<void>[] = []
    const answeredMs: number[] = []
    const before = await usageOf(this.#redis)
    const first = Number(await this.#redis.get(this.#calls.keys.seq)) + 1
    await publish(() => {
      const sent = machineMs()
      sentAt.push(sent)
      const tag = `t:=product:${sentAt.length % 1000}`
      const args = [EPOCH, 'expire', MAX_TAGS, MAX_RECORDS, tag]
      const answer = this.#calls
        .run(this.#redis, 'invalidate', args)
        .then(() => void answeredMs.push(machineMs() - sent))
      answers.push(answer)
      return answer
    })
    await Promise.all(answers)
    const published = performance.now() - before.at
    const [parts, after] = await this.#collect(first, sentAt)
    const used = between(before, after)
    return {
      followers: this.size,
      'records/s': rounded(sentAt.length / (published / 1000)),
      'resolved, median': milliseconds(quantile(Float32Array.from(answeredMs), 0.5)),
      ...deliveries(parts),
      ...this.#costs(used, parts),
      'records per read': used.reads === 0 ? '' : rounded((sentAt.length * this.size) / used.reads),
    }
  }

  /** What the followers have seen, once all have seen the last; and what Redis has used until then. */
  async #collect(first: number, sentAt: number[]): Promise<[Collected[], Usage]> {
    const parts = (await this.#ask({ collect: { first, sentAt } })) as Collected[]
    return [parts, await usageOf(this.#redis)]
  }

  #costs({ at, cpuMs, bytesOut, reads }: Usage, parts: readonly Collected[]): Row {
    const followersMs = parts.reduce((sum, part) => sum + part.cpuMs, 0)
    return {
      'Redis CPU': percent(cpuMs / at),
      'followers CPU': percent(followersMs / at),
      'Redis CPU per read': reads === 0 ? '' : `${rounded((1000 * cpuMs) / reads)} µs`,
      'bytes out/s': rounded(bytesOut / (at / 1000)),
    }
  }

  async #ask(question: Question): Promise<unknown[]> {
    const answers = this.#processes.map((each) => once(each, 'message'))
    for (const each of this.#processes) each.send(question)
    return (await Promise.all(answers)).map(([answer]) => answer as unknown)
  }
}

function deliveries(parts: readonly Collected[]): Row {
  if (parts.length === 0) return {}
  const all = new Float32Array(parts.reduce((sum, { delays }) => sum + delays.length, 0))
  const slowest = new Float32Array(parts[0]!.slowest.length)
  let at = 0
  for (const part of parts) {
    all.set(part.delays, at)
    at += part.delays.length
    for (const [index, delay] of part.slowest.entries()) {
      slowest[index] = Math.max(slowest[index]!, delay)
    }
  }
  all.sort()
  return {
    'delivered, median': milliseconds(quantile(all, 0.5)),
    p99: milliseconds(quantile(all, 0.99)),
    max: milliseconds(quantile(all, 1)),
    'to all, median': milliseconds(quantile(slowest, 0.5)),
    reloads: parts.reduce((sum, { reloads }) => sum + reloads, 0),
    trouble: parts.reduce((sum, { troubles }) => sum + troubles, 0),
  }
}
