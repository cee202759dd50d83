import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { newEpoch } from '../../src/invalidation/local-log.ts'
import { RedisFollower } from '../../src/invalidation/redis-follower.ts'
import { ControlCalls } from '../../src/invalidation/redis-scripts.ts'
import { startRedis } from '../support/redis.ts'
import { KEYS } from './log-process.ts'

const RECORDS = 3500

// What Redis named and a page had not reached yet was taken for lost: each slow process loaded the
// whole table again, and again, in the very moment in which Redis had most to do.
it('a process that is slow reads a burst of records to its end, and does not load the table again', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  const redis = server.client({ enableAutoPipelining: true })
  const calls = new ControlCalls(KEYS)
  let loads = 0
  const troubles: string[] = []
  const follower = new RedisFollower(redis, {
    ...{ calls, maxTags: 1000, inspect: undefined },
    // Between loading and following, so that all of it is there at once.
    beforeTrust: async () => {
      if (loads++ > 0) return
      const burst = Array.from({ length: RECORDS }, (_, index) =>
        calls.run(redis, 'invalidate', [newEpoch(), 'expire', 1000, 10_000, `t:=${index % 100}`]),
      )
      await Promise.all(burst)
      slowDown(follower)
    },
    onTrouble: (_operation, error) => troubles.push(error.message),
  })
  t.after(() => follower.close())
  follower.start()
  const caughtUp = await follower.until(() => follower.position.seq === RECORDS, 30_000)
  assert.deepEqual([caughtUp, loads, troubles], [true, 1, []])
  assert.equal(follower.table.lastSeq('t:=99'), RECORDS)
})

// The timer ran before the answer was read that had come long before: a connection given up, and the
// whole table loaded again, by each process that stood still.
it('a process that stood still reads the answers that came meanwhile, and goes on', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  let loads = 0
  const troubles: string[] = []
  const follower = new RedisFollower(server.client(), {
    ...{ calls: new ControlCalls(KEYS), maxTags: 1000, inspect: undefined },
    beforeTrust: async () => void loads++,
    onTrouble: (_operation, error) => troubles.push(error.message),
  })
  t.after(() => follower.close())
  follower.start()
  const isVerifiedSince = (at: number): Promise<boolean> =>
    follower.until(() => follower.verifiedAt > at, 30_000)
  assert.ok(await isVerifiedSince(performance.now()))
  await pause(20) // the next read is on its way
  const end = performance.now() + 3000
  while (performance.now() < end);
  assert.ok(await isVerifiedSince(end))
  assert.deepEqual([loads, troubles], [1, []])
})

/** A page takes longer than the time between two questions. */
function slowDown({ table }: RedisFollower): void {
  const apply = table.apply.bind(table)
  table.apply = (invalidation, seq) => {
    const end = performance.now() + 0.6
    while (performance.now() < end);
    apply(invalidation, seq)
  }
}
