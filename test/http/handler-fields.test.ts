import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import type { Fields } from '../../src/http/fields.ts'
import { handlerFields } from '../../src/http/handler-fields.ts'

describe('handlerFields', () => {
  const table: [what: string, before: Fields, after: Fields, set: unknown, removed?: string[]][] = [
    ['nothing', {}, {}, []],
    ['a field it set', {}, { etag: '"1"' }, [['etag', '"1"']]],
    ['a number as text', {}, { 'x-count': 5 }, [['x-count', '5']]],
    ['a list as a list', {}, { link: ['<a>', '<b>'] }, [['link', ['<a>', '<b>']]]],
    ['not what a hook had set', { 'x-hook': '1' }, { 'x-hook': '1' }, []],
    ['not a list that a hook had set', { link: ['<a>'] }, { link: ['<a>'] }, []],
    ['what it changed of a hook', { 'x-hook': '1' }, { 'x-hook': '2' }, [['x-hook', '2']]],
    ['what it took away from a hook', { 'x-hook': '1' }, {}, [], ['x-hook']],
    ['not that it took away an id', { 'x-request-id': '1' }, {}, []],
    ['no cookie', {}, { 'set-cookie': ['a=1'] }, []],
    ['nothing of the connection', {}, { 'keep-alive': 'timeout=5', upgrade: 'h2c' }, []],
    [
      'no field that Connection names',
      {},
      { connection: 'x-a, close', 'x-a': '1', 'x-b': '2' },
      [['x-b', '2']],
    ],
    [
      'its own members of Vary',
      { vary: 'Origin' },
      { vary: 'Origin, Accept' },
      [['vary', 'accept']],
    ],
    ['all of Vary when no hook had one', {}, { vary: 'Accept, *' }, [['vary', 'accept, *']]],
    ['no Vary when it added nothing', { vary: 'Origin' }, { vary: 'origin' }, []],
    ['an empty value', {}, { 'x-empty': '' }, [['x-empty', '']]],
  ]
  for (const [what, before, after, set, removed = []] of table) {
    it(`keeps ${what}`, () => {
      assert.deepEqual(handlerFields(before, after), { set, removed })
    })
  }

  it('refuses what cannot be replayed faithfully', () => {
    assert.equal(handlerFields({}, { 'x-a': 'Ā' }), undefined)
    assert.equal(handlerFields({}, { 'x-a': ['ok', 'a\nb'] }), undefined)
    assert.equal(handlerFields({}, { 'x a': '1' }), undefined)
  })

  it('replays over what hooks set for another request, and gives what the handler had made', () => {
    const name = fc.constantFrom('x-a', 'x-b', 'x-c', 'etag')
    const fields = fc.dictionary(name, fc.constantFrom('1', '2', '3'))
    fc.assert(
      fc.property(fields, fields, fields, (before, after, otherBefore) => {
        const { set, removed } = handlerFields(before, after)!
        const replayed: Fields = { ...otherBefore, ...Object.fromEntries(set) }
        for (const gone of removed) delete replayed[gone]
        // The handler's own changes are there, and nothing that a hook had made for the first request.
        for (const key of new Set([...Object.keys(after), ...Object.keys(before)])) {
          const expected = after[key] === before[key] ? otherBefore[key] : after[key]
          assert.equal(replayed[key], expected)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
