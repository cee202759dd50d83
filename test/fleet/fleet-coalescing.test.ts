// Promise 10 for a fleet: processes that die, stand still and lose their Redis while others wait.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { Stats } from '../../src/index.ts'
import { type Answer, Client, Door } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { Run, RunAnswer } from './coalescing-worker.ts'
import { COALESCING } from './modes.ts'

const SIZE = 4
/** What a leader that is killed costs the others at the most, on a machine with nothing else to do. */
const LEASE_MS = 2000
const BUSY_MS = 6000

describe('a fleet of four processes', () => {
  let redis: RedisServer
  const processes: TestProcess[] = []
  const clients: Client[] = []
  let runs: Run[] = []
  let answer: (count: number) => RunAnswer | Promise<RunAnswer>

  before(async () => {
    redis = await startRedis()
    const run = (one: Run): RunAnswer | Promise<RunAnswer> => answer(runs.push(one))
    const module = join(import.meta.dirname, 'coalescing-worker.js')
    await Promise.all(
      Array.from({ length: SIZE }, async (_, at) => {
        const process = await TestProcess.start(module, redis.url, { run })
        processes[at] = process
        clients[at] = new Client(await process.ask<number>('port'))
      }),
    )
    await verified()
  })
  after(async () => {
    await Promise.all(processes.map((process) => process.stop()))
    await redis?.stop()
  })

  const stats = (at: number, cache: string): Promise<Stats> => processes[at]!.ask('stats', cache)

  async function verified(): Promise<void> {
    for (const at of processes.keys()) {
      for (const cache of Object.keys(COALESCING)) {
        await eventually(`${cache} is loaded`, async () => (await stats(at, cache)).log.verified)
      }
    }
  }

  /** One host, whichever process it is. */
  const get = (at: number, path: string): Promise<Answer> =>
    clients[at % SIZE]!.get(path, { host: 'shop.example' })

  const many = (count: number, path: string): Promise<Answer>[] =>
    Array.from({ length: count }, (_, n) => get(n, path))

  /** Handlers wait until it is opened. */
  function shut(shown: Partial<RunAnswer> = {}): Door {
    const door = new Door()
    answer = async (count) => {
      await door.pass()
      return { text: `run ${count}`, ...shown }
    }
    return door
  }

  async function waiting(cache: string, expected: Record<number, number>): Promise<void> {
    for (const [at, count] of Object.entries(expected)) {
      await eventually(`process ${at} waits`, async () => {
        return (await stats(Number(at), cache)).fleet!.waiting === count
      })
    }
  }

  it('answers 500 cold requests with one run of the handler', async () => {
    runs = []
    const door = shut()
    const cold = many(500, '/plain/cold')
    await door.reached()
    await pause(200)
    door.open()
    for (const { status, text } of await Promise.all(cold)) {
      assert.equal(status, 200)
      assert.equal(text, 'run 1')
    }
    assert.equal(runs.length, 1)
  })

  it('refreshes once what all processes serve stale', async () => {
    runs = []
    shut().open()
    await Promise.all(many(SIZE, '/stale/page'))
    assert.equal(runs.length, 1)
    const door = shut()
    await pause(1100)
    for (const { text } of await Promise.all(many(40, '/stale/page'))) assert.equal(text, 'run 1')
    await door.reached()
    for (const { text } of await Promise.all(many(40, '/stale/page'))) assert.equal(text, 'run 1')
    assert.equal(runs.length, 2)
    door.open()
    await eventually('it is fresh everywhere', async () => {
      const answers = await Promise.all(many(SIZE, '/stale/page'))
      return answers.every(({ text }) => text !== 'run 1')
    })
  })

  it('lets everybody go at once when the first answer may not be stored', async () => {
    const first = shut({ setCookie: true })
    const leader = get(0, '/plain/private')
    await first.reached()
    const others = many(40, '/plain/private')
    await waiting('plain', { 1: 1, 2: 1, 3: 1 })
    const rest = shut({ setCookie: true })
    first.open()
    await leader
    // All of them are at the door before one has passed it.
    await rest.reached(others.length)
    rest.open()
    const texts = (await Promise.all(others)).map(({ text }) => text)
    assert.equal(new Set(texts).size, others.length)
  })

  it('gives nobody who comes after an invalidation what was made before it', async (t) => {
    runs = []
    let version = 1
    answer = async () => {
      const text = String(version)
      await pause(Math.random() * 20)
      return { text }
    }
    for (let round = 0; round < 20; round++) {
      const early = many(8, '/strict/page')
      await pause(Math.random() * 10)
      const written = ++version
      await processes[round % SIZE]!.ask('invalidate', 'strict')
      for (const { status, text } of await Promise.all(many(8, '/strict/page'))) {
        assert.equal(status, 200)
        assert.ok(Number(text) >= written, `${text} after ${written}`)
      }
      for (const { status } of await Promise.all(early)) assert.equal(status, 200)
    }
    t.diagnostic(`${runs.length} runs in 20 rounds`)
  })

  it('answers everybody while Redis stands still', async () => {
    runs = []
    const door = shut()
    const first = get(0, '/impatient/page')
    await door.reached()
    const others = [1, 2, 3, 1, 2, 3].map((at) => get(at, '/impatient/page'))
    await waiting('impatient', { 1: 1, 2: 1, 3: 1 })
    redis.freeze()
    // Each process runs its own, for all who wait there.
    await door.reached(SIZE)
    const late = many(SIZE, '/impatient/late')
    await door.reached(2 * SIZE)
    door.open()
    const answers = await Promise.all([first, ...others, ...late])
    for (const { status } of answers) assert.equal(status, 200)
    assert.equal(runs.length, 2 * SIZE)
    redis.thaw()
    await verified()
  })

  it('goes on without a leader that is killed or stands still', async (t) => {
    runs = []
    const door = shut()
    const killed = get(0, '/plain/killed').catch(() => 'gone')
    const stopped = get(1, '/plain/stopped')
    await door.reached(2)
    const others = [2, 3, 2, 3].flatMap((at) => [
      get(at, '/plain/killed'),
      get(at, '/plain/stopped'),
    ])
    await waiting('plain', { 2: 2, 3: 2 })
    const since = performance.now()
    await processes[0]!.stop()
    processes[1]!.freeze()
    await door.reached(4)
    const tookMs = performance.now() - since
    t.diagnostic(`taken over after ${tookMs.toFixed()} ms`)
    assert.ok(tookMs < LEASE_MS + BUSY_MS, `${tookMs}`)
    door.open()
    for (const { status, text } of await Promise.all(others)) {
      assert.equal(status, 200)
      assert.match(text, /^run [34]$/)
    }
    assert.equal(await killed, 'gone')
    // What comes back late answers its own client still, and takes nothing from others.
    processes[1]!.thaw()
    assert.equal((await stopped).status, 200)
    assert.equal(runs.length, 4)
  })
})
