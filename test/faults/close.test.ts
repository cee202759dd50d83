import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { inTime } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { ProgramStart } from './program.ts'

const PROGRAM = join(import.meta.dirname, 'program.js')
/** Closing waits for what is under way, and for Redis no longer than a second or two. */
const CLOSED_MS = 8000
const ENDED_MS = 8000

describe('app.close()', { concurrency: 6 }, () => {
  const states: [
    what: string,
    before: (s: RedisServer) => unknown,
    after: (s: RedisServer) => unknown,
  ][] = [
    ['is well', () => {}, () => {}],
    ['has died', () => {}, (server) => server.kill()],
    ['is frozen', () => {}, (server) => server.freeze()],
    ['was never there', (server) => server.kill(), () => {}],
    ['was frozen all the time', (server) => server.freeze(), () => {}],
  ]
  for (const ownClient of [false, true]) {
    for (const [what, before, after] of states) {
      const whose = ownClient ? ', with a client of the application' : ''
      it(`is over soon, and the process ends by itself, when Redis ${what}${whose}`, async (t) => {
        const server = await startRedis()
        t.after(() => server.stop())
        await before(server)
        const start: ProgramStart = { redis: server.url, ownClient }
        const program = await inTime('the start', TestProcess.start(PROGRAM, start))
        t.after(() => program.stop())
        assert.equal(await inTime('an answer', program.ask('get', '/')), 'answered')
        await after(server)
        const took = await inTime('the close', program.ask<number>('close'), CLOSED_MS)
        const closedAt = performance.now()
        assert.equal(await inTime('the end', program.ended(), ENDED_MS), 0, program.output)
        const later = performance.now() - closedAt
        t.diagnostic(`closed in ${took.toFixed(0)} ms, ended ${later.toFixed(0)} ms later`)
        assert.equal(program.output, '')
      })
    }
  }

  it('is over soon, and the process ends by itself, without Redis', async (t) => {
    const program = await TestProcess.start(PROGRAM, { redis: undefined } satisfies ProgramStart)
    t.after(() => program.stop())
    assert.equal(await program.ask('get', '/'), 'answered')
    await inTime('the close', program.ask('close'), CLOSED_MS)
    assert.equal(await inTime('the end', program.ended(), ENDED_MS), 0)
  })
})
