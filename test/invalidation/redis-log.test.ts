import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import { eventually } from '../support/clock.ts'
import { type ClientOptions, type RedisServer, startRedis } from '../support/redis.ts'
import { commandCalls } from '../store/command-calls.ts'
import { KEYS, LogProcess, type LogProcessOptions, NAMESPACE } from './log-process.ts'

describe('RedisLog', () => {
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

  async function start(
    options: LogProcessOptions = {},
    clientOptions: ClientOptions = {},
  ): Promise<LogProcess> {
    const process = await LogProcess.start(server.client(clientOptions), options)
    opened.push(process)
    return process
  }

  it('begins where the other processes are', async () => {
    const one = await start()
    await one.invalidate('t:=a')
    const two = await start()
    assert.deepEqual(two.log.position, one.log.position)
    assert.equal(two.log.position.seq, 1)
  })

  it('refuses, in the process that invalidated, what was computed before', async () => {
    const one = await start()
    const [old, other] = [one.compute('t:=a'), one.compute('t:=b')]
    await one.invalidate('t:=a')
    assert.equal(await one.uses(old), false)
    assert.equal(await one.uses(other), true)
    assert.equal(await one.uses(one.compute('t:=a')), true)
  })

  it('refuses it in every other process too: at once in strict, and soon in any case', async () => {
    const [one, two] = [await start(), await start()]
    const old = two.compute('t:=a')
    assert.equal(await two.uses(old), true)
    await one.invalidate('t:=a')
    assert.equal(await two.uses(old, true), false)
    const [old2, old3] = [two.compute('t:=b'), two.compute('t:=c')]
    await one.invalidate('t:=b', 't:=c')
    await eventually('both have arrived', async () => {
      return !(await two.uses(old2)) && !(await two.uses(old3))
    })
  })

  it('refuses what a slow handler computed from before, in a process that had not heard', async () => {
    const [one, two] = [await start(), await start()]
    const slow = two.compute('t:=a')
    await one.invalidate('t:=a')
    await eventually('it has arrived', () => two.log.position.seq === 1)
    assert.equal(two.log.allows(slow), false)
    assert.equal(one.log.allows(slow), false)
  })

  it('refuses everything after everything was invalidated', async () => {
    const [one, two] = [await start(), await start()]
    const old = two.compute()
    await one.invalidateAll()
    assert.equal(await one.uses(old), false)
    assert.equal(await two.uses(old, true), false)
    assert.equal(await two.uses(two.compute()), true)
    const three = await start()
    assert.equal(await three.uses(old), false)
  })

  it('knows in a new process what was invalidated before it started', async () => {
    const one = await start()
    const old = one.compute('t:=a')
    await one.invalidate('t:=a', 't:=b')
    await raw.xtrim(KEYS.log, 'MAXLEN', 0)
    const two = await start()
    assert.equal(await two.uses(old), false)
    assert.equal(await two.uses(one.compute('t:=a')), true)
  })

  it('confirms many questions of one moment with one command', async () => {
    const one = await start()
    const calls = await commandCalls(raw, async () => {
      const answers = await Promise.all(Array.from({ length: 100 }, () => one.log.confirm()))
      assert.ok(answers.every((answer) => answer))
    })
    // The follower asks by itself now and then.
    assert.ok(calls['mget']! <= 3, JSON.stringify(calls))
  })

  it('confirms while others invalidate, though a record may arrive before an older answer', async () => {
    const [one, two] = [await start(), await start()]
    let over = false
    const asking = Array.from({ length: 4 }, async () => {
      let refused = 0
      while (!over) if (!(await two.log.confirm())) refused++
      return refused
    })
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 1500; n++) await one.invalidate('t:=a')
      over = true
    })
    assert.deepEqual(await Promise.all(asking), [0, 0, 0, 0])
    assert.equal(calls['zscan'], undefined, 'nothing was loaded anew')
  })

  it('sends one command for an invalidation of many tags', async () => {
    const one = await start()
    await one.invalidate('t:=warm')
    const tags = Array.from({ length: 100 }, (_, n) => `t:=${n}`)
    const calls = await commandCalls(raw, () => one.invalidate(...tags))
    assert.equal(calls['evalsha'], 1)
    assert.equal(calls['zadd'], 100)
    assert.equal(calls['xadd'], 1)
  })

  it('invalidates more tags than one record can hold', async () => {
    const [one, two] = [await start({ maxTags: 10_000 }), await start({ maxTags: 10_000 })]
    const tags = Array.from({ length: 2500 }, (_, n) => `t:=${n}`)
    const old = [0, 999, 1000, 1001, 2499].map((n) => two.compute(`t:=${n}`))
    await one.invalidate(...tags)
    for (const entry of old) assert.equal(await two.uses(entry, true), false)
  })

  it('is the same for tags of any text', async () => {
    const [one, two] = [await start(), await start()]
    const tags = [
      't:=ä',
      't:=🦊',
      't:=a b',
      't:=\n',
      't:=*',
      't:=}{',
      't:=\0',
      'all',
      '1',
      's',
      'e',
    ]
    const old = tags.map((tag) => two.compute(tag))
    await one.invalidate(...tags)
    for (const entry of old) assert.equal(await two.uses(entry, true), false, entry.tags[0])
    const three = await start()
    for (const entry of old) assert.equal(await three.uses(entry), false, entry.tags[0])
  })

  it('keeps five keys in one slot, each with a ttl, and none per tag or entry', async () => {
    const one = await start()
    await one.invalidate('t:=a', 't:=b')
    const keys = (await raw.keys('*')).sort()
    assert.deepEqual(keys, Object.values(KEYS).sort())
    for (const key of keys) {
      const left = await raw.ttl(key)
      assert.ok(left > 29 * 86_400 && left <= 30 * 86_400, `${key}: ${left} s`)
    }
  })

  it('gives back the ttl of its keys while a process lives, though nothing is invalidated', async () => {
    const one = await start()
    await one.invalidate('t:=a')
    for (const key of Object.values(KEYS)) await raw.expire(key, 1000)
    const two = await start()
    for (const key of Object.values(KEYS)) assert.ok((await raw.ttl(key)) > 1000, key)
    await two.worksWith(one)
  })

  it('keeps a bounded number of tags: what is beyond raises the floor, here and in Redis', async () => {
    const [one, two] = [await start({ maxTags: 50 }), await start({ maxTags: 50 })]
    const old = [one.compute('t:=0'), one.compute('t:=never')]
    for (let n = 0; n < 200; n++) await one.invalidate(`t:=${n}`)
    assert.ok((await raw.zcard(KEYS.tags)) <= 51)
    assert.ok(Number(await raw.get(KEYS.floor)) > 100)
    const three = await start({ maxTags: 50 })
    await eventually('all has arrived', () => two.log.position.seq === 200)
    for (const process of [one, two, three]) {
      assert.ok(process.log.state().tags <= 50)
      assert.ok(process.log.state().floor > 100)
      for (const entry of old) assert.equal(await process.uses(entry), false)
      assert.equal(await process.uses(process.compute('t:=0')), true)
    }
  })

  it('keeps a bounded number of records', async () => {
    const one = await start()
    const batch = raw.pipeline()
    for (let n = 0; n < 12_000; n++) batch.xadd(KEYS.log, '*', 's', '0')
    await batch.exec()
    await one.invalidate('t:=a').catch(() => {})
    assert.ok((await raw.xlen(KEYS.log)) <= 10_500)
  })

  it("puts the client's own prefix in front of all keys", async () => {
    const options = { keyPrefix: 'app:' }
    const [one, two] = [await start({}, options), await start({}, options)]
    await one.worksWith(two)
    const keys = await raw.keys('*')
    assert.deepEqual(
      keys.sort(),
      Object.values(KEYS)
        .map((key) => `app:${key}`)
        .sort(),
    )
  })

  it('works in another database, and does not see the first', async () => {
    const [one, two] = [await start({}, { db: 3 }), await start({}, { db: 3 })]
    await one.worksWith(two)
    assert.equal(await raw.dbsize(), 0)
    const old = two.compute('t:=a')
    const elsewhere = await start()
    await elsewhere.invalidate('t:=a')
    assert.equal(await two.uses(old, true), true)
  })

  it('does not mix two namespaces', async () => {
    const [one, two] = [await start(), await start({ namespace: `${NAMESPACE}2` })]
    const old = two.compute('t:=a')
    await one.invalidate('t:=a')
    await one.invalidateAll()
    assert.equal(await two.uses(old, true), true)
    assert.notEqual(one.log.position.epoch, two.log.position.epoch)
  })

  it('stores nothing that can be compared before it is loaded, and uses nothing', async () => {
    const one = new LogProcess(server.client())
    assert.equal(one.log.position.epoch, '')
    assert.equal(one.log.verified(), false)
    await one.close()
  })

  it('refuses to invalidate once it is closed', async () => {
    const one = await start()
    await one.close()
    await assert.rejects(one.invalidate('t:=a'), { code: 'FST_RESPONSE_CACHE_CLOSED' })
    assert.equal(one.log.verified(), false)
  })

  it('tells what it knows', async () => {
    const one = await start()
    await one.invalidate('t:=a', 't:=b')
    const { epoch, sinceVerifiedMs, ...state } = one.log.state()
    assert.match(epoch, /^[0-9a-f]{16}$/)
    assert.ok(sinceVerifiedMs! >= 0 && sinceVerifiedMs! <= 2000)
    assert.deepEqual(state, {
      ...{ seq: 1, tags: 2, floor: 0, verified: true },
      ...{ pendingInvalidations: 0, stalenessBoundMs: 2000 },
    })
    await one.close()
    assert.equal(one.log.state().sinceVerifiedMs, undefined)
  })
})
