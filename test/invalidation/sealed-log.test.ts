import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { LocalLog } from '../../src/invalidation/local-log.ts'
import type { Invalidation, InvalidationLog } from '../../src/invalidation/log.ts'
import { SealedLog } from '../../src/invalidation/sealed-log.ts'
import { Sealing } from '../../src/sealing.ts'

const KEYS = ['a', 'b', 'c'].map((id) => ({ id, secret: randomBytes(32) }))

/** Logs of processes with some of the keys, over one log that notes what is written to it. */
function open(...rings: number[][]): { inner: LocalLog; written: string[]; logs: SealedLog[] } {
  const inner = new LocalLog(1000)
  const written: string[] = []
  const noting: InvalidationLog = new Proxy(inner, {
    get(target, name) {
      if (name === 'invalidate') {
        return (invalidation: Invalidation) => {
          if (invalidation.tags !== 'all') written.push(...invalidation.tags)
          return target.invalidate(invalidation)
        }
      }
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const logs = rings.map((ring) => {
    const keys = ring.map((at) => KEYS[at]!)
    return new SealedLog(noting, new Sealing('shop', keys))
  })
  return { inner, written, logs }
}

describe('SealedLog', () => {
  it('says of every entry what a log with readable tags says, for all who share a key', async () => {
    const tag = fc.constantFrom('t:=a', 't:=b', 'k:=c', 'r:=/d', 's:=e')
    const mode = fc.constantFrom('soft', 'expire', 'purge')
    const step = fc.record({
      tags: fc.oneof(
        fc.array(tag, { minLength: 1 }),
        fc.record({}, { noNullPrototype: true }).map(() => 'all' as const),
      ),
      mode,
      by: fc.nat({ max: 2 }),
    })
    const entry = fc.record({ tags: fc.array(tag), seq: fc.nat({ max: 8 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(step), fc.array(entry), async (steps, entries) => {
        const { logs } = open([0], [1, 0], [0, 1])
        const plain = new LocalLog(1000)
        for (const { by, ...invalidation } of steps) {
          const receipt = await logs[by]!.invalidate(invalidation as Invalidation)
          const expected = await plain.invalidate(invalidation as Invalidation)
          assert.deepEqual([receipt.seq, receipt.before], [expected.seq, expected.before])
        }
        for (const each of entries) {
          const known = { ...each, epoch: plain.position.epoch }
          for (const log of logs) {
            const sealed = { ...each, epoch: log.position.epoch }
            assert.equal(log.verdict(sealed), plain.verdict(known))
            assert.equal(log.allows(sealed), plain.allows(known))
          }
        }
      }),
    )
  })

  it('writes no tag that can be read, and each once for each key', async () => {
    const { written, logs } = open([1, 0])
    await logs[0]!.invalidate({ tags: ['t:=TAG', 'p:=/PATH'], mode: 'expire' })
    await logs[0]!.invalidate({ tags: 'all', mode: 'purge' })
    assert.equal(written.length, 4)
    assert.equal(new Set(written).size, 4)
    for (const name of written) assert.match(name, /^[\w-]{22}$/)
  })

  it('does not reach those with whom it shares no key', async () => {
    const { logs } = open([0], [1])
    const entry = { ...logs[0]!.position, tags: ['t:=a'] }
    await logs[0]!.invalidate({ tags: ['t:=a'], mode: 'expire' })
    assert.equal(logs[0]!.allows(entry), false)
    assert.equal(logs[1]!.allows({ ...entry }), true)
  })

  it('takes readable tags of processes that do not encrypt, and passes patterns on as they are', async () => {
    const { inner, written, logs } = open([0])
    const entry = { ...logs[0]!.position, tags: ['t:=a'] }
    await inner.invalidate({ tags: ['t:=a'], mode: 'soft' })
    assert.equal(logs[0]!.verdict(entry), 'softened')
    await logs[0]!.invalidate({ tags: ['g:=user:*', 'h:=in:*'], mode: 'expire' })
    assert.deepEqual(written, ['g:=user:*', 'h:=in:*'])
  })

  it('gives the log below the same object for the same entry', () => {
    const seen: unknown[] = []
    const inner = { allows: (entry: unknown) => seen.push(entry) > 0 } as unknown as InvalidationLog
    const log = new SealedLog(inner, new Sealing('shop', KEYS))
    const entry = { epoch: 'e', seq: 1, tags: ['t:=a'] }
    for (const each of [entry, entry, { ...entry }]) log.allows(each)
    assert.equal(seen[0], seen[1])
    assert.notEqual(seen[0], seen[2])
  })

  it('remembers a bounded number of tags, and goes on', async () => {
    const { logs } = open([0])
    const log = logs[0]!
    const entry = { ...log.position, tags: ['t:=last'] }
    const tags = Array.from({ length: 900 }, (_, n) => `t:=${n}`)
    for (let round = 0; round < 30; round++) {
      await log.invalidate({ tags: tags.map((tag) => `${tag}.${round}`), mode: 'expire' })
    }
    await log.invalidate({ tags: ['t:=last'], mode: 'expire' })
    assert.equal(log.allows(entry), false)
  })

  it('leaves all else to the log below', async () => {
    const { inner, logs } = open([0])
    const log = logs[0]!
    await log.start()
    log.rememberFor(1000)
    assert.equal(log.reachedBefore(1000), inner.reachedBefore(1000))
    assert.equal(log.verified(), true)
    assert.equal(await log.confirm(), true)
    assert.equal(log.hasReached(log.position), true)
    assert.equal(await log.reach(log.position, 10), true)
    assert.equal(log.version, inner.version)
    assert.deepEqual(log.state(), inner.state())
    await log.close()
    await assert.rejects(log.invalidate({ tags: ['t:=a'], mode: 'expire' }), {
      code: 'FST_RESPONSE_CACHE_CLOSED',
    })
  })
})
