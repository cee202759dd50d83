import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { cacheGroupsField, groupTags } from '../src/group-tags.ts'
import { encodeTag } from '../src/invalidation/tags.ts'

describe('groupTags', () => {
  it('makes the tag of its name of each group, once', () => {
    const tags = ['a', 'A', 'a b', ''].map((name) => encodeTag('tag', name))
    assert.deepEqual(groupTags('"a", "A";x=1, "a", "a b", ""'), tags)
    assert.deepEqual(groupTags(['"a", "A"', '"a b", ""']), tags)
  })

  it('takes groups of any length, and any number of them', () => {
    const long = 'x'.repeat(5000)
    assert.deepEqual(groupTags(`"${long}"`), [encodeTag('tag', long)])
    const many = Array.from({ length: 2000 }, (_, n) => `"g${n}"`)
    assert.equal(groupTags(many.join(', ')).length, 2000)
  })

  for (const value of [undefined, '', 'token', '("inner")', '"open', '"a", 1', ':YQ==:']) {
    it(`finds none in ${JSON.stringify(value)}`, () => assert.deepEqual(groupTags(value), []))
  }
})

describe('cacheGroupsField', () => {
  it('names the tags, each once, after the groups of the response itself', () => {
    assert.equal(cacheGroupsField(['a', 'b', 'a']), '"a", "b"')
    assert.equal(cacheGroupsField(['a', 'b'], '"b", "c"'), '"b", "c", "a"')
    assert.equal(cacheGroupsField(['say "hi"', 'back\\slash']), '"say \\"hi\\"", "back\\\\slash"')
  })

  it('is nothing when there is nothing to say', () => {
    assert.equal(cacheGroupsField([]), undefined)
    assert.equal(cacheGroupsField(['ä', 'line\nbreak', '🦊']), undefined)
  })

  it('leaves out what no structured string can hold', () => {
    assert.equal(cacheGroupsField(['ä', 'b']), '"b"')
  })

  it('is never long, and holds as much as fits', () => {
    const tags = ['a', 'x'.repeat(5000), 'b', ...Array.from({ length: 2000 }, (_, n) => `tag${n}`)]
    const field = cacheGroupsField(tags)!
    assert.ok(field.length <= 4096 && field.length > 4000)
    assert.match(field, /^"a", "b", "tag0", /)
  })

  it('says what groupTags reads, whatever the tags', () => {
    const tag = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.uniqueArray(tag, { maxLength: 20 }), (tags) => {
        const readable = tags.filter((each) => /^[\x20-\x7e]+$/.test(each))
        assert.deepEqual(
          groupTags(cacheGroupsField(tags)),
          readable.map((each) => encodeTag('tag', each)),
        )
      }),
    )
  })
})
