import assert from 'node:assert/strict'
import { parse } from 'node:querystring'
import { describe, it } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'

import {
  type RequestTarget,
  canonicalTarget,
  primaryKey,
  routeIdentity,
  splitTarget,
  variantKey,
} from '../../src/http/cache-key.ts'

const ROUTE = {
  format: 'frc1',
  namespace: 'shop',
  url: '/products/:id',
  constraints: {} as Record<string, unknown>,
  vary: [] as string[],
}

function keyOf(url: string, change: Partial<RequestTarget> = {}, identity = 'route'): string {
  const target = { host: 'a.example', protocol: 'http', url, originalUrl: url, ...change }
  const { rawQuery } = splitTarget(url)
  return primaryKey(identity, target, canonicalTarget(url, parse(rawQuery), undefined))
}

describe('splitTarget', () => {
  it('splits at the first question mark and changes nothing', () => {
    assert.deepEqual(splitTarget('/a?b=1?c=2'), { path: '/a', rawQuery: 'b=1?c=2' })
    assert.deepEqual(splitTarget('/a'), { path: '/a', rawQuery: '' })
    assert.deepEqual(splitTarget('/a?'), { path: '/a', rawQuery: '' })
  })
})

describe('primaryKey', () => {
  // Each pair is one resource to a URL parser and two to the router, or the other way around.
  const different: [a: string, b: string][] = [
    ['/a/../b', '/b'],
    ['/a/./b', '/a/b'],
    ['/a/%2e%2e/b', '/b'],
    ['/a%2fb', '/a/b'],
    ['/a%2Fb', '/a%2fb'],
    ['/a\\b', '/a/b'],
    ['//a/b', '/a/b'],
    ['/a/', '/a'],
    ['/a#b', '/a'],
    ['/a;v=1', '/a'],
    ['/A', '/a'],
    ['/a%20b', '/a+b'],
    ['/%61', '/a'],
    ['http://a.example/a', '/a'],
    ['/a?b#c', '/a?b'],
    ['/a?b=1', '/a?b=2'],
    ['/a?b', '/a'],
    ['/a?b=1&b=2', '/a?b=2&b=1'],
    ['/a?b=1&b=2', '/a?b=1%262'],
    ['/a?b=1%26c%3D2', '/a?b=1&c=2'],
    // Pages that show their own URL trust browsers to encode these.
    ['/a?b=<', '/a?b=%3C'],
    ['/a?b=>', '/a?b=%3E'],
    ['/a?b="', '/a?b=%22'],
    ["/a?b='", '/a?b=%27'],
    ['/a?b=\u00e9', '/a?b=%C3%A9'],
    ['/a?b=<&c=1', '/a?c=1&b=%3C'],
  ]
  for (const [a, b] of different) {
    it(`keeps ${a} apart from ${b}`, () => assert.notEqual(keyOf(a), keyOf(b)))
  }

  const same: [a: string, b: string][] = [
    ['/a?x=1&y=2', '/a?y=2&x=1'],
    ['/a?x=%31', '/a?x=1'],
    ['/a?x=a+b', '/a?x=a%20b'],
  ]
  for (const [a, b] of same) {
    it(`takes ${b} for ${a}, as the application does`, () => assert.equal(keyOf(a), keyOf(b)))
  }

  it('depends on host, protocol, route and the target before a rewrite', () => {
    const keys = [
      keyOf('/a'),
      keyOf('/a', { host: 'b.example' }),
      keyOf('/a', { host: '' }),
      keyOf('/a', { protocol: 'https' }),
      keyOf('/a', { originalUrl: '/b' }),
      keyOf('/a', { originalUrl: '' }),
      keyOf('/a', {}, 'another route'),
    ]
    assert.equal(new Set(keys).size, keys.length)
  })

  it('is never the same for two requests that differ in anything', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '1', ':', '-', '/'), maxLength: 4 })
    const target = fc.record({ host: text, protocol: text, url: text, originalUrl: text })
    fc.assert(
      fc.property(target, target, text, text, (a, b, routeA, routeB) => {
        const [keyA, keyB] = [
          primaryKey(routeA, a, canonicalTarget(a.url, {}, undefined)),
          primaryKey(routeB, b, canonicalTarget(b.url, {}, undefined)),
        ]
        // A route's identity is itself a list of parts; any other text could run into what follows.
        if (routeA === routeB) assert.equal(keyA === keyB, isDeepStrictEqual(a, b))
      }),
      { numRuns: 1000 },
    )
  })

  it('keeps texts apart that UTF-8 could not, such as a parser of its own makes of %uD800', () => {
    const key = (q: string): string =>
      primaryKey('route', target, canonicalTarget('/a?q', { q }, undefined))
    const target = { host: 'a', protocol: 'http', url: '/a?q', originalUrl: '/a?q' }
    assert.notEqual(key('\ud800'), key('\ud801'))
    assert.notEqual(key('\ud800'), key('\ufffd'))
  })

  it('has one length for any URL', () => {
    assert.equal(keyOf(`/${'x'.repeat(100_000)}`).length, keyOf('/').length)
  })
})

describe('variantKey', () => {
  it('keeps an absent value apart from an empty one', () => {
    assert.notEqual(variantKey('k', [undefined]), variantKey('k', ['']))
  })

  it('is never the same for two lists of values', () => {
    const values = fc.array(
      fc.option(fc.string({ unit: fc.constantFrom('1', ':', '-'), maxLength: 3 }), {
        nil: undefined,
      }),
      { maxLength: 3 },
    )
    fc.assert(
      fc.property(values, values, (a, b) => {
        assert.equal(variantKey('k', a) === variantKey('k', b), isDeepStrictEqual(a, b))
      }),
      { numRuns: 1000 },
    )
  })

  it('depends on the primary key', () => {
    assert.notEqual(variantKey('k', ['1']), variantKey('l', ['1']))
  })
})

describe('routeIdentity', () => {
  const base = routeIdentity(ROUTE)
  const changes: [what: string, change: Partial<typeof ROUTE>][] = [
    ['the frame format', { format: 'frc2' }],
    ['the namespace', { namespace: 'shop2' }],
    ['the pattern', { url: '/products/:name' }],
    ['a constraint', { constraints: { host: 'a' } }],
    ['what it varies on', { vary: ['haccept'] }],
    ['parts that only together look the same', { namespace: 'shop9:/products', url: '/:id' }],
  ]
  for (const [what, change] of changes) {
    it(`depends on ${what}`, () => {
      assert.notEqual(routeIdentity({ ...ROUTE, ...change }), base)
    })
  }

  it('does not depend on the order in which constraints were written', () => {
    const a = routeIdentity({ ...ROUTE, constraints: { host: 'a', version: '1' } })
    const b = routeIdentity({ ...ROUTE, constraints: { version: '1', host: 'a' } })
    assert.equal(a, b)
  })

  it('tells constraints apart by name, value and kind', () => {
    const constraints: Record<string, unknown>[] = [
      { host: 'a' },
      { host: 'b' },
      { version: 'a' },
      { host: /a/ },
      { host: /a/i },
      { host: '/a/' },
      { host: 'a', version: 'a' },
    ]
    const identities = constraints.map((each) => routeIdentity({ ...ROUTE, constraints: each }))
    assert.equal(new Set(identities).size, identities.length)
  })

  it('tells the lists of vary names apart', () => {
    const lists = [[], ['a'], ['a', 'b'], ['b', 'a'], ['ab'], ['a', 'b', '']]
    const identities = lists.map((vary) => routeIdentity({ ...ROUTE, vary }))
    assert.equal(new Set(identities).size, lists.length)
  })
})
