import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { type StoredFields, type Validators, validatorsOf } from '../../src/http/conditional.ts'
import { makeEntityTag } from '../../src/http/entity-tag.ts'
import {
  conditionsFor,
  freshenedHead,
  validates,
  validationRequest,
} from '../../src/http/revalidation.ts'

const NOW = Date.parse('2026-11-06T08:49:37Z')
const MONDAY = 'Mon, 02 Nov 2026 08:00:00 GMT'
const TUESDAY = 'Tue, 03 Nov 2026 08:00:00 GMT'
const MADE = makeEntityTag('body', [])

function stored(fields: Record<string, string>): Validators {
  return validatorsOf(200, Object.entries(fields), NOW)!
}

describe('conditionsFor', () => {
  const table: [what: string, fields: Record<string, string>, expected: unknown][] = [
    ['a strong tag', { etag: '"a"' }, { etag: '"a"', lastModified: undefined }],
    ['a weak tag', { etag: 'W/"a"' }, { etag: 'W/"a"', lastModified: undefined }],
    ['a date', { 'last-modified': MONDAY }, { etag: undefined, lastModified: MONDAY }],
    ['both', { etag: '"a"', 'last-modified': MONDAY }, { etag: '"a"', lastModified: MONDAY }],
    [
      'a date in another form, as it stands',
      { 'last-modified': 'Sun Nov  6 08:49:37 1994' },
      { etag: undefined, lastModified: 'Sun Nov  6 08:49:37 1994' },
    ],
    ['nothing', {}, undefined],
    ['what is malformed', { etag: 'a', 'last-modified': '0' }, undefined],
    ['a tag of our own', { etag: MADE }, undefined],
    [
      'a tag of our own and a date',
      { etag: MADE, 'last-modified': MONDAY },
      { etag: undefined, lastModified: MONDAY },
    ],
  ]
  for (const [what, fields, expected] of table) {
    it(`asks with ${what}`, () => assert.deepEqual(conditionsFor(stored(fields)), expected))
  }
})

describe('validationRequest', () => {
  it("puts our conditions in place of the client's and keeps all other fields", () => {
    const request = {
      accept: '*/*',
      abc: ['1', '2'],
      range: 'bytes=0-1',
      'if-range': '"z"',
      'if-match': '"z"',
      'if-none-match': '"z"',
      'if-modified-since': TUESDAY,
      'if-unmodified-since': TUESDAY,
    }
    const before = structuredClone(request)
    const both = validationRequest(request, { etag: '"a"', lastModified: MONDAY })
    assert.deepEqual(both, {
      accept: '*/*',
      abc: ['1', '2'],
      'if-none-match': '"a"',
      'if-modified-since': MONDAY,
    })
    assert.deepEqual(validationRequest(request, { etag: undefined, lastModified: MONDAY }), {
      accept: '*/*',
      abc: ['1', '2'],
      'if-modified-since': MONDAY,
    })
    assert.deepEqual(validationRequest(request, { etag: '"a"', lastModified: undefined }), {
      accept: '*/*',
      abc: ['1', '2'],
      'if-none-match': '"a"',
    })
    assert.deepEqual(request, before)
  })
})

describe('validates', () => {
  type Pairs = Record<string, string>
  const table: [what: string, held: Pairs, update: Pairs, expected: boolean][] = [
    // RFC 9111 §4.3.4, first rule.
    ['the strong tag that is held', { etag: '"a"' }, { etag: '"a"' }, true],
    ['another strong tag', { etag: '"a"' }, { etag: '"b"' }, false],
    ['a strong tag where a weak one is held', { etag: 'W/"a"' }, { etag: '"a"' }, false],
    [
      'another strong tag with the same date',
      { etag: '"a"', 'last-modified': MONDAY },
      { etag: '"b"', 'last-modified': MONDAY },
      false,
    ],
    ['a strong tag where none is held', { 'last-modified': MONDAY }, { etag: '"a"' }, false],
    [
      'a tag where none is held, with the same date',
      { 'last-modified': MONDAY },
      { etag: '"a"', 'last-modified': MONDAY },
      true,
    ],
    [
      'a tag where the one held is our own, with the same date',
      { etag: MADE, 'last-modified': MONDAY },
      { etag: '"a"', 'last-modified': MONDAY },
      true,
    ],
    ['a tag that looks like ours', { etag: MADE }, { etag: MADE }, false],
    // Second rule.
    ['the weak tag that is held', { etag: 'W/"a"' }, { etag: 'W/"a"' }, true],
    ['the weak form of a strong tag', { etag: '"a"' }, { etag: 'W/"a"' }, true],
    ['another weak tag', { etag: 'W/"a"' }, { etag: 'W/"b"' }, false],
    ['the date that is held', { 'last-modified': MONDAY }, { 'last-modified': MONDAY }, true],
    [
      'the date that is held, in another form',
      { 'last-modified': MONDAY },
      { 'last-modified': 'Mon Nov  2 08:00:00 2026' },
      true,
    ],
    ['another date', { 'last-modified': MONDAY }, { 'last-modified': TUESDAY }, false],
    ['what is no date', { 'last-modified': MONDAY }, { 'last-modified': 'x' }, false],
    ['a date where none is held', { etag: '"a"' }, { 'last-modified': MONDAY }, false],
    [
      'the tag that is held, with another date',
      { etag: '"a"', 'last-modified': MONDAY },
      { etag: '"a"', 'last-modified': TUESDAY },
      true,
    ],
    // Third: it can only be about the response whose validators were sent.
    ['no validator, a tag being held', { etag: '"a"' }, { 'x-a': '1' }, true],
    ['no validator, a date being held', { 'last-modified': MONDAY }, {}, true],
    ['a malformed tag, which is none', { etag: '"a"' }, { etag: 'a' }, true],
    ['no validator where none is held', {}, {}, false],
  ]
  for (const [what, held, update, expected] of table) {
    it(`says ${expected} for a 304 with ${what}`, () => {
      assert.equal(validates(Object.entries(update), stored(held)), expected)
    })
  }

  it('never accepts a strong tag other than the strong one that is held', () => {
    const tag = fc.constantFrom('"a"', '"b"', 'W/"a"', 'W/"b"')
    fc.assert(
      fc.property(tag, tag, fc.constantFrom(MONDAY, TUESDAY), (held, sent, modified) => {
        const accepted = validates(
          [
            ['etag', sent],
            ['last-modified', modified],
          ],
          stored({ etag: held, 'last-modified': MONDAY }),
        )
        assert.equal(accepted, sent.startsWith('W') ? held.endsWith(sent.slice(2)) : held === sent)
      }),
    )
  })
})

