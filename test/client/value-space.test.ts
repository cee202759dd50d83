import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { ValueSpace } from '../../src/value-space.ts'
import type { StoredEntry } from '../../src/stored-response.ts'

const part = fc.stringMatching(/^[ab.@-]{1,3}$/).map((text) => text.replaceAll('@', '_'))
const level = fc.record({ name: part, version: fc.option(part, { nil: undefined }) })
const key = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ab:#/@.nd'.split('')), minLength: 1, maxLength: 8 }),
  fc.constantFrom('a', 'b').map((sign) => sign.repeat(201)),
)
const place = fc.record({ levels: fc.array(level, { maxLength: 3 }), key })
type Place = typeof place extends fc.Arbitrary<infer Value> ? Value : never

const spaceOf = ({ levels }: Place): ValueSpace => {
  let space = ValueSpace.root(60)
  for (const { name, version } of levels) {
    space = space.inner(name, version === undefined ? {} : { version })
  }
  return space
}
const text = ({ levels, key }: Place): string => JSON.stringify([levels, key])

describe('names of values', () => {
  it('differ in store and log wherever namespace, version or key differ', () => {
    fc.assert(
      fc.property(place, place, (a, b) => {
        const [one, two] = [spaceOf(a), spaceOf(b)]
        const isSame = text(a) === text(b)
        assert.equal(one.nameOf(a.key) === two.nameOf(b.key), isSame)
        assert.equal(one.tagsOf(a.key)[0] === two.tagsOf(b.key)[0], isSame)
      }),
      {
        numRuns: 2000,
        examples: [
          [
            { levels: [], key: 'a' },
            { levels: [], key: 'a' },
          ],
        ],
      },
    )
  })

  it('tell the key again, and only to their own namespace', () => {
    fc.assert(
      fc.property(place, place, (a, b) => {
        const [one, two] = [spaceOf(a), spaceOf(b)]
        const entry = { ...one.nameIn(a.key) } as StoredEntry
        assert.equal(one.keyOf(one.nameOf(a.key), entry), a.key)
        if (one.id !== two.id) assert.equal(two.keyOf(one.nameOf(a.key), entry), undefined)
      }),
      { numRuns: 1000 },
    )
  })

  it('carry the tags of all namespaces that they are in, each with its version', () => {
    const inner = ValueSpace.root(60)
      .inner('a', { version: 1 })
      .inner('b')
      .inner('c', { version: 'x' })
    assert.deepEqual(inner.tags, ['s:=a@1', 's:=a@1/b', 's:=a@1/b/c@x'])
    assert.equal(inner.nameOf('k'), 'n:a@1/b/c@x:k')
  })
})
