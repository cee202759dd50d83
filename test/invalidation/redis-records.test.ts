import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseRecords } from '../../src/invalidation/redis-records.ts'

const answer = (...records: unknown[]): unknown => [['{shop}:log', records]]
const RECORD = ['1-0', ['s', '7', 'e', 'epoch', 'm', 'expire', 't', 'a', 't', 'b']]

describe('parseRecords', () => {
  it('reads the tags and the mode of a record, and that it means everything', () => {
    assert.deepEqual(parseRecords(answer(RECORD, ['2-0', ['s', '8', 'e', 'epoch', 'all', '1']])), [
      { id: '1-0', epoch: 'epoch', seq: 7, mode: 'expire', tags: ['a', 'b'] },
      { id: '2-0', epoch: 'epoch', seq: 8, mode: 'purge', tags: 'all' },
    ])
  })

  const modes: [written: string[], read: string][] = [
    [['m', 'soft'], 'soft'],
    [['m', 'expire'], 'expire'],
    [['m', 'purge'], 'purge'],
    [['m', 'Soft'], 'purge'],
    [['m', ''], 'purge'],
    [['m', 'of a later version'], 'purge'],
    [['m', 'constructor'], 'purge'],
    [[], 'purge'],
  ]
  for (const [written, read] of modes) {
    it(`takes ${JSON.stringify(written)} for '${read}'`, () => {
      const fields = ['s', '7', 'e', 'epoch', ...written, 't', 'a']
      assert.equal(parseRecords(answer(['1-0', fields]))?.[0]?.mode, read)
    })
  }

  it('reads no answer as no records', () => {
    assert.deepEqual(parseRecords(null), [])
    assert.deepEqual(parseRecords(answer()), [])
  })

  it('passes over fields that a later version may add', () => {
    const [record] = parseRecords(answer(['1-0', ['s', '7', 'x', 'y', 'e', 'epoch']]))!
    assert.equal(record?.seq, 7)
  })

  const strange: [what: string, answer: unknown][] = [
    ['undefined', undefined],
    ['text', 'OK'],
    ['an empty list', []],
    ['a stream without records', [['name']]],
    ['a record without fields', answer(['1-0'])],
    ['a record that is text', answer('1-0')],
    ['a record without a position', answer(['1-0', ['e', 'epoch', 't', 'a']])],
    ['a record without an epoch', answer(['1-0', ['s', '7', 't', 'a']])],
    ['an empty epoch', answer(['1-0', ['s', '7', 'e', '']])],
    ['a position that is no number', answer(['1-0', ['s', 'x', 'e', 'epoch']])],
    ['half a position', answer(['1-0', ['s', '7.5', 'e', 'epoch']])],
    ['a position beyond precision', answer(['1-0', ['s', '9007199254740993', 'e', 'epoch']])],
    ['something strange behind a record', answer(RECORD, null)],
    ['an empty position', answer(['1-0', ['s', '', 'e', 'epoch']])],
    [
      'an object in place of a text',
      answer(['1-0', ['s', '7', 'e', 'epoch', 't', { toString: 1 }]]),
    ],
    ['a record without an id', answer([null, RECORD[1]])],
  ]
  for (const [what, value] of strange) {
    it(`refuses ${what}, all of it`, () => assert.equal(parseRecords(value), undefined))
  }

  it('never throws, whatever Redis says', () => {
    const { reply } = fc.letrec<{ reply: unknown }>((tie) => ({
      reply: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(null, 0, 1.5, true, '1-0', 's', 'e', 't', 'all', ''),
        fc.string(),
        fc.array(tie('reply'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('reply'), { maxKeys: 2, noNullPrototype: true }),
      ),
    }))
    fc.assert(
      fc.property(reply, reply, (a, b) => {
        parseRecords(a)
        parseRecords([['name', a]])
        parseRecords(answer(RECORD, [a, b], ['1-0', [a, b]]))
      }),
      { numRuns: 2000 },
    )
  })
})
