import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { LocalLog, newEpoch } from '../../src/invalidation/local-log.ts'
import { EPOCH_LENGTH } from '../../src/stored-response.ts'

describe('LocalLog', () => {
  it('refuses what was computed before an invalidation of one of its tags, and nothing else', async () => {
    const log = new LocalLog(100)
    const old = { ...log.position, tags: ['a', 'b'] }
    const other = { ...log.position, tags: ['c'] }
    await log.invalidate({ tags: ['x', 'b'], mode: 'expire' })
    assert.equal(log.allows(old), false)
    assert.equal(log.allows(other), true)
    assert.equal(log.allows({ ...log.position, tags: ['a', 'b'] }), true)
  })

  it('refuses everything computed before everything was invalidated', async () => {
    const log = new LocalLog(100)
    const old = { ...log.position, tags: [] }
    await log.invalidate({ tags: 'all', mode: 'purge' })
    assert.equal(log.allows(old), false)
    assert.equal(log.allows({ ...log.position, tags: [] }), true)
  })

  it('tells what an invalidation left: the hardest of all that happened since', async () => {
    const log = new LocalLog(100)
    const old = { ...log.position, tags: ['a'] }
    assert.equal(log.verdict(old), 'valid')
    await log.invalidate({ tags: ['a'], mode: 'soft' })
    assert.equal(log.verdict(old), 'softened')
    const between = { ...log.position, tags: ['a'] }
    await log.invalidate({ tags: ['a'], mode: 'expire' })
    await log.invalidate({ tags: ['a'], mode: 'soft' })
    assert.deepEqual([log.verdict(old), log.verdict(between)], ['expired', 'expired'])
    await log.invalidate({ tags: ['a'], mode: 'purge' })
    assert.equal(log.verdict(between), 'purged')
    const last = { ...log.position, tags: [] }
    await log.invalidate({ tags: 'all', mode: 'soft' })
    assert.equal(log.verdict(last), 'purged', 'everything is below the floor')
    assert.equal(new LocalLog(100).verdict({ ...log.position, tags: [] }), 'purged')
  })

  it('has taken effect when invalidate returns, before anybody waits for it', () => {
    const log = new LocalLog(100)
    const old = { ...log.position, tags: ['a'] }
    void log.invalidate({ tags: ['a'], mode: 'expire' })
    assert.equal(log.allows(old), false)
  })

  it('refuses the entries of another log', () => {
    const [one, two] = [new LocalLog(100), new LocalLog(100)]
    assert.equal(two.allows({ ...one.position, tags: [] }), false)
  })

  it('needs nobody to be sure', async () => {
    const log = new LocalLog(100)
    await log.start()
    assert.equal(log.verified(), true)
    assert.equal(await log.confirm(), true)
    await log.close()
  })

  it('knows a bounded number of tags, and refuses what it can no longer judge', async () => {
    const log = new LocalLog(10)
    const old = { ...log.position, tags: ['t1'] }
    for (let n = 1; n <= 30; n++) await log.invalidate({ tags: [`t${n}`], mode: 'expire' })
    const { tags, floor, seq } = log.state()
    assert.ok(tags <= 10 && floor > 1 && seq === 30)
    assert.equal(log.allows(old), false)
    assert.equal(log.allows({ ...log.position, tags: ['t1'] }), true)
  })

  it('tells what it knows', async () => {
    const log = new LocalLog(10)
    await log.invalidate({ tags: ['a', 'b'], mode: 'expire' })
    const { epoch, ...state } = log.state()
    assert.equal(epoch, log.position.epoch)
    assert.deepEqual(state, {
      ...{ seq: 1, tags: 2, floor: 0, verified: true },
      ...{ sinceVerifiedMs: 0, pendingInvalidations: 0, stalenessBoundMs: 0 },
    })
  })
})

describe('newEpoch', () => {
  it('is another one each time, of the length that a frame has room for', () => {
    const epochs = Array.from({ length: 1000 }, newEpoch)
    assert.equal(new Set(epochs).size, 1000)
    for (const epoch of epochs) assert.match(epoch, new RegExp(`^[0-9a-f]{${EPOCH_LENGTH}}$`))
  })
})
