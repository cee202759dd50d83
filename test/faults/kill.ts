// Processes that are killed at random points, round after round, and what must be true afterwards.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { eventually } from '../support/clock.ts'
import { type Answers, TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { Flushed, WorkerStart } from './kill-worker.ts'

const WORKER = join(import.meta.dirname, 'kill-worker.js')
const NAMES = ['one', 'two']

export interface KillReport {
  rounds: number
  /** At which of their steps processes were killed. */
  points: Record<string, number>
  /** What was done: acknowledged counts, or writes under the lock. */
  done: number
  /** Batches that came again under their id; or holders that had lost the lock, and were told. */
  repeated: number
}

/** The processes of one run; one is killed where `point` says, and another takes its place. */
class Workers {
  readonly report: KillReport
  readonly #server: RedisServer
  readonly #job: WorkerStart['job']
  readonly #answers: (name: string) => Answers
  readonly #from: (name: string) => number
  readonly #running = new Map<string, TestProcess>()
  /** The next step of that name, of this process, is its last. */
  #doomed: { name: string; step: string; after: number; died: () => void } | undefined
  readonly failures: string[] = []

  constructor(parts: {
    server: RedisServer
    job: WorkerStart['job']
    answers: (name: string) => Answers
    from?: (name: string) => number
  }) {
    this.#server = parts.server
    this.#job = parts.job
    this.#answers = parts.answers
    this.#from = parts.from ?? (() => 0)
    this.report = { rounds: 0, points: {}, done: 0, repeated: 0 }
  }

  async start(name: string): Promise<void> {
    const answers = Object.entries(this.#answers(name)).map(
      ([step, answer]): [string, (value: unknown) => Promise<unknown>] => [
        step,
        async (value) => {
          await this.#perhapsKill(name, `before ${step}`)
          const answered: unknown = await answer(value)
          // It hears of it, and does not come much further.
          setImmediate(() => void this.#perhapsKill(name, `after ${step}`))
          return answered
        },
      ],
    )
    const start = { redis: this.#server.url, name, job: this.#job, from: this.#from(name) }
    const failed = (error: string): void => void this.failures.push(error)
    const child = await TestProcess.start(WORKER, start, {
      ...Object.fromEntries(answers),
      failed,
    })
    this.#running.set(name, child)
  }

  /** Kills one at a random step, or at a random moment, and starts it again. */
  async round(steps: readonly string[]): Promise<void> {
    const name = NAMES[Math.floor(Math.random() * NAMES.length)]!
    const points = [...steps.flatMap((step) => [`before ${step}`, `after ${step}`]), 'any time']
    const step = points[Math.floor(Math.random() * points.length)]!
    let died!: () => void
    const dead = new Promise<void>((resolve) => (died = resolve))
    this.#doomed = { name, step, after: Math.floor(Math.random() * 10), died }
    // A step that does not come, because another process does all the work, is no reason to wait.
    await Promise.race([dead, pause(step === 'any time' ? 100 * Math.random() : 800)])
    if (this.#doomed !== undefined) await this.#kill('any time')
    this.report.rounds++
    await this.start(name)
  }

  async #perhapsKill(name: string, step: string): Promise<void> {
    if (this.#doomed?.name !== name || this.#doomed.step !== step) return
    if (this.#doomed.after-- > 0) return
    const { died } = this.#doomed
    await this.#kill(step)
    died()
  }

  async #kill(step: string): Promise<void> {
    const { name } = this.#doomed!
    this.#doomed = undefined
    this.report.points[step] = (this.report.points[step] ?? 0) + 1
    await this.#running.get(name)?.stop()
  }

  /** Lets all of them end what they do. */
  async finish(): Promise<TestProcess[]> {
    const all = [...this.#running.values()]
    await Promise.all(all.map((child) => child.ask('stop')))
    return all
  }

  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#running.values(), (child) => child.stop()))
  }
}

/** Nothing that was acknowledged is lost, and a batch that comes again has its id and its content. */
export async function killCounting(rounds: number): Promise<KillReport> {
  const server = await startRedis()
  const counted = new Map(NAMES.map((name) => [name, 0]))
  const acknowledged = new Map(NAMES.map((name) => [name, 0]))
  const batches = new Map<string, string>()
  const sums = new Map<string, number>()
  const last = new Map<string, unknown>()
  let unsure = 0
  const workers = new Workers({
    server,
    job: 'count',
    from: (name) => counted.get(name)!,
    answers: (name) => ({
      counted: ({ n }: { n: number }) => {
        counted.set(name, n)
        acknowledged.set(name, acknowledged.get(name)! + 1)
      },
      unsure: () => unsure++,
      flush: (flushed: Flushed) => {
        const content = JSON.stringify([flushed.increments.sort(), flushed.values.sort()])
        const known = batches.get(flushed.id)
        if (known !== undefined) {
          assert.equal(content, known, 'a batch that comes again is the same')
          workers.report.repeated++
          return
        }
        batches.set(flushed.id, content)
        for (const [field, by] of flushed.increments) sums.set(field, (sums.get(field) ?? 0) + by)
        for (const [field, value] of flushed.values) last.set(field, value)
      },
    }),
  })
  try {
    for (const name of NAMES) await workers.start(name)
    for (let round = 0; round < rounds; round++) await workers.round(['counted', 'flush'])
    const [child] = await workers.finish()
    await child!.ask('flush')
    assert.deepEqual(workers.failures, [])
    for (const name of NAMES) {
      const [atLeast, sum] = [acknowledged.get(name)!, sums.get(name) ?? 0]
      // One write of each process that was killed may have arrived without its knowing.
      const atMost = atLeast + rounds + unsure
      assert.ok(sum >= atLeast && sum <= atMost, `${name}: ${atLeast} <= ${sum} <= ${atMost}`)
      assert.ok((last.get(name) as number) >= counted.get(name)!, `${name}: the last value`)
      workers.report.done += sum
    }
    const left = await server.client().keys('kill#b:*')
    assert.deepEqual(
      left.filter((key) => !key.includes(':w:')),
      [],
      'nothing waits any more',
    )
    return workers.report
  } finally {
    await workers.stop()
    await server.stop()
  }
}

/** What is written under the lock with the number checked is never overwritten unseen. */
export async function killHolders(rounds: number): Promise<KillReport> {
  const server = await startRedis()
  const resource = { value: 0, highest: 0 }
  const seen = new Set<number>()
  const workers = new Workers({
    server,
    job: 'lock',
    answers: () => ({
      read: (fencing: number) => {
        assert.ok(!seen.has(fencing), 'no two holders have the same number')
        seen.add(fencing)
        if (fencing < resource.highest) {
          workers.report.repeated++
          return undefined
        }
        resource.highest = fencing
        return resource.value
      },
      write: ({ fencing, value }: { fencing: number; value: number }) => {
        if (fencing < resource.highest) {
          workers.report.repeated++
          return
        }
        assert.equal(value, resource.value + 1, 'nobody else has written')
        resource.value = value
        workers.report.done++
      },
    }),
  })
  try {
    for (const name of NAMES) await workers.start(name)
    for (let round = 0; round < rounds; round++) {
      await workers.round(['read', 'write'])
      const { done } = workers.report
      await eventually('the lock of the dead is free', () => workers.report.done > done)
    }
    await workers.finish()
    assert.deepEqual(workers.failures, [])
    assert.equal(resource.value, workers.report.done)
    return workers.report
  } finally {
    await workers.stop()
    await server.stop()
  }
}
