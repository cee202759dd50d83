import assert from 'node:assert/strict'
import { createContext, runInContext } from 'node:vm'
import { isDeepStrictEqual } from 'node:util'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { jsonLoss } from '../../src/json-loss.ts'

/** What is read back, or undefined when JSON refuses. */
function throughJson(value: unknown): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(JSON.stringify(value)) }
  } catch {
    return undefined
  }
}

describe('what JSON would change', () => {
  it('is found in exactly the values that do not come back as they were', () => {
    const value = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    })
    fc.assert(
      fc.property(value, (item) => {
        // -0 is allowed to become 0.
        fc.pre(!hasMinusZero(item))
        const back = throughJson(item)
        const isKept = back !== undefined && isDeepStrictEqual(back.value, item)
        assert.equal(jsonLoss(item) === undefined, isKept)
      }),
      { numRuns: 2000 },
    )
  })

  class Account {
    id = 1
  }
  const loop: Record<string, unknown> = {}
  loop['list'] = [loop]
  const found: [value: unknown, path: string, what: string][] = [
    [new Date(0), '', 'a Date'],
    [{ users: [{}, { at: new Date(0) }] }, '.users[1].at', 'a Date'],
    [{ 'a-b': 5n }, '["a-b"]', 'a BigInt'],
    [{ a: undefined }, '.a', 'undefined'],
    [[1, undefined], '[1]', 'undefined'],
    // oxlint-disable-next-line no-sparse-arrays
    [[, 1], '[0]', 'undefined'],
    [NaN, '', 'NaN'],
    [[-Infinity], '[0]', '-Infinity'],
    [new Map(), '', 'a Map'],
    [new Set(), '', 'a Set'],
    [Buffer.of(1), '', 'a Buffer'],
    [new Account(), '', 'an instance of Account'],
    [() => 1, '', 'a function'],
    [{ a: Symbol('a') }, '.a', 'a symbol'],
    [{ [Symbol('a')]: 1 }, '', 'an object with a symbol as a key'],
    [{ toJSON: () => 1 }, '', 'an object with toJSON()'],
    [loop, '.list[0]', 'a cycle'],
    [new Number(1), '', 'a Number'],
  ]
  for (const [value, path, what] of found) {
    it(`is ${what} at '${path}'`, () => assert.deepEqual(jsonLoss(value), { path, what }))
  }

  it('is nothing in data, whoever made it and however often a part of it appears', () => {
    const part = { a: 1 }
    const foreign: unknown = runInContext('({ a: [1, { b: null }] })', createContext({}))
    const bare: unknown = Object.assign(Object.create(null), { a: 1 })
    for (const value of [
      [part, part],
      foreign,
      bare,
      -0,
      'text',
      null,
      JSON.parse('{"__proto__":1}'),
    ]) {
      assert.equal(jsonLoss(value), undefined)
    }
  })
})

function hasMinusZero(value: unknown): boolean {
  if (Object.is(value, -0)) return true
  return value !== null && typeof value === 'object' && Object.values(value).some(hasMinusZero)
}
