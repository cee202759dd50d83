import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { type Validators, validatorsOf } from '../../src/http/conditional.ts'
import { isRangeable, parseSingleRange, rangeAnswer } from '../../src/http/range.ts'

const NOW = Date.parse('2026-11-06T08:49:37Z')
const BODY = Buffer.from('0123456789A')
const date = (seconds: number) => new Date(NOW + seconds * 1000).toUTCString()

function stored(fields: Record<string, string> = {}): Validators {
  return validatorsOf(200, Object.entries(fields), NOW)!
}

/** What the client gets: the part, 416, or 200 for the whole. */
function answer(range: string | string[], length = BODY.length): string {
  const result = rangeAnswer('GET', { range }, stored(), length)
  if (result === undefined) return '200'
  if (result.status === 416) return `416 ${result.contentRange}`
  return `206 ${BODY.toString('latin1', result.start, result.end)} ${result.contentRange}`
}

describe('rangeAnswer', () => {
  const table: [range: string, expected: string][] = [
    ['bytes=0-1', '206 01 bytes 0-1/11'],
    ['bytes=1-', '206 123456789A bytes 1-10/11'],
    ['bytes=-1', '206 A bytes 10-10/11'],
    ['bytes=-3', '206 89A bytes 8-10/11'],
    ['bytes=0-0', '206 0 bytes 0-0/11'],
    ['bytes=0-', '206 0123456789A bytes 0-10/11'],
    ['bytes=10-10', '206 A bytes 10-10/11'],
    ['bytes=5-99', '206 56789A bytes 5-10/11'],
    ['bytes=-99', '206 0123456789A bytes 0-10/11'],
    [`bytes=5-${'9'.repeat(400)}`, '206 56789A bytes 5-10/11'],
    [`bytes=-${'9'.repeat(400)}`, '206 0123456789A bytes 0-10/11'],
    ['bytes=003-004', '206 34 bytes 3-4/11'],
    // RFC 9110 §14.1: names of units in any case; §5.6.1: spaces and empty members.
    ['BYTES=0-1', '206 01 bytes 0-1/11'],
    ['bytes= ,\t0-1 ,,', '206 01 bytes 0-1/11'],
    // Unsatisfiable.
    ['bytes=11-', '416 bytes */11'],
    ['bytes=11-20', '416 bytes */11'],
    [`bytes=${'9'.repeat(400)}-`, '416 bytes */11'],
    ['bytes=-0', '416 bytes */11'],
    // Several ranges are not supported, so the whole is sent.
    ['bytes=0-1,3-4', '200'],
    ['bytes=0-1, -1', '200'],
    ['bytes=99-, 100-', '200'],
    // Invalid.
    ['bytes=4-3', '200'],
    ['bytes=', '200'],
    ['bytes=,', '200'],
    ['bytes=-', '200'],
    ['bytes=a-b', '200'],
    ['bytes=0-1x', '200'],
    ['bytes=0 - 1', '200'],
    ['bytes =0-1', '200'],
    ['bytes=+0-1', '200'],
    ['bytes=0x1-2', '200'],
    ['bytes=1.5-2', '200'],
    ['bytes=--1', '200'],
    ['bytes=0--1', '200'],
    ['bytes=\xa00-1', '200'],
    ['bytes:0-1', '200'],
    ['0-1', '200'],
    ['items=0-1', '200'],
    ['', '200'],
  ]
  for (const [range, expected] of table) {
    it(`answers '${range.slice(0, 30)}' with ${expected}`, () => {
      assert.equal(answer(range), expected)
    })
  }

  it('finds no part of an empty body', () => {
    assert.equal(answer('bytes=0-', 0), '416 bytes */0')
    assert.equal(answer('bytes=-0', 0), '416 bytes */0')
    assert.equal(answer('bytes=-5', 0), '200')
  })

  it('ignores the field without its request being a GET, or with several lines of it', () => {
    for (const method of ['HEAD', 'POST', 'get']) {
      assert.equal(rangeAnswer(method, { range: 'bytes=0-1' }, stored(), 11), undefined)
    }
    assert.equal(answer(['bytes=0-1', 'bytes=0-1']), '200')
    assert.equal(rangeAnswer('GET', { 'if-range': '"a"' }, stored({ etag: '"a"' }), 11), undefined)
  })

  it('gives a part that is in the body and that Content-Range describes', () => {
    const position = fc.oneof(fc.constant(''), fc.nat(30).map(String), fc.bigInt({ min: 0n }))
    fc.assert(
      fc.property(position, position, fc.nat(20), (first, last, length) => {
        const range = `bytes=${String(first)}-${String(last)}`
        const result = rangeAnswer('GET', { range }, stored(), length)
        if (result?.status === 416) assert.equal(result.contentRange, `bytes */${length}`)
        if (result?.status !== 206) return
        const { start, end, contentRange } = result
        assert.ok(start >= 0 && start < end && end <= length)
        assert.equal(contentRange, `bytes ${start}-${end - 1}/${length}`)
        if (first !== '') assert.equal(start, Number(first))
        if (first !== '' && last !== '') assert.ok(end - 1 <= Number(last))
        if (first === '') assert.equal(end, length)
      }),
      { numRuns: 1000 },
    )
  })

  it('never throws, and never gives more than one part', () => {
    const piece = fc.constantFrom('bytes', '=', '-', ',', ' ', '0', '1', '99', '\t', 'x')
    const field = fc.oneof(fc.string({ unit: piece }), fc.string({ unit: 'binary' }))
    fc.assert(
      fc.property(field, (range) => {
        const parsed = parseSingleRange(range)
        if (parsed) assert.equal(range.match(/-/g)?.length, 1)
        rangeAnswer('GET', { range }, stored(), 5)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('If-Range', () => {
  const old = { 'last-modified': date(-1000), date: date(0) }
  const table: [what: string, fields: Record<string, string>, field: string, part: boolean][] = [
    ['the strong tag', { etag: '"a"' }, '"a"', true],
    ['another tag', { etag: '"a"' }, '"b"', false],
    ['a weak tag, though it is the same', { etag: 'W/"a"' }, 'W/"a"', false],
    ['the weak form of a strong tag', { etag: '"a"' }, 'W/"a"', false],
    ['the strong form of a weak tag', { etag: 'W/"a"' }, '"a"', false],
    ['a tag where none is stored', {}, '"a"', false],
    ['a list', { etag: '"a"' }, '"a", "b"', false],
    ['*', { etag: '"a"' }, '*', false],
    ['a tag without quotes', { etag: '"a"' }, 'a', false],
    ['the same date', old, date(-1000), true],
    ['a later date', old, date(-999), false],
    ['an earlier date', old, date(-1001), false],
    ['the same date, without a stored Date', { 'last-modified': date(-1000) }, date(-1000), true],
    // RFC 9110 §8.8.2.2: a weak date, as it may have changed again in that second.
    ['the date of a moment ago', { 'last-modified': date(-5), date: date(0) }, date(-5), false],
    ['a date where none is stored', { date: date(0) }, date(0), false],
    ['what is no date', old, 'yesterday', false],
    ['nothing', old, '', false],
  ]
  for (const [what, fields, field, part] of table) {
    it(`with ${what} asks for ${part ? 'the part' : 'the whole'}`, () => {
      const request = { range: 'bytes=0-1', 'if-range': field }
      assert.equal(rangeAnswer('GET', request, stored(fields), 11)?.status, part ? 206 : undefined)
    })
  }

  it('asks for the whole with several lines, and with ranges that cannot be satisfied', () => {
    const fields = stored({ etag: '"a"' })
    const twice = { range: 'bytes=0-1', 'if-range': ['"a"', '"a"'] }
    assert.equal(rangeAnswer('GET', twice, fields, 11), undefined)
    const beyond = { range: 'bytes=99-', 'if-range': '"b"' }
    assert.equal(rangeAnswer('GET', beyond, fields, 11), undefined)
  })
})

describe('isRangeable', () => {
  it('is what has no content coding', () => {
    assert.equal(isRangeable([]), true)
    assert.equal(isRangeable([['content-type', 'text/plain']]), true)
    assert.equal(isRangeable([['content-encoding', 'Identity']]), true)
    assert.equal(isRangeable([['content-encoding', 'gzip']]), false)
    assert.equal(isRangeable([['content-encoding', ['identity', 'gzip']]]), false)
  })
})
