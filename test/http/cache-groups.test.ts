import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseList, serializeList } from 'structured-headers'

import {
  formatCacheGroups,
  groupsToInvalidate,
  isSafeMethod,
  parseCacheGroups,
} from '../../src/http/cache-groups.ts'
import type { FieldValue } from '../../src/http/fields.ts'

const ascii = fc.string({ unit: 'binary-ascii' }).filter((text) => /^[\x20-\x7e]*$/.test(text))

describe('parseCacheGroups', () => {
  const table: [what: string, field: FieldValue | undefined, expected: string[]][] = [
    ['nothing', undefined, []],
    ['an empty field', '', []],
    ['one group', '"scripts"', ['scripts']],
    ['several groups', '"scripts", "styles"', ['scripts', 'styles']],
    ['several lines', ['"scripts"', '"styles"'], ['scripts', 'styles']],
    ['each group once', '"a", "b", "a"', ['a', 'b']],
    ['groups in their own case', '"A", "a"', ['A', 'a']],
    ['no parameters', '"a";revalidate, "b";x=1', ['a', 'b']],
    ['quoted pairs', '"a\\"b\\\\"', ['a"b\\']],
    ['commas in a group', '"a, b"', ['a, b']],
    // RFC 9651 §4.2: what fails to parse is ignored as a whole.
    ['tokens as nothing', 'scripts', []],
    ['a token among strings as nothing', '"a", b', []],
    ['numbers as nothing', '1', []],
    ['inner lists as nothing', '("a" "b")', []],
    ['what ends in a comma as nothing', '"a",', []],
    ['what ends in a quote as nothing', '"a', []],
    ['what is not ASCII as nothing', '"\u00e4"', []],
  ]
  for (const [what, field, expected] of table) {
    it(`reads ${what}`, () => assert.deepEqual(parseCacheGroups(field), expected))
  }

  it('reads far more groups, and longer ones, than RFC 9875 asks for', () => {
    const groups = Array.from({ length: 500 }, (_, index) => `${index}`.padEnd(500, 'x'))
    assert.deepEqual(parseCacheGroups(formatCacheGroups(groups)), groups)
  })

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.uniqueArray(ascii), (groups) => {
        assert.deepEqual(parseCacheGroups(formatCacheGroups(groups)), groups)
      }),
    )
  })

  it('never throws, and reads strings where structured-headers reads strings', () => {
    const odd = fc.string({ unit: fc.constantFrom('"', 'a', ',', ' ', '\\', ';', '=', '(', '1') })
    fc.assert(
      fc.property(fc.oneof(odd, fc.string({ unit: 'binary' })), (text) => {
        const groups = parseCacheGroups(text)
        if (groups.length > 0) {
          const members = parseList(text).map(([value]) => value as string)
          assert.deepEqual(groups, [...new Set(members)])
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('groupsToInvalidate', () => {
  it('is what an unsafe method lists', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE', 'get']) {
      assert.deepEqual(groupsToInvalidate(method, '"a", "b"'), ['a', 'b'], method)
    }
    assert.deepEqual(groupsToInvalidate('POST', 'a'), [])
    assert.deepEqual(groupsToInvalidate('POST', undefined), [])
  })

  it('is nothing for a safe one', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'SEARCH']) {
      assert.deepEqual(groupsToInvalidate(method, '"a"'), [], method)
      assert.ok(isSafeMethod(method))
    }
  })
})

describe('formatCacheGroups', () => {
  it('writes a list of strings', () => {
    assert.equal(formatCacheGroups(['product:1', 'a "b"']), '"product:1", "a \\"b\\""')
  })

  it('leaves out what no structured string can carry', () => {
    assert.equal(formatCacheGroups(['a', 'gr\u00f6\u00dfe', 'b\n']), '"a"')
    assert.equal(formatCacheGroups(['\u00fc']), undefined)
    assert.equal(formatCacheGroups([]), undefined)
  })

  it('writes what structured-headers writes', () => {
    fc.assert(
      fc.property(fc.array(ascii, { minLength: 1 }), (groups) => {
        const list = groups.map((group): [string, Map<string, string>] => [group, new Map()])
        assert.equal(formatCacheGroups(groups), serializeList(list))
      }),
    )
  })
})
