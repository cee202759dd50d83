import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, describe, it } from 'node:test'

import { eventually, inTime } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import type { Closed, ProgramStart } from './program.ts'

const PROGRAM = join(import.meta.dirname, 'program.js')
/** Closing waits for what is under way, and for Redis no longer than a second or two. */
const CLOSED_MS = 8000
const ENDED_MS = 8000
const ANSWERED = ['0123456789', 'slow', 'slow', 'slow']

async function open(t: TestContext, start: ProgramStart): Promise<TestProcess> {
  const program = await inTime('the start', TestProcess.start(PROGRAM, start))
  t.after(() => program.stop())
  assert.equal(await inTime('an answer', program.ask('get', '/')), 'answered')
  return program
}

/** Closes it with all kinds of things under way; afterwards nothing keeps the process. */
async function assertEnds(t: TestContext, program: TestProcess): Promise<void> {
  const { tookMs, answered } = await inTime('the close', program.ask<Closed>('close'), CLOSED_MS)
  assert.deepEqual(answered, ANSWERED, 'what was under way has its answer')
  let left: string[] = []
  await eventually(
    'nothing is left open',
    async () => (left = await program.ask<string[]>('resources')).length === 0,
    ENDED_MS,
  ).catch(() => assert.deepEqual(left, []))
  await program.ask('leave')
  assert.equal(await inTime('the end', program.ended(), ENDED_MS), 0, program.output)
  t.diagnostic(`closed in ${tookMs.toFixed(0)} ms`)
  assert.equal(program.output, '')
}

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
        const program = await open(t, { redis: server.url, ownClient })
        await after(server)
        await assertEnds(t, program)
      })
    }
  }

  it('is over soon, and the process ends by itself, without Redis', async (t) => {
    await assertEnds(t, await open(t, { redis: undefined }))
  })

  for (const frozen of [false, true]) {
    const redis = frozen ? 'is frozen' : 'is well'
    it(`does not wait for ever for a background refresh that never ends: Redis ${redis}`, async (t) => {
      const server = await startRedis()
      t.after(() => server.stop())
      const program = await open(t, { redis: server.url })
      await eventually('it is being refreshed', async () => {
        assert.equal(await program.ask('get', '/stale'), 'stale')
        return (await program.ask<number>('refreshes')) > 0
      })
      if (frozen) server.freeze()
      await assertEnds(t, program)
    })
  }
})
