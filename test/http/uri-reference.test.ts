import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { type TargetUri, sameOriginTarget } from '../../src/http/uri-reference.ts'

const TARGET: TargetUri = { protocol: 'http', host: 'shop.example', url: '/a/b/c?d=1' }

describe('sameOriginTarget', () => {
  const same: [reference: string, target: string][] = [
    // RFC 3986 §5.4: normal and abnormal examples, as far as they are of this scheme and host.
    ['g', '/a/b/g'],
    ['./g', '/a/b/g'],
    ['g/', '/a/b/g/'],
    ['/g', '/g'],
    ['?y', '/a/b/c?y'],
    ['g?y', '/a/b/g?y'],
    ['#s', '/a/b/c?d=1'],
    ['g?y#s', '/a/b/g?y'],
    ['', '/a/b/c?d=1'],
    ['.', '/a/b/'],
    ['..', '/a/'],
    ['../g', '/a/g'],
    ['../../../g', '/g'],
    ['/./g', '/g'],
    ['/../g', '/g'],
    ['http://shop.example/x?y=1', '/x?y=1'],
    ['http://shop.example', '/'],
    ['HTTP://SHOP.example:80/x', '/x'],
    ['http://user@shop.example/x', '/x'],
    ['//shop.example/x', '/x'],
    ['/a b', '/a%20b'],
    ['/\u00e9', '/%C3%A9'],
    ['/%7e', '/%7e'],
  ]
  for (const [reference, target] of same) {
    it(`finds ${target} in ${JSON.stringify(reference)}`, () => {
      assert.equal(sameOriginTarget(reference, TARGET), target)
    })
  }

  const foreign: string[] = [
    'https://shop.example/x',
    'http://shop.example:8080/x',
    'http://www.shop.example/x',
    'http://shop.example.evil/x',
    'http://evil@other/x',
    '//other/x',
    '/\\other/x',
    'mailto:shop@shop.example',
    'data:text/plain,x',
    'javascript:x',
    'http://',
    'http://[/x',
    'urn:a:b',
  ]
  for (const reference of foreign) {
    it(`finds nothing in ${JSON.stringify(reference)}`, () => {
      assert.equal(sameOriginTarget(reference, TARGET), undefined)
    })
  }

  it('compares the port too', () => {
    const target = { ...TARGET, host: 'shop.example:8080' }
    assert.equal(sameOriginTarget('http://shop.example:8080/x', target), '/x')
    assert.equal(sameOriginTarget('http://shop.example/x', target), undefined)
    assert.equal(
      sameOriginTarget('https://[::1]/x', { protocol: 'https', host: '[::1]:443', url: '/' }),
      '/x',
    )
  })

  it('finds nothing where the request names no host that is one, nor a protocol that has any', () => {
    for (const wrong of [{ host: '' }, { host: 'a b' }, { host: '[' }, { protocol: '' }]) {
      assert.equal(sameOriginTarget('/x', { ...TARGET, ...wrong }), undefined)
    }
    assert.equal(sameOriginTarget('/x', { ...TARGET, protocol: 'unheard-of' }), undefined)
  })

  it('takes a path that begins with two slashes for a path', () => {
    assert.equal(sameOriginTarget('g', { ...TARGET, url: '//other/x' }), '//other/g')
  })

  it('never throws, and gives a path or nothing', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.webUrl(), (reference, host, url) => {
        for (const each of [reference, url]) {
          const found = sameOriginTarget(each, { ...TARGET, host })
          assert.ok(found === undefined || found.startsWith('/'))
        }
      }),
    )
  })
})
