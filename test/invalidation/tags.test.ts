import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { MAX_TAG_LENGTH, encodeTag, tagProblem } from '../../src/invalidation/tags.ts'

const KINDS = ['tag', 'path', 'url', 'route', 'key'] as const

describe('encodeTag', () => {
  it('never makes one tag of two: not of two kinds, not of two values', () => {
    const kind = fc.constantFrom(...KINDS)
    const value = fc.oneof(
      fc.string({ unit: fc.constantFrom('t', ':', '=', '#', 'p'), maxLength: 4 }),
      fc.string({ unit: 'grapheme', minLength: 60, maxLength: 70 }),
    )
    fc.assert(
      fc.property(kind, value, kind, value, (kindA, a, kindB, b) => {
        const same = kindA === kindB && a === b
        assert.equal(encodeTag(kindA, a) === encodeTag(kindB, b), same)
      }),
      { numRuns: 2000 },
    )
  })

  it('does not take the digest of a long tag for a short tag of that name', () => {
    const long = encodeTag('tag', 'x'.repeat(1000))
    const digest = long.slice('t:'.length)
    for (const forged of [digest, long, digest.slice(1)]) {
      assert.notEqual(encodeTag('tag', forged), long)
    }
  })

  it('keeps two long tags apart that differ at the end only', () => {
    assert.notEqual(
      encodeTag('tag', `${'x'.repeat(500)}a`),
      encodeTag('tag', `${'x'.repeat(500)}b`),
    )
  })

  it('is short for any value, and never empty: the empty member of the set means something else', () => {
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), fc.string({ maxLength: 2000 }), (kind, value) => {
        const { length } = encodeTag(kind, value)
        assert.ok(length > 0 && length <= 110)
      }),
    )
  })
})

describe('tagProblem', () => {
  it('accepts any well-formed text of a sensible length', () => {
    for (const tag of ['a', ' ', 'a b', 'ä', '🦊', '\n', '*', '{a}', 'x'.repeat(MAX_TAG_LENGTH)]) {
      assert.equal(tagProblem(tag), undefined)
    }
  })

  const wrong: [what: string, tag: unknown, problem: RegExp][] = [
    ['an empty tag', '', /must not be empty/],
    ['a tag that is too long', 'x'.repeat(MAX_TAG_LENGTH + 1), /longer than 1024/],
    ['half of a surrogate pair', 'a\ud800', /well-formed/],
    ['a number', 5, /must be a string, got number/],
    ['undefined', undefined, /got undefined/],
    ['null', null, /got object/],
    ['a list', ['a'], /got object/],
  ]
  for (const [what, tag, problem] of wrong) {
    it(`refuses ${what}`, () => assert.match(tagProblem(tag) ?? '', problem))
  }
})
