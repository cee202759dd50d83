// Processes of one log whose connections are held up, cut and left to die at random, while they
// invalidate at random. What is old is never used; and when all is quiet, all is cached again.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import type { Fenced } from '../../src/invalidation/log.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { KEYS, LogProcess } from './log-process.ts'

const TAGS = ['t:=a', 't:=b', 't:=c', 't:=d']
const RUN_MS = 5000
const ROUND_MS = 100
/** A bound for what takes the log at most 3 s. */
const RECOVERY_MS = 10_000
const MAX_ENTRIES = 300

const anyOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!

interface Computed {
  readonly entry: Fenced
  /** Processes that were told to forget it. */
  readonly forgotten: Set<Process>
  /** An invalidation of it that began later is done: nobody may use it who asks Redis. */
  isOver: boolean
}

class Process {
  readonly log: LogProcess
  readonly #relays: readonly Relay[]

  static async start(t: TestContext, port: number, raw: Redis): Promise<Process> {
    const relays = [await Relay.start(t, port), await Relay.start(t, port)] as const
    const given = raw.duplicate({ port: relays[0].port, retryStrategy: () => 5 })
    given.on('error', () => {})
    t.after(() => given.disconnect())
    const duplicate = given.duplicate.bind(given)
    const client = Object.create(given, {
      duplicate: { value: (override: object) => duplicate({ ...override, port: relays[1].port }) },
    }) as Redis
    const log = await LogProcess.start(client, { deadlineMs: 100 })
    t.after(() => log.close())
    return new Process(log, relays)
  }

  private constructor(log: LogProcess, relays: readonly Relay[]) {
    this.log = log
    this.#relays = relays
  }

  /** Something happens to one of its connections, or to both. */
  async spoil(port: number): Promise<void> {
    const relays = anyOf([[this.#relays[0]!], [this.#relays[1]!], this.#relays])
    if (Math.random() < 0.5) for (const relay of relays) relay.leadTo(port)
    else {
      for (const relay of relays) relay.holdUp()
      await pause(Math.random() * 150)
      // What was held up arrives now, or never.
      if (Math.random() < 0.5) for (const relay of relays) relay.leadTo(port)
      for (const relay of relays) relay.release()
    }
  }
}

class Model {
  readonly processes: readonly Process[]
  #computed: Computed[] = []
  counts = { invalidations: 0, pending: 0, checks: 0 }

  constructor(processes: readonly Process[]) {
    this.processes = processes
  }

  compute(): void {
    const { log } = anyOf(this.processes)
    if (log.log.position.epoch === '') return
    const entry = log.compute(anyOf(TAGS))
    this.#computed.push({ entry, forgotten: new Set(), isOver: false })
    if (this.#computed.length > MAX_ENTRIES) this.#computed.shift()
  }

  async invalidate(): Promise<void> {
    const [process, tag] = [anyOf(this.processes), anyOf(TAGS)]
    const before = this.#computed.filter(({ entry }) => entry.tags[0] === tag)
    const { seq } = process.log.log.position
    const invalidating = process.log.invalidate(tag)
    // What was computed further ahead may have been computed after it, until its number is known.
    for (const each of before) if (each.entry.seq <= seq) each.forgotten.add(process)
    this.#assertForgotten()
    this.counts.invalidations++
    try {
      await invalidating
    } catch {
      this.counts.pending++
      return
    } finally {
      for (const each of before) each.forgotten.add(process)
      this.#assertForgotten()
    }
    for (const each of before) each.isOver = true
  }

  #assertForgotten(): void {
    for (const { entry, forgotten } of this.#computed) {
      for (const { log } of forgotten) {
        assert.equal(log.log.verified() && log.log.allows(entry), false, 'forgotten here')
      }
    }
  }

  async check(): Promise<void> {
    this.#assertForgotten()
    const { log } = anyOf(this.processes)
    const over = this.#computed.filter(({ isOver }) => isOver)
    if (over.length === 0) return
    this.counts.checks++
    assert.equal(await log.uses(anyOf(over).entry, true), false, 'done for all')
    this.#assertForgotten()
  }

  /** With no further invalidation. */
  async assertQuiet(): Promise<void> {
    for (const { log } of this.processes) {
      await eventually('all is delivered', () => log.log.state().pendingInvalidations === 0)
      for (const tag of TAGS) {
        for (const { log: other } of this.processes) {
          await eventually(
            `${tag} is cached again`,
            async () => {
              const fresh = log.compute(tag)
              return (await log.uses(fresh)) && (await other.uses(fresh))
            },
            RECOVERY_MS,
          )
        }
      }
    }
    for (const { entry, forgotten, isOver } of this.#computed) {
      if (!isOver && forgotten.size === 0) continue
      for (const { log } of this.processes) assert.equal(await log.uses(entry, true), false)
    }
  }
}

describe('processes of one log whose connections break at random', () => {
  it('use nothing that is old, and cache again when all is quiet', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const raw = server.client()
    const processes = await Promise.all(
      Array.from({ length: 3 }, () => Process.start(t, server.port, raw)),
    )
    const model = new Model(processes)
    const endsAt = performance.now() + RUN_MS
    let rounds = 0
    // Short rounds: a later record hides what had been waiting for one.
    for (; performance.now() < endsAt; rounds++) {
      const roundEndsAt = performance.now() + ROUND_MS
      const loop = async (act: () => unknown, restMs: number): Promise<void> => {
        while (performance.now() < roundEndsAt) {
          await pause(Math.random() * restMs)
          await act()
        }
      }
      await Promise.all([
        loop(() => model.compute(), 4),
        ...Array.from({ length: 2 }, () => loop(() => model.invalidate(), ROUND_MS)),
        ...Array.from({ length: 2 }, () => loop(() => model.check(), 6)),
        ...processes.map((process) => loop(() => process.spoil(server.port), ROUND_MS)),
        Math.random() < 0.1 && raw.unlink(KEYS.epoch),
      ])
      await model.assertQuiet()
    }
    t.diagnostic(`${rounds} rounds, ${JSON.stringify(model.counts)}`)
  })
})
