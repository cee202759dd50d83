import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { commandCalls } from '../store/command-calls.ts'
import { makeEntry } from '../store/entries.ts'
import { startRedis } from '../support/redis.ts'
import { KEYS, LogProcess, NAMESPACE } from './log-process.ts'

const ENTRIES = 200_000
const ROUNDS = 15
/** Below this two durations say nothing about anything but the machine. */
const FLOOR_MS = 5

async function medianMs(action: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    await action()
    times.push(performance.now() - start)
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1]!
}

describe('invalidating a tag that many entries carry', () => {
  it(`costs what it costs with one entry: ${ENTRIES} entries, and no key beside them`, async (t) => {
    const server = await startRedis()
    const client = server.client({ enableAutoPipelining: true })
    const raw = server.client()
    const process = await LogProcess.start(client)
    const guard = new RedisGuard(client, {
      deadlineMs: 5000,
      breaker: false,
      onTrouble: () => {},
    })
    const store = new RedisStore(guard, NAMESPACE, () => {})
    const entry = makeEntry({ ...process.compute(), tags: ['t:=shared'], ttlMs: 600_000 })

    await store.set('0', entry, 600_000)
    const withOne = await medianMs(() => process.invalidate('t:=shared'))
    const callsWithOne = await commandCalls(raw, () => process.invalidate('t:=shared'))

    for (let from = 1; from < ENTRIES; from += 5000) {
      const numbers = Array.from({ length: Math.min(5000, ENTRIES - from) }, (_, n) => from + n)
      const stored = await Promise.all(numbers.map((n) => store.set(String(n), entry, 600_000)))
      assert.ok(stored.every((each) => each))
    }
    const newest = { ...entry, ...process.log.position }
    await store.set('0', newest, 600_000)
    assert.equal(await process.uses((await store.get('0'))!.entry), true)
    const withMany = await medianMs(() => process.invalidate('t:=shared'))
    const callsWithMany = await commandCalls(raw, () => process.invalidate('t:=shared'))

    t.diagnostic(
      `median with 1 entry ${withOne.toFixed(2)} ms, with ${ENTRIES} ${withMany.toFixed(2)} ms`,
    )
    assert.ok(withMany <= Math.max(3 * withOne, FLOOR_MS), `${withMany} ms against ${withOne} ms`)
    // What the follower asks by itself comes and goes; what the script does must be the same.
    for (const name of ['evalsha', 'incr', 'zadd', 'xadd', 'expire', 'set', 'unlink', 'del']) {
      assert.equal(callsWithMany[name], callsWithOne[name], name)
    }
    assert.equal(await raw.dbsize(), ENTRIES + Object.keys(KEYS).length)
    assert.equal(await raw.zcard(KEYS.tags), 2, 'one tag, and the mark that the set is whole')
    for (const key of ['0', '1', String(ENTRIES - 1)]) {
      assert.equal(await process.uses((await store.get(key))!.entry), false)
      assert.ok((await raw.pttl(`${NAMESPACE}#${key}`)) > 0)
    }
    await process.close()
    await server.stop()
  })
})
