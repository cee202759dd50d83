// What an invalidation leaves, through Redis: the same in all processes, and never less than was said.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import type { InvalidationMode, Verdict } from '../../src/invalidation/log.ts'
import { newEpoch } from '../../src/invalidation/local-log.ts'
import { CONTROL_SCRIPTS, controlKeyList } from '../../src/invalidation/redis-scripts.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { KEYS, LogProcess, loadedAnew } from './log-process.ts'

const VERDICTS: [mode: InvalidationMode, verdict: Verdict][] = [
  ['soft', 'softened'],
  ['expire', 'expired'],
  ['purge', 'purged'],
]

describe('the modes of a RedisLog', () => {
  let server: RedisServer
  let raw: Redis
  const opened: LogProcess[] = []
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  const closeAll = (): Promise<unknown> =>
    Promise.all(opened.splice(0).map((process) => process.close()))
  after(async () => {
    await closeAll()
    await server.stop()
  })
  beforeEach(async () => {
    await closeAll()
    await raw.flushall()
  })

  async function start(): Promise<LogProcess> {
    const process = await LogProcess.start(server.client())
    opened.push(process)
    return process
  }

  it('are known in the process that invalidated at once, and in the others by the record', async () => {
    const [one, two] = [await start(), await start()]
    for (const [mode, verdict] of VERDICTS) {
      const old = one.compute(`t:=${mode}`)
      assert.equal(one.log.verdict(old), 'valid')
      const { version } = one.log
      const told = one.log.invalidate({ tags: [`t:=${mode}`], mode })
      assert.equal(one.log.verdict(old), verdict)
      assert.ok(one.log.version > version)
      await told
      assert.equal(one.log.verdict(old), verdict)
      await two.log.confirm()
      assert.equal(two.log.verdict(old), verdict)
      assert.equal(two.log.allows(old), false)
    }
  })

  it('are the hardest of all that happened, in whatever order', async () => {
    const [one, two] = [await start(), await start()]
    const old = one.compute('t:=a')
    await one.log.invalidate({ tags: ['t:=a'], mode: 'expire' })
    const between = one.compute('t:=a')
    await two.log.invalidate({ tags: ['t:=a'], mode: 'soft' })
    await one.log.confirm()
    for (const { log } of [one, two]) {
      assert.equal(log.verdict(old), 'expired')
      assert.equal(log.verdict(between), 'softened')
    }
  })

  it('leave nothing of what was computed before everything was invalidated', async () => {
    const one = await start()
    const old = one.compute('t:=a')
    await one.log.invalidate({ tags: ['t:=a'], mode: 'soft' })
    await one.invalidateAll()
    assert.equal(one.log.verdict(old), 'purged')
    assert.equal(one.log.verdict({ ...one.compute('t:=a'), epoch: newEpoch() }), 'purged')
  })

  it('are not known to a process that starts later, which takes them for the hardest', async () => {
    const one = await start()
    const old = one.compute('t:=a')
    await one.log.invalidate({ tags: ['t:=a'], mode: 'soft' })
    const [between, other] = [one.compute('t:=a'), one.compute('t:=b')]
    const two = await start()
    assert.equal(one.log.verdict(old), 'softened')
    assert.equal(two.log.verdict(old), 'purged')
    assert.equal(two.log.verdict(between), 'valid')
    await one.log.invalidate({ tags: ['t:=a', 't:=b'], mode: 'soft' })
    await two.log.confirm()
    assert.equal(two.log.verdict(old), 'purged')
    assert.equal(two.log.verdict(between), 'softened')
    assert.equal(two.log.verdict(other), 'softened')
  })

  it('become the hardest when the log is loaded anew', async () => {
    const one = await start()
    const old = one.compute('t:=a')
    await one.log.invalidate({ tags: ['t:=a'], mode: 'soft' })
    await loadedAnew(one, raw, 1)
    await eventually('the new table is used', () => one.log.verdict(old) === 'purged')
    assert.equal(one.log.verdict(one.compute('t:=a')), 'valid')
  })

  it('of a later version are taken for the hardest', async () => {
    const one = await start()
    const old = one.compute('t:=a')
    await one.invalidate('t:=warm')
    const keys = controlKeyList(KEYS)
    const args = [newEpoch(), 'of a later version', 1000, 10_000, 't:=a']
    await raw.evalsha(CONTROL_SCRIPTS.invalidate.sha, keys.length, ...keys, ...args)
    await eventually('it has arrived', () => one.log.position.seq === 2)
    assert.equal(one.log.verdict(old), 'purged')
  })

  it('survive an outage of Redis: what is delivered later has the mode it was given', async () => {
    const [one, two] = [await start(), await start()]
    const all = VERDICTS.map(([mode, verdict]) => ({
      old: two.compute(`t:=${mode}`),
      mode,
      verdict,
    }))
    await raw.config('SET', 'min-replicas-to-write', '1')
    for (const { old, mode } of all) {
      const told = one.log.invalidate({ tags: old.tags, mode })
      await assert.rejects(told, { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING' })
    }
    for (const { old, verdict } of all) assert.equal(one.log.verdict(old), verdict)
    assert.equal(one.log.state().pendingInvalidations, 3)
    await raw.config('SET', 'min-replicas-to-write', '0')
    await eventually('the queue is empty', () => one.log.state().pendingInvalidations === 0)
    await two.log.confirm()
    for (const { old, verdict } of all) {
      assert.equal(one.log.verdict(old), verdict)
      assert.equal(two.log.verdict(old), verdict)
    }
  })
})
