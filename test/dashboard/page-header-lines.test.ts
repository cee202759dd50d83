import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseHeaderLines } from '../../src/dashboard/page/header-lines.ts'

describe('header fields as one writes them', () => {
  it('reads one field a line, in any case, around empty lines', () => {
    const { headers } = parseHeaderLines('Accept-Language: de, en;q=0.5\r\n\n  X-Time: 12:30\n')
    assert.deepEqual(headers, { 'accept-language': 'de, en;q=0.5', 'x-time': '12:30' })
    assert.deepEqual(parseHeaderLines('').headers, {})
  })

  it('makes one list of a field that is there twice, and one cookie field', () => {
    assert.deepEqual(parseHeaderLines('accept: a\nAccept: b\ncookie: a=1\ncookie: b=2').headers, {
      accept: 'a, b',
      cookie: 'a=1; b=2',
    })
  })

  it('names the line that is no field', () => {
    for (const line of ['nonsense', ': value', 'a b: c', 'ä: c']) {
      assert.match(parseHeaderLines(`accept: a\n${line}`).problem!, /Line 2/)
    }
  })

  it('reads what it is given back', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/)
    const value = fc.stringMatching(/^[!-~]{1,12}$/)
    fc.assert(
      fc.property(fc.dictionary(name, value), (fields) => {
        const text = Object.entries(fields).map(([each, of]) => `${each}: ${of}`)
        assert.deepEqual(parseHeaderLines(text.join('\n')).headers, { ...fields })
      }),
    )
  })
})