describe('freshenedHead', () => {
  const head = (headers: StoredFields, removed: string[] = []) => ({ headers, removed })
  const update = (set: [string, string | string[]][]) => ({ set, removed: [] })

  it('replaces fields where they stand, keeps the rest and adds what is new', () => {
    const fresh = freshenedHead(
      head([
        ['cache-control', 'max-age=1'],
        ['x-a', '1'],
        ['link', ['</a>', '</b>']],
        ['etag', '"a"'],
      ]),
      update([
        ['link', '</c>'],
        ['x-new', ['1', '2']],
        ['cache-control', 'max-age=3600'],
        ['etag', 'W/"a"'],
      ]),
    )
    assert.deepEqual(fresh.headers, [
      ['cache-control', 'max-age=3600'],
      ['x-a', '1'],
      ['link', '</c>'],
      ['etag', 'W/"a"'],
      ['x-new', ['1', '2']],
    ])
  })

  const updated = [
    ...['test-header', 'content-foo', 'cache-control', 'content-location', 'expires', 'vary'],
    ...['content-security-policy', 'clear-site-data', 'x-frame-options', 'last-modified'],
  ]
  for (const name of updated) {
    it(`updates ${name}`, () => {
      const fresh = freshenedHead(head([[name, 'old']]), update([[name, 'new']]))
      assert.deepEqual(fresh.headers, [[name, 'new']])
    })
  }

  const kept = [
    ...['content-length', 'content-encoding', 'content-type', 'content-range', 'content-md5'],
    ...['content-digest', 'repr-digest', 'digest'],
  ]
  for (const name of kept) {
    it(`does not update ${name}, and does not add it`, () => {
      const fresh = freshenedHead(head([[name, 'old']]), update([[name, 'new']]))
      assert.deepEqual(fresh.headers, [[name, 'old']])
      assert.deepEqual(freshenedHead(head([]), update([[name, 'new']])).headers, [])
    })
  }

  it('adds nothing of one connection or one message, nor what Connection lists', () => {
    const fresh = freshenedHead(
      head([['x-b', '1']]),
      update([
        ['connection', 'x-a, X-B'],
        ['x-a', '2'],
        ['x-b', '2'],
        ['set-cookie', 'a=b'],
        ['keep-alive', 'timeout=5'],
        ['age', '9'],
        ['transfer-encoding', 'chunked'],
        ['proxy-authenticate', 'Basic'],
      ]),
    )
    assert.deepEqual(fresh.headers, [['x-b', '1']])
  })

  it('lets a field through that the handler took away before and sets now', () => {
    const fresh = freshenedHead(
      head([], ['x-frame-options', 'x-powered-by']),
      update([['x-frame-options', 'deny']]),
    )
    assert.deepEqual(fresh, { headers: [['x-frame-options', 'deny']], removed: ['x-powered-by'] })
  })

  it('has each name once, all stored names, and values of either side only', () => {
    const names = fc.constantFrom('x-a', 'x-b', 'etag', 'content-type', 'set-cookie', 'constructor')
    const section = fc.uniqueArray(fc.tuple(names, fc.string()), { selector: ([name]) => name })
    fc.assert(
      fc.property(section, section, (before, set) => {
        const { headers } = freshenedHead(head(before), update(set))
        const result = headers.map(([name]) => name)
        assert.equal(new Set(result).size, result.length)
        for (const [name] of before) assert.ok(result.includes(name))
        for (const pair of headers) {
          assert.ok([...before, ...set].some((one) => one[0] === pair[0] && one[1] === pair[1]))
        }
      }),
    )
  })
})
