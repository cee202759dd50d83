import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import fc from 'fast-check'

import { PositionHistory } from '../../src/invalidation/position-history.ts'

const epoch = 'a'.repeat(16)

describe('PositionHistory', () => {
  it('remembers nothing until it is told how far back', () => {
    const history = new PositionHistory()
    history.note({ epoch, seq: 7 }, 100)
    assert.equal(history.reachedBy(Infinity), -1)
    assert.equal(history.size, 0)
  })

  it('says what was reached by an instant, and nothing of before', () => {
    const history = new PositionHistory()
    history.cover(1000)
    history.note({ epoch, seq: 3 }, 100)
    history.note({ epoch, seq: 4 }, 500)
    assert.deepEqual(
      [99, 100, 499, 500, 9000].map((at) => history.reachedBy(at)),
      [-1, 3, 3, 4, 4],
    )
  })

  it('begins anew with another epoch', () => {
    const history = new PositionHistory()
    history.cover(1000)
    history.note({ epoch, seq: 3 }, 100)
    history.note({ epoch: '', seq: 0 }, 200)
    history.note({ epoch: 'b'.repeat(16), seq: 3 }, 300)
    assert.deepEqual(
      [200, 300].map((at) => history.reachedBy(at)),
      [-1, 3],
    )
  })

  it('is never ahead of what was, never forgets within the window what was before it, and is bounded', () => {
    const step = fc.record({ wait: fc.nat(200), by: fc.nat(3) })
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.integer({ min: 1, max: 2000 }),
        (...drawn) => {
          const [steps, windowMs] = drawn
          const history = new PositionHistory()
          history.cover(windowMs)
          const all: { at: number; seq: number }[] = []
          let [at, seq] = [0, 0]
          for (const { wait, by } of steps) {
            at += wait
            seq += by
            all.push({ at, seq })
            history.note({ epoch, seq }, at)
          }
          assert.ok(history.size <= 70, `${history.size}`)
          const truth = (when: number): number =>
            all.findLast((moment) => moment.at <= when)?.seq ?? -1
          for (let ago = 0; ago <= windowMs; ago += Math.ceil(windowMs / 50)) {
            const said = history.reachedBy(at - ago)
            assert.ok(said <= truth(at - ago))
            // Late by a part of the window at most, but for the first moment of all.
            const earlier = truth(at - ago - Math.ceil(windowMs / 16))
            assert.ok(said >= earlier, `${ago} ms ago: ${said}, and ${earlier} long before`)
          }
        },
      ),
    )
  })
})
