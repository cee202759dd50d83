import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'

import { Deadline, Deadlines } from '../../src/store/deadlines.ts'
import { eventually, inTime } from '../support/clock.ts'

const LENGTH_MS = 20

/** Says something at the start, and to everything that it is told. */
const ECHO = `process.stdout.write('ready'); process.stdin.pipe(process.stdout)`

/** Notes when it has expired and how often. */
class Noted extends Deadline {
  expired = 0
  tooEarly = false
  readonly #start = performance.now()

  override expire(): void {
    this.expired++
    this.tooEarly ||= performance.now() - this.#start < LENGTH_MS
  }
}

function add(deadlines: Deadlines): Noted {
  const deadline = new Noted()
  deadlines.add(deadline)
  return deadline
}

describe('Deadlines', () => {
  it('expire once each, never too early, whenever they were added', async () => {
    const deadlines = new Deadlines(LENGTH_MS)
    const entries = Array.from({ length: 50 }, () => add(deadlines))
    await eventually('the first expire', () => {
      if (entries.length < 200) entries.push(add(deadlines))
      return entries.length === 200 && entries.every(({ expired }) => expired > 0)
    })
    assert.ok(entries.every(({ expired, tooEarly }) => expired === 1 && !tooEarly))
  })

  it('leave alone what has ended before', async () => {
    const deadlines = new Deadlines(LENGTH_MS)
    const entries = Array.from({ length: 100 }, () => add(deadlines))
    const ended = entries.filter((_, at) => at % 3 !== 0)
    for (const deadline of ended) deadlines.remove(deadline)
    const last = add(deadlines)
    await eventually('the last expires', () => last.expired > 0)
    assert.equal(entries.filter(({ expired }) => expired === 1).length, 34)
    assert.ok(ended.every(({ expired }) => expired === 0))
  })

  it('end in time when the answer was there before a standstill ended', async () => {
    const other = spawn(process.execPath, ['-e', ECHO], { stdio: ['pipe', 'pipe', 'inherit'] })
    await once(other.stdout, 'data')
    const deadlines = new Deadlines(LENGTH_MS)
    const deadline = add(deadlines)
    const answered = once(other.stdout, 'data').then(() => deadlines.remove(deadline))
    other.stdin.write('ping')
    // Long enough for the other process to answer, and for the deadline to pass.
    const until = performance.now() + 500
    while (performance.now() < until);
    await answered
    other.kill()
    assert.equal(deadline.expired, 0)
  })

  it('begin anew after a time without any', async () => {
    const deadlines = new Deadlines(LENGTH_MS)
    for (let round = 0; round < 3; round++) {
      const entry = add(deadlines)
      await eventually('it expires', () => entry.expired > 0)
      assert.equal(entry.tooEarly, false)
    }
  })

  it('need one timer for all', (t) => {
    const { mock } = t.mock.method(globalThis, 'setTimeout')
    const deadlines = new Deadlines(LENGTH_MS)
    const entries = Array.from({ length: 1000 }, () => add(deadlines))
    assert.equal(mock.callCount(), 1)
    for (const deadline of entries) deadlines.remove(deadline)
  })

  it('do not keep a process alive once all have ended', async () => {
    const source = new URL('../../src/store/deadlines.js', import.meta.url).href
    const program = `
      import { Deadline, Deadlines } from '${source}'
      const deadlines = new Deadlines(600_000)
      const [one, two] = [new Deadline(), new Deadline()]
      deadlines.add(one)
      deadlines.add(two)
      deadlines.remove(one)
      deadlines.remove(two)
    `
    const child = spawn(process.execPath, ['--input-type=module', '-e', program])
    try {
      const [code] = (await inTime('the end', once(child, 'exit'))) as [number]
      assert.equal(code, 0)
    } finally {
      child.kill('SIGKILL')
    }
  })
})
