import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseCacheControl } from '../../src/http/cache-control.ts'
import type { StoredFreshness } from '../../src/http/lifetime.ts'
import {
  type RequestVerdict,
  requestDirectives,
  requestVerdict,
} from '../../src/http/request-directives.ts'
import { anyText, directiveField } from './directives.ts'

const STORED_AT = 1_000_000_000_000

/** Stored at second 0, fresh for 60 seconds. */
function stored(windows: Partial<StoredFreshness> = {}): StoredFreshness {
  const freshUntil = STORED_AT + 60_000
  return {
    storedAt: STORED_AT,
    freshUntil,
    staleWhileRevalidateUntil: freshUntil,
    staleIfErrorUntil: freshUntil,
    mustRevalidate: false,
    ...windows,
  }
}

function verdict(
  field: string,
  age: number,
  windows: Partial<StoredFreshness> = {},
): RequestVerdict {
  return requestVerdict(parseCacheControl(field), stored(windows), STORED_AT + age * 1000)
}

describe('requestVerdict', () => {
  const table: [field: string, age: number, expected: RequestVerdict][] = [
    ['', 59, 'use'],
    ['', 60, 'revalidate'],
    ['no-transform, x=y', 59, 'use'],
    ['no-cache', 0, 'revalidate'],
    ['no-cache="a"', 0, 'revalidate'],
    // RFC 9111 §5.2.1.5: what is stored already is not stored for this request.
    ['no-store', 30, 'use'],
    ['max-age=30', 30, 'use'],
    ['max-age=30', 30.001, 'revalidate'],
    ['max-age=600', 59, 'use'],
    ['max-age=600', 61, 'revalidate'],
    ['max-age=0', 0, 'revalidate'],
    ['max-age=x', 1, 'revalidate'],
    ['min-fresh=30', 30, 'use'],
    ['min-fresh=30', 30.001, 'revalidate'],
    ['min-fresh=90', 0, 'revalidate'],
    ['min-fresh=x', 0, 'revalidate'],
    ['max-stale', 1e6, 'use'],
    ['max-stale=10', 70, 'use'],
    ['max-stale=10', 70.001, 'revalidate'],
    ['max-stale=x', 61, 'revalidate'],
    ['max-stale=10, max-age=65', 65, 'use'],
    ['max-stale=10, max-age=65', 66, 'revalidate'],
    ['max-stale=10, min-fresh=0', 61, 'revalidate'],
    ['max-stale=10, no-cache', 61, 'revalidate'],
    ['only-if-cached', 59, 'use'],
    ['only-if-cached', 60, 'gateway-timeout'],
    ['only-if-cached, max-stale', 90, 'use'],
    ['only-if-cached, no-cache', 0, 'gateway-timeout'],
    ['only-if-cached, max-age=5', 6, 'gateway-timeout'],
  ]
  for (const [field, age, expected] of table) {
    it(`is ${expected} for '${field}' and a response of ${age} s that is fresh for 60`, () => {
      assert.equal(verdict(field, age), expected)
    })
  }

  it('is forward, or gateway-timeout, where nothing is stored', () => {
    const none = (field: string): RequestVerdict =>
      requestVerdict(parseCacheControl(field), undefined, STORED_AT)
    assert.equal(none(''), 'forward')
    assert.equal(none('no-cache'), 'forward')
    assert.equal(none('max-stale'), 'forward')
    assert.equal(none('only-if-cached'), 'gateway-timeout')
  })

  it('lets no client have a stale response that must be validated', () => {
    assert.equal(verdict('max-stale', 61, { mustRevalidate: true }), 'revalidate')
    assert.equal(verdict('max-stale', 59, { mustRevalidate: true }), 'use')
  })

  it('uses a stale response in its window unless the client asks for a fresh one', () => {
    const windows = { staleWhileRevalidateUntil: STORED_AT + 100_000 }
    assert.equal(verdict('', 99, windows), 'use')
    assert.equal(verdict('', 100, windows), 'revalidate')
    assert.equal(verdict('only-if-cached', 99, windows), 'use')
    assert.equal(verdict('max-age=600', 99, windows), 'revalidate')
    assert.equal(verdict('min-fresh=1', 99, windows), 'revalidate')
    assert.equal(verdict('max-stale=10', 99, windows), 'revalidate')
  })

  it('never uses a response that the same request without directives would not use', () => {
    const asking = directiveField.map((members) =>
      members.filter((member) => !member.startsWith('max-stale')),
    )
    fc.assert(
      fc.property(asking, fc.nat({ max: 200 }), (members, age) => {
        const windows = { staleWhileRevalidateUntil: STORED_AT + 100_000 }
        if (verdict(members.join(', '), age, windows) === 'use') {
          assert.equal(verdict('', age, windows), 'use')
        }
      }),
    )
  })

  it('never throws, and says forward only where nothing is stored', () => {
    fc.assert(
      fc.property(anyText, fc.nat(), (field, age) => {
        assert.notEqual(verdict(field, age), 'forward')
      }),
    )
  })
})

describe('requestDirectives', () => {
  const table: [
    what: string,
    cacheControl: string | undefined,
    pragma: string | string[] | undefined,
    noCache: boolean,
  ][] = [
    ['nothing', undefined, undefined, false],
    ['Cache-Control', 'no-cache', undefined, true],
    ['Pragma where Cache-Control is silent', undefined, 'no-cache', true],
    ['Pragma among others, in any case', undefined, ['x=y', 'No-Cache'], true],
    ['no other Pragma', undefined, 'unrecognised', false],
    ['no Pragma beside Cache-Control', 'max-age=60', 'no-cache', false],
    ['no Pragma beside an empty Cache-Control', '', 'no-cache', false],
  ]
  for (const [what, cacheControl, pragma, noCache] of table) {
    it(`reads ${what}`, () => {
      assert.equal(requestDirectives(cacheControl, pragma).noCache, noCache)
    })
  }

  it('tells that the response must not be stored', () => {
    assert.equal(requestDirectives('max-age=0, no-store', undefined).noStore, true)
    assert.equal(requestDirectives(undefined, 'no-store').noStore, false)
  })
})
