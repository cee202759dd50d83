import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  isMadeEntityTag,
  makeEntityTag,
  parseEntityTag,
  parseEntityTags,
  strongMatch,
  weakMatch,
} from '../../src/http/entity-tag.ts'

const tag = (text: string) => parseEntityTag(text)!

/** Well-formed tags, with commas and other delimiters in them. */
const opaque = fc
  .string({ unit: fc.constantFrom('a', 'b', ',', '\\', "'", '*', 'W', '/', '!', '~', '\xfc') })
  .map((text) => `"${text}"`)
const anyTag = fc.tuple(fc.constantFrom('', 'W/'), opaque).map((parts) => parts.join(''))
const oddText = fc.oneof(
  fc.string({ unit: fc.constantFrom('"', 'W', '/', 'w', ',', ' ', '\t', '*', '\\', 'a', '\x7f') }),
  fc.string({ unit: 'binary' }),
)

describe('parseEntityTag', () => {
  const table: [text: string, weak: boolean, opaque: string][] = [
    ['"abc"', false, '"abc"'],
    ['W/"abc"', true, '"abc"'],
    ['""', false, '""'],
    ['"a,b,c"', false, '"a,b,c"'],
    // RFC 9110 §8.8.3: a backslash is a character of the tag, not an escape.
    ['"a\\"', false, '"a\\"'],
    ['"W/"', false, '"W/"'],
    ['"\xe4\xfc"', false, '"\xe4\xfc"'],
    ['"*"', false, '"*"'],
  ]
  for (const [text, weak, opaque] of table) {
    it(`reads ${text}`, () => assert.deepEqual(parseEntityTag(text), { text, weak, opaque }))
  }

  const malformed = ['', '*', 'abc', 'w/"abc"', 'W"abc"', 'W\\"abc"', 'W/abc', '"abc', 'abc"']
  for (const text of [...malformed, '"a b"', '"a"b"', '"a", "b"', '"a\x7f"', '"Ā"', 'W/ "a"']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseEntityTag(text), undefined))
  }

  it('never throws, and what it reads is the whole text', () => {
    fc.assert(
      fc.property(fc.oneof(oddText, anyTag), (text) => {
        const parsed = parseEntityTag(text)
        if (parsed) assert.equal((parsed.weak ? 'W/' : '') + parsed.opaque, text)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('parseEntityTags', () => {
  const table: [field: string, expected: string[] | '*' | undefined][] = [
    ['"a"', ['"a"']],
    ['"a", W/"b" ,"c"', ['"a"', 'W/"b"', '"c"']],
    ['"a,b","c"', ['"a,b"', '"c"']],
    [' \t"a"\t ', ['"a"']],
    [',, "a",,', ['"a"']],
    ['', []],
    [' , ', []],
    ['*', '*'],
    [' * ', '*'],
    ['*, "a"', undefined],
    ['"a", *', undefined],
    ['"a" "b"', undefined],
    ['"a""b"', undefined],
    ['a, "b"', undefined],
    ['"b", a', undefined],
    ['"a', undefined],
    ['"a, "b"', undefined],
    ['w/"a"', undefined],
  ]
  for (const [field, expected] of table) {
    it(`reads ${JSON.stringify(field)} as ${JSON.stringify(expected)}`, () => {
      const tags = parseEntityTags(field)
      assert.deepEqual(typeof tags === 'object' ? tags.map(({ text }) => text) : tags, expected)
    })
  }

  it('reads back any list, however it is spaced', () => {
    const separator = fc.stringMatching(/^[ \t]{0,2},[ \t,]{0,3}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(anyTag, separator)), (pairs) => {
        const tags = parseEntityTags(pairs.flat().join(''))
        assert.deepEqual(
          typeof tags === 'object' && tags.map(({ text }) => text),
          pairs.map(([text]) => text),
        )
      }),
    )
  })

  it('never throws, and gives well-formed tags only', () => {
    fc.assert(
      fc.property(oddText, (field) => {
        const tags = parseEntityTags(field)
        if (typeof tags !== 'object') return
        for (const one of tags) assert.deepEqual(parseEntityTag(one.text), one)
      }),
      { numRuns: 2000 },
    )
  })

  it('takes no longer than its text for spaces, commas and quotes without end', () => {
    const started = process.hrtime.bigint()
    for (const unit of [' ', ',', '"', '" ', 'W/', '"a" ', '"a",']) {
      parseEntityTags(`${unit.repeat(60_000)}x`)
      parseEntityTags(`"a"${unit.repeat(60_000)}x`)
    }
    assert.ok(process.hrtime.bigint() - started < 2_000_000_000n)
  })
})

describe('comparison', () => {
  // The table of RFC 9110 §8.8.3.2.
  const table: [a: string, b: string, strong: boolean, weak: boolean][] = [
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
    ['"a"', '"A"', false, false],
  ]
  for (const [a, b, strong, weak] of table) {
    it(`finds ${a} and ${b} ${strong ? '' : 'not '}strongly, ${weak ? '' : 'not '}weakly equal`, () => {
      for (const [one, other] of [
        [tag(a), tag(b)],
        [tag(b), tag(a)],
      ] as const) {
        assert.equal(strongMatch(one, other), strong)
        assert.equal(weakMatch(one, other), weak)
      }
    })
  }

  it('is symmetric, strong implies weak, and each tag equals itself weakly', () => {
    const near = fc.constantFrom('"a"', 'W/"a"', '""', 'W/""', '"A"', '"W/"')
    fc.assert(
      fc.property(fc.oneof(near, anyTag), fc.oneof(near, anyTag), (left, right) => {
        const [a, b] = [tag(left), tag(right)]
        assert.equal(weakMatch(a, b), weakMatch(b, a))
        assert.equal(strongMatch(a, b), strongMatch(b, a))
        if (strongMatch(a, b)) assert.ok(weakMatch(a, b) && left === right)
        assert.ok(weakMatch(a, a))
        assert.equal(strongMatch(a, a), !a.weak)
      }),
    )
  })
})

describe('makeEntityTag', () => {
  it('makes a weak tag that can be read, and known as one of ours', () => {
    const made = makeEntityTag('body', ['text/plain'])
    assert.match(made, /^W\/"~[\w-]{27}"$/)
    assert.equal(parseEntityTag(made)?.weak, true)
    assert.equal(isMadeEntityTag(made), true)
    for (const other of ['"abc"', 'W/"abc"', made.slice(2), made.toUpperCase() + '"']) {
      assert.equal(isMadeEntityTag(other), false, other)
    }
  })

  it('makes the same tag for the same bytes, be they text or not', () => {
    assert.equal(makeEntityTag('grün', []), makeEntityTag(Buffer.from('grün'), []))
    assert.equal(makeEntityTag(undefined, []), makeEntityTag('', []))
  })

  it('makes another tag for another body, another part, or the same text elsewhere', () => {
    const variants = [
      makeEntityTag('a', []),
      makeEntityTag('b', []),
      makeEntityTag('a', ['b']),
      makeEntityTag('a', [undefined]),
      makeEntityTag('a', ['']),
      makeEntityTag('a', ['b', 'c']),
      makeEntityTag('a', ['bc']),
      makeEntityTag('', ['a']),
    ]
    assert.equal(new Set(variants).size, variants.length)
  })

  it('never gives two different bodies of random bytes one tag', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        assert.equal(makeEntityTag(a, []) === makeEntityTag(b, []), Buffer.compare(a, b) === 0)
      }),
    )
  })
})
