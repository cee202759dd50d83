import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import fc from 'fast-check'

import { cookiePairs } from '../../src/http/credentials.ts'
import { formatPosition, parsePosition, takeCookie } from '../../src/http/position-token.ts'

const hex = (size: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${size}}$`))
const token = fc.record({
  epoch: fc.oneof(fc.constant(''), hex(16)),
  seq: fc.maxSafeNat(),
  expiresAt: fc.nat(4_000_000_000).map((second) => second * 1000),
})
const secret = fc.string({ minLength: 32 })

describe('a position token', () => {
  it('says what it was made of, to whoever knows the secret', () => {
    fc.assert(
      fc.property(token, fc.string(), secret, (claim, audience, key) => {
        const text = formatPosition(claim, audience, key)
        assert.deepEqual(parsePosition(text, audience, [key]), { ...claim })
      }),
    )
  })

  it('goes unchanged through a cookie and a header field', () => {
    fc.assert(
      fc.property(token, secret, (claim, key) => {
        assert.match(formatPosition(claim, 'shop', key), /^[\w.-]{1,120}$/)
      }),
    )
  })

  it('says nothing to who knows another secret, or is of another audience', () => {
    fc.assert(
      fc.property(token, secret, secret, (claim, key, other) => {
        fc.pre(key !== other)
        const text = formatPosition(claim, 'shop', key)
        assert.equal(parsePosition(text, 'shop', [other]), undefined)
        assert.equal(parsePosition(text, 'shop2', [key]), undefined)
        assert.equal(parsePosition(text, '', [key]), undefined)
      }),
    )
  })

  it('is good under each of several secrets', () => {
    fc.assert(
      fc.property(token, fc.array(secret, { minLength: 1 }), fc.nat(), (claim, secrets, at) => {
        const text = formatPosition(claim, 'shop', secrets[at % secrets.length]!)
        assert.deepEqual(parsePosition(text, 'shop', secrets), { ...claim })
      }),
    )
  })

  it('says nothing when one character is another', () => {
    fc.assert(
      fc.property(
        token,
        secret,
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 1 }),
        (...drawn) => {
          const [claim, key, nat, character] = drawn
          const text = formatPosition(claim, 'shop', key)
          const at = nat % text.length
          fc.pre(text[at] !== character)
          const forged = text.slice(0, at) + character + text.slice(at + 1)
          assert.equal(parsePosition(forged, 'shop', [key]), undefined)
        },
      ),
      { numRuns: 300 },
    )
  })

  it('is not made of other text, however long', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        assert.equal(parsePosition(text, 'shop', ['x'.repeat(32)]), undefined)
      }),
    )
    assert.equal(parsePosition(`p1.${'0'.repeat(1e6)}`, 'shop', ['x'.repeat(32)]), undefined)
  })

  it('does not lend its signature to a claim of which it is a part', () => {
    const key = 'k'.repeat(32)
    const text = formatPosition({ epoch: 'ab', seq: 1, expiresAt: 1000 }, 'x', key)
    const [, , , , mac] = text.split('.')
    for (const claim of ['p1.a.b.1', 'p1.ab.1.10', 'p1.ab.11.1', 'p1..ab.1', 'p1.ab.1.1.x']) {
      assert.equal(parsePosition(`${claim}.${mac}`, 'x', [key]), undefined, claim)
    }
  })
})

describe('takeCookie', () => {
  const cases: [field: string, value: string | undefined, rest?: string][] = [
    ['p=1', '1'],
    [' p = 1 ', '1'],
    ['p=1; a=2', '1', 'a=2'],
    ['a=2; p=1', '1', 'a=2'],
    ['a=2; p=1; b=3', '1', 'a=2; b=3'],
    ['a=p; p=', '', 'a=p'],
    ['p=1=2', '1=2'],
    ['p; p=1', '1', 'p'],
    ['p', undefined],
    ['pp=1; xp=2', undefined],
    ['P=1', undefined],
    ['p=1; p=1', undefined],
    ['p=1; a=2; p=3', undefined],
    ['', undefined],
  ]
  for (const [field, value, rest] of cases) {
    it(`reads '${field}'`, () => {
      const expected = value === undefined ? undefined : { value, rest }
      assert.deepEqual(takeCookie(field, 'p'), expected)
    })
  }

  it('leaves all other cookies as they are', () => {
    const name = fc.constantFrom('p', 'pp', 'a', 'p1', '')
    const value = fc.stringMatching(/^[ -:<-~]{0,5}$/)
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (pairs) => {
        const field = pairs.map((pair) => pair.join('=')).join('; ')
        const taken = takeCookie(field, 'p')
        const read = cookiePairs(field)
        const own = read.filter(([each]) => each === 'p')
        assert.equal(taken?.value, own.length === 1 ? own[0]![1] : undefined)
        if (taken === undefined) return
        const others = read.filter(([each]) => each !== 'p')
        assert.deepEqual(cookiePairs(taken.rest ?? ''), others)
      }),
    )
  })
})
