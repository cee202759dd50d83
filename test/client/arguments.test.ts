import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { CacheClient } from '../../src/index.ts'
import { openClient } from './apps.ts'

type Call = (cache: CacheClient) => Promise<unknown>
const as = <T>(value: unknown): T => value as T
const invalid = (message: RegExp): object => ({
  code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
  message,
})

describe('the cache client refuses', () => {
  const endless: Record<string, unknown> = {}
  endless['self'] = endless

  const wrong: [what: string, call: Call, message: RegExp][] = [
    ['an empty key', (c) => c.get(''), /key must be a non-empty, well-formed string/],
    ['a key that is a number', (c) => c.get(as(5)), /a key must be/],
    ['no key', (c) => c.has(as(undefined)), /a key must be/],
    ['a key with half a surrogate pair', (c) => c.delete('a\ud800'), /a key must be/],
    ['an object as a key', (c) => c.set(as({}), 1), /a key must be/],
    ['an empty key for a factory', (c) => c.getOrSet('', () => 1), /a key must be/],
    ['a ttl of 0', (c) => c.set('a', 1, { ttl: 0 }), /the ttl of 'a' must be a number of seconds/],
    ['a negative ttl', (c) => c.set('a', 1, { ttl: -1 }), /the ttl of 'a'/],
    ['a ttl that is no number', (c) => c.set('a', 1, { ttl: NaN }), /the ttl of 'a'/],
    ['a ttl without an end', (c) => c.set('a', 1, { ttl: Infinity }), /the ttl of 'a'/],
    ['a ttl in parsecs', (c) => c.set('a', 1, { ttl: '5 parsecs' }), /the ttl of 'a'/],
    ['a wrong ttl for a factory', (c) => c.getOrSet('a', () => 1, { ttl: 0 }), /the ttl of 'a'/],
    [
      'an empty tag',
      (c) => c.set('a', 1, { tags: [''] }),
      /the tags of 'a': a tag must not be empty/,
    ],
    ['a tag that is a number', (c) => c.set('a', 1, { tags: as([5]) }), /a tag must be a string/],
    ['tags that are text', (c) => c.set('a', 1, { tags: as('x') }), /tags/],
    [
      'too many tags',
      (c) => c.set('a', 1, { tags: tagList(257) }),
      /'a' has 257 tags; 256 is the most/,
    ],
    ['a function as a value', (c) => c.set('a', () => 1), /the value of 'a' is not JSON/],
    ['a bigint as a value', (c) => c.set('a', 5n), /the value of 'a' is not JSON: .*BigInt/],
    [
      'a value without an end',
      (c) => c.set('a', endless),
      /the value of 'a' is not JSON: value\.self is a cycle/,
    ],
    [
      'a factory that makes no JSON',
      (c) => c.getOrSet('b', () => 5n),
      /the value of 'b' is not JSON/,
    ],
    ['one tag instead of a list', (c) => c.invalidateTags(as('a')), /invalidateTags takes a list/],
    [
      'an empty tag to invalidate',
      (c) => c.invalidateTags(['a', '']),
      /invalidateTags: a tag must not be empty/,
    ],
    ['a tag that is too long', (c) => c.invalidateTags(['x'.repeat(1025)]), /longer than 1024/],
    [
      'an unknown mode',
      (c) => c.invalidateTags(['a'], { mode: as('hard') }),
      /mode must be 'expire', 'soft' or 'purge', got 'hard'/,
    ],
    ['an empty URL', (c) => c.invalidateUrl(''), /invalidateUrl takes a URL or a path/],
    ['a URL object', (c) => c.invalidateUrl(as(new URL('http://a/'))), /invalidateUrl takes/],
    ['an empty route', (c) => c.invalidateRoute(''), /invalidateRoute takes a route's pattern/],
    ['no route', (c) => c.invalidateRoute(as(undefined)), /invalidateRoute takes/],
    // Regression: no route is called that, so it resolved and nothing was invalidated.
    ['a route with its method', (c) => c.invalidateRoute('GET /a'), /invalidateRoute takes/],
    // Regression: options that are no object were not looked at, and the defaults were in force.
    ['a ttl in the place of options', (c) => c.set('a', 1, as(60)), /'a': options must be an obj/],
    ['null as options', (c) => c.getOrSet('b', () => 1, as(null)), /options must be an object/],
    ['a ttl for many', (c) => c.setMany([['a', 1]], as(60)), /options must be an object/],
    ['a ttl to wrap', async (c) => c.wrap('b', () => 1, as(60)), /'b': options must be an object/],
    ['a ttl of a lock', (c) => c.withLock('b', () => 1, as(60)), /lock 'b': options must be an/],
    ['a ttl of a namespace', async (c) => c.namespace('b', as(60)), /options must be an object/],
    ['a mode as text', (c) => c.invalidateTags(['a'], as('soft')), /options must be an object/],
    [
      'a misspelt mode',
      (c) => c.invalidateUrl('/', as({ modus: 'soft' })),
      /'modus' is not an option/,
    ],
    // Regression: text is a list of its characters, and they were asked for.
    ['one key instead of a list', (c) => c.getMany('abc'), /getMany takes a list of keys/],
    ['no keys', (c) => c.getMany(as(undefined)), /getMany takes a list of keys/],
    // Regression: a TypeError of Map, or none.
    ['an object for many', (c) => c.setMany(as({ a: 1 }), { ttl: 1 }), /Object\.entries\(\)/],
    [
      'keys for many',
      (c) => c.setMany(as(['a', 'b']), { ttl: 1 }),
      /setMany takes a Map, or pairs/,
    ],
    ['nothing for many', (c) => c.setMany(as(undefined), { ttl: 1 }), /setMany takes a Map/],
    // Regression: a TypeError at the first miss, and no word at a hit.
    ['no factory', (c) => c.getOrSet('a', as({ ttl: 1 })), /getOrSet: 'a' needs a function/],
    ['no write', (c) => c.writeThrough('a', as(undefined)), /writeThrough: 'a' needs a function/],
  ]
  for (const [what, call, message] of wrong) {
    it(`${what}, and has done nothing`, async (t) => {
      const cache = await openClient(t)
      await cache.set('a', 'before', { tags: ['a'] })
      await assert.rejects(call(cache), invalid(message))
      assert.equal(await cache.get('a'), 'before')
    })
  }

  it('a value without a ttl when the defaults have none', async (t) => {
    const cache = await openClient(t, { defaults: {} })
    await assert.rejects(
      cache.set('a', 1),
      invalid(/the ttl of 'a' is missing; give \{ ttl: '5m' \}/),
    )
    assert.equal(await cache.set('a', 1, { ttl: 1 }), true)
  })

  it('nothing of what is just allowed', async (t) => {
    const cache = await openClient(t)
    assert.equal(await cache.set('a', 1, { tags: tagList(256) }), true)
    await cache.invalidateTags(['x'.repeat(1024), '255'])
    assert.equal(await cache.get('a'), undefined)
  })
})

function tagList(length: number): string[] {
  return Array.from({ length }, (_, n) => String(n))
}
