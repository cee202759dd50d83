import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { addDirective, deltaSeconds, noDirectives } from '../../src/http/directives.ts'

describe('deltaSeconds', () => {
  const table: [argument: string | boolean | undefined, expected: number | undefined][] = [
    ['0', 0],
    ['60', 60],
    ['0060', 60],
    ['2147483647', 2 ** 31 - 1],
    ['2147483648', 2 ** 31],
    ['2147483649', 2 ** 31],
    ['99999999999999999999999', 2 ** 31],
    ['-1', undefined],
    ['+1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['0x10', undefined],
    [' 1', undefined],
    ['1\n', undefined],
    ['\u0661', undefined],
    ['', undefined],
    [true, undefined],
    [false, undefined],
    [undefined, undefined],
  ]
  for (const [argument, expected] of table) {
    it(`reads ${JSON.stringify(argument)} as ${expected}`, () => {
      assert.equal(deltaSeconds(argument), expected)
    })
  }

  it('reads back every whole number up to its limit', () => {
    fc.assert(fc.property(fc.nat(), (number) => assert.equal(deltaSeconds(String(number)), number)))
  })
})

describe('addDirective', () => {
  it('ignores names that it does not know, also those of every object', () => {
    for (const name of ['x', 'constructor', '__proto__', 'toString', 'noStore']) {
      const directives = noDirectives()
      addDirective(directives, name, true)
      assert.deepEqual(directives, noDirectives())
    }
  })
})
