import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'node:querystring'
import fc from 'fast-check'

import { proposalFor, readableName } from '../../src/dashboard/page/tag-name.ts'
import { canonicalTarget } from '../../src/http/cache-key.ts'
import { decodeTag, encodeTag } from '../../src/invalidation/tags.ts'
import { exactTag } from '../../src/url-tags.ts'

const FILTER = JSON.stringify({ ignore: ['utm_*', 'a}b'] })

function urlTag(target: string, filter = ''): ReturnType<typeof decodeTag> {
  const query = parse(target.split('?')[1] ?? '')
  return decodeTag(exactTag(canonicalTarget(target, query, undefined), filter))
}

describe('the name of a tag', () => {
  it('of a URL is its path and query', () => {
    assert.equal(readableName(urlTag('/cities')), '/cities')
    assert.equal(readableName(urlTag('/cities?name=paris&a=1')), '/cities?a=1&name=paris')
    assert.equal(readableName(urlTag('/a?q=x%26y')), '/a?q=x%26y')
    assert.equal(readableName(urlTag('/cities?b=2', FILTER)), '/cities?b=2')
  })

  it('of a URL is what it is where more than names and values count', () => {
    const several = urlTag('/a?x=1&x=2')
    assert.equal(readableName(several), several.name)
    const long = urlTag(`/${'a'.repeat(100)}`)
    assert.equal(readableName(long), long.name)
    for (const name of ['', '5:/ab', '3:abc', 'x', '2:/a3:b']) {
      assert.equal(readableName({ kind: 'url', name }), name)
    }
  })

  it('of a URL leads back to the same tag', () => {
    const part = fc.stringMatching(/^[a-zäöü0-9 %&=?:]{1,5}$/)
    fc.assert(
      fc.property(fc.dictionary(part, part, { maxKeys: 2 }), (query) => {
        const search = new URLSearchParams(query).toString().replaceAll('+', '%20')
        const tag = urlTag(`/p?${search}`)
        const read = readableName(tag)
        if (!tag.name.startsWith('#')) assert.deepEqual(urlTag(read), tag)
      }),
    )
  })

  it('of other kinds stays', () => {
    assert.equal(readableName({ kind: 'tag', name: '7:/cities' }), '7:/cities')
  })
})

describe('what to invalidate to hit a tag', () => {
  it('is a tag, a route, a path or a URL', () => {
    const proposals: [kind: string, name: string, by: string, value: string][] = [
      ['tag', 'products', 'tag', 'products'],
      ['route', '/cities/:id', 'route', '/cities/:id'],
      ['path', '/cities', 'url', '/cities'],
      ['url', '7:/cities4:names5:paris', 'url', '/cities?name=paris'],
    ]
    for (const [kind, name, by, value] of proposals) {
      assert.deepEqual(proposalFor({ kind, name }), { by, value })
    }
  })

  it('is not known of keys, patterns, digests and sealed names', () => {
    const long = decodeTag(encodeTag('tag', 'x'.repeat(65)))
    const path = decodeTag(encodeTag('path', `/${'x'.repeat(70)}`))
    const others = [
      { kind: 'key', name: 'user:1' },
      { kind: 'glob', name: '/a/*' },
      { kind: 'url', name: 'nonsense' },
    ]
    for (const tag of [long, path, ...others]) assert.equal(proposalFor(tag), undefined)
  })
})
