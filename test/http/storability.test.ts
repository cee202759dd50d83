import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import type { Fields } from '../../src/http/fields.ts'
import { privateSign } from '../../src/http/storability.ts'

/** `hooks` are fields that the handler did not set itself. */
function sign(
  own: Fields,
  { hooks = {}, keyed = [], origin }: { hooks?: Fields; keyed?: string[]; origin?: string } = {},
): string | undefined {
  const final = { ...own, ...hooks }
  return privateSign({
    own: (name) => own[name],
    final: (name) => final[name],
    keyed: new Set(keyed),
    nominated: [],
    origin,
  })
}

describe('privateSign', () => {
  const table: [what: string, own: Fields, expected: string][] = [
    ['a cookie', { 'set-cookie': 'a=1' }, 'set-cookie'],
    ['cookies', { 'set-cookie': ['a=1', 'b=2'] }, 'set-cookie'],
    ['no cookie in a field for it', { 'set-cookie': '' }, 'set-cookie'],
    ['a trailer', { trailer: 'x-checksum' }, 'trailer'],
    ['no-store', { 'cache-control': 'public, no-store' }, 'no-store'],
    ['private', { 'cache-control': 'max-age=60, PRIVATE' }, 'private'],
    ['private for some fields', { 'cache-control': 'private="x-user"' }, 'private'],
    ['no-cache', { 'cache-control': 'no-cache' }, 'no-cache'],
    ['no-cache for some fields', { 'cache-control': 'no-cache=set-cookie' }, 'no-cache'],
    ['several Cache-Control fields', { 'cache-control': ['max-age=1', 'private'] }, 'private'],
    ['Vary: *', { vary: '*' }, 'vary'],
    ['Vary: * among others', { vary: ['accept', '*'] }, 'vary'],
    ['Vary on a credential that is not in the key', { vary: 'accept, Cookie' }, 'vary'],
    ['a content coding of its own', { 'content-encoding': 'gzip' }, 'content-encoding'],
  ]
  for (const [what, own, expected] of table) {
    it(`sees ${what}`, () => assert.equal(sign(own), expected))
  }

  const hooks: [what: string, fields: Fields, expected: string | undefined][] = [
    ['a cookie', { 'set-cookie': 'a=1' }, 'set-cookie'],
    ['private', { 'cache-control': 'private' }, 'private'],
    ['Vary: *', { vary: '*' }, 'vary'],
    ['Vary on Cookie', { vary: 'Accept, Cookie' }, 'vary'],
    ['Vary on Authorization', { vary: 'Authorization' }, 'vary'],
    ['nothing in Vary on Origin, made per request', { vary: 'Origin' }, undefined],
    ['nothing in a content coding, made per request', { 'content-encoding': 'gzip' }, undefined],
    ['nothing in CORS, made per request', { 'access-control-allow-origin': 'http://o' }, undefined],
  ]
  for (const [what, fields, expected] of hooks) {
    it(`sees, in what hooks have set, ${what}`, () => {
      assert.equal(sign({}, { hooks: fields, origin: 'http://o' }), expected)
    })
  }

  it('lets be what the key covers', () => {
    assert.equal(sign({ vary: 'X-Tenant, accept' }, { keyed: ['x-tenant', 'accept'] }), undefined)
    assert.equal(sign({ vary: 'Cookie' }, { keyed: ['cookie'] }), undefined)
    assert.equal(sign({ 'content-encoding': 'br' }, { keyed: ['accept-encoding'] }), undefined)
  })

  it('sees an echoed Origin, and no sign in one that is the same for all', () => {
    const own = { 'access-control-allow-origin': 'http://o' }
    assert.equal(sign(own, { origin: 'http://o' }), 'origin')
    assert.equal(sign(own, { origin: 'http://o', keyed: ['origin'] }), undefined)
    assert.equal(sign(own, { origin: 'http://other' }), undefined)
    assert.equal(sign({ 'access-control-allow-origin': '*' }, { origin: 'http://o' }), undefined)
    assert.equal(sign({}, {}), undefined)
  })

  it('sees a private answer among any other fields', () => {
    const harmless = fc.dictionary(
      fc.constantFrom('etag', 'link', 'x-a', 'content-type', 'expires'),
      fc.constantFrom('a', '1', 'no-store', 'private'),
    )
    const revealing = fc.constantFrom<Fields>(
      { 'set-cookie': 'a=1' },
      { 'cache-control': 's-maxage=100, private' },
      { 'cache-control': 'no-store' },
      { vary: 'x, *' },
    )
    fc.assert(
      fc.property(harmless, revealing, (fields, telling) => {
        assert.equal(sign(fields), undefined)
        assert.notEqual(sign({ ...fields, ...telling }), undefined)
        assert.notEqual(sign(fields, { hooks: telling }), undefined)
      }),
    )
  })
})
