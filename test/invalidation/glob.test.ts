import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { Glob } from '../../src/invalidation/glob.ts'

/** One part of a pattern: how it is written, and what it matches by itself. */
interface Part {
  written: string
  accepts: ((sign: string) => boolean) | 'any'
}

/** Slow and plain: every way to share the text among the parts is tried. */
function naive(parts: readonly Part[], signs: readonly string[]): boolean {
  const [part, ...rest] = parts
  if (part === undefined) return signs.length === 0
  if (part.accepts === 'any') {
    return signs.some((_, at) => naive(rest, signs.slice(at))) || naive(rest, [])
  }
  return signs.length > 0 && part.accepts(signs[0]!) && naive(rest, signs.slice(1))
}

const SIGNS = ['a', 'b', 'c', '/', ':', '*', '?', '[', ']', '\\', '^', '-', 'ä', '🦊']
const sign = fc.constantFrom(...SIGNS)
const escaped = (text: string): string => `\\${text}`
const literal = fc.oneof(
  sign.map((one): Part => ({ written: escaped(one), accepts: (other) => other === one })),
  fc
    .constantFrom('a', 'b', 'c', '/', ':', 'ä', '🦊', ']', '^', '-')
    .map((one): Part => ({ written: one, accepts: (other) => other === one })),
)
const point = (text: string): number => text.codePointAt(0)!
const set = fc
  .tuple(
    fc.constantFrom('', '^', '!'),
    fc.array(fc.tuple(sign, sign), { minLength: 1, maxLength: 3 }),
  )
  .map(([negation, pairs]): Part => {
    const written = pairs.map(([a, b]) => `${escaped(a)}-${escaped(b)}`).join('')
    const within = (other: string): boolean =>
      pairs.some(([a, b]) => {
        const [low, high] = [Math.min(point(a), point(b)), Math.max(point(a), point(b))]
        return point(other) >= low && point(other) <= high
      })
    return {
      written: `[${negation}${written}]`,
      accepts: (other) => within(other) !== (negation !== ''),
    }
  })
const part = fc.oneof(
  literal,
  fc.constant<Part>({ written: '?', accepts: () => true }),
  fc.constant<Part>({ written: '*', accepts: 'any' }),
  set,
)
const parts = fc.array(part, { maxLength: 8 })
const text = fc.array(sign, { maxLength: 8 })
const written = (pattern: readonly Part[]): string => pattern.map((each) => each.written).join('')

describe('a pattern', () => {
  it('matches what one matches that tries everything', () => {
    fc.assert(
      fc.property(parts, text, (pattern, signs) => {
        const glob = Glob.parse(written(pattern))!
        assert.equal(glob.matches(signs.join('')), naive(pattern, signs))
      }),
      { numRuns: 5000 },
    )
  })

  it('may go on from the beginning of whatever it matches', () => {
    fc.assert(
      fc.property(parts, text, fc.nat(8), (pattern, signs, length) => {
        const glob = Glob.parse(written(pattern))!
        if (!naive(pattern, signs)) return
        assert.equal(glob.mayContinue(signs.slice(0, length).join('')), true)
      }),
      { numRuns: 5000 },
    )
  })

  it('cannot go on where its own beginning differs', () => {
    const glob = Glob.parse('/products/*')!
    assert.equal(glob.mayContinue('/articles/'), false)
    assert.equal(glob.mayContinue('/prod'), true)
    assert.equal(glob.mayContinue('/products/1'), true)
    assert.equal(Glob.parse('/a')!.mayContinue('/abc'), false)
  })

  const examples: [pattern: string, matches: string[], others: string[]][] = [
    ['user:*', ['user:', 'user:1', 'user:1/a'], ['users:1', 'auser:1']],
    ['*', ['', 'a', '/a/b'], []],
    ['/a/**/c', ['/a/b/c', '/a//c', '/a/b/b/c'], ['/a/c', '/a/b/c/d']],
    ['user:?', ['user:1', 'user:🦊'], ['user:', 'user:12']],
    ['[a-c]', ['a', 'b', 'c'], ['d', '', 'ab']],
    ['[^a-c]', ['d', '-'], ['a', '']],
    ['[!a]', ['!', 'b'], ['a']],
    ['[a-]', ['a', '-'], ['b']],
    ['[]', [], ['', ']', '[]']],
    ['\\*', ['*'], ['a', '\\*', '']],
    ['', [''], ['a']],
  ]
  for (const [pattern, matches, others] of examples) {
    it(`'${pattern}' matches as Redis does`, () => {
      const glob = Glob.parse(pattern)!
      for (const each of matches) assert.equal(glob.matches(each), true, each)
      for (const each of others) assert.equal(glob.matches(each), false, each)
    })
  }

  it('that is not complete is none', () => {
    for (const pattern of ['[', 'a[b', '[a-', '[a-\\', '\\', 'a\\', '[^', '[\\']) {
      assert.equal(Glob.parse(pattern), undefined, pattern)
    }
  })

  // Regression: its beginning was made by a call with one argument for each character.
  it('may be longer than anybody would write it', () => {
    const long = 'x'.repeat(300_000)
    const glob = Glob.parse(`${long}*`)!
    assert.deepEqual([glob.matches(`${long}y`), glob.matches(long.slice(1))], [true, false])
  })

  it('cannot be made slow', () => {
    const glob = Glob.parse(`${'*a'.repeat(500)}b`)!
    const start = performance.now()
    assert.equal(glob.matches('a'.repeat(10_000)), false)
    assert.ok(performance.now() - start < 5000)
  })
})
