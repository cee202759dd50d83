import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ByteBudget } from '../src/byte-budget.ts'

test('what several hold together is never more than the budget, and comes back at their end', () => {
  const budget = new ByteBudget(100)
  const [one, two] = [budget.open(), budget.open()]
  assert.ok(one.take(60))
  assert.ok(two.take(40))
  assert.equal(two.take(1), false)
  assert.equal(budget.held, 100)
  one.close()
  one.close()
  assert.equal(budget.held, 40)
  assert.ok(two.take(60))
  two.close()
  assert.equal(budget.held, 0)
})

test('who has closed gets nothing more, and is told once', () => {
  const budget = new ByteBudget(100)
  const share = budget.open()
  let told = 0
  share.onClose = () => told++
  share.take(10)
  share.close()
  share.close()
  assert.deepEqual([share.take(1), told, budget.held], [false, 1, 0])
})
