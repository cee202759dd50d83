import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { type Token, parseList } from 'structured-headers'

import { type CacheStatus, formatCacheStatus, formatXCache } from '../../src/http/cache-status.ts'

describe('formatCacheStatus', () => {
  const table: [status: CacheStatus, expected: string][] = [
    [{ hit: true, tier: 'memory', ttl: 37 }, 'fastify; hit; ttl=37'],
    [{ hit: true, ttl: 0 }, 'fastify; hit; ttl=0'],
    [{ hit: false, fwd: 'uri-miss', stored: true }, 'fastify; fwd=uri-miss; stored'],
    [{ hit: false, fwd: 'stale', stored: false }, 'fastify; fwd=stale'],
    [{ hit: false, fwd: 'uri-miss', collapsed: true }, 'fastify; fwd=uri-miss; collapsed'],
    [{ hit: false, fwd: 'bypass', detail: 'cookie' }, 'fastify; fwd=bypass; detail=cookie'],
    [{ hit: false, fwd: 'miss', detail: 'a b' }, 'fastify; fwd=miss; detail="a b"'],
    [
      { hit: false, fwd: 'uri-miss', detail: 'skipped', message: 'say "hi" \\ bye' },
      'fastify; fwd=uri-miss; detail="say \\"hi\\" \\\\ bye"',
    ],
    [
      { hit: false, fwd: 'miss', message: 'a\r\nSet-Cookie: x=1é' },
      'fastify; fwd=miss; detail="aSet-Cookie: x=1"',
    ],
    [{ hit: false, fwd: 'miss', detail: '' }, 'fastify; fwd=miss; detail=""'],
    [{ hit: false, fwd: 'miss', detail: '1a' }, 'fastify; fwd=miss; detail="1a"'],
  ]
  for (const [status, expected] of table) {
    it(`writes ${expected}`, () => assert.equal(formatCacheStatus(status), expected))
  }

  it('is a well-formed structured field that says what the status says, for any text', () => {
    const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
      fc.option(value, { nil: undefined })
    const status = fc.record({
      hit: fc.boolean(),
      ttl: optional(fc.nat()),
      fwd: optional(fc.constantFrom('bypass', 'uri-miss', 'stale', 'method', 'vary-miss', 'miss')),
      stored: fc.boolean(),
      collapsed: fc.boolean(),
      detail: optional(fc.oneof(fc.string({ unit: 'binary' }), fc.string())),
    })
    fc.assert(
      fc.property(status, (given) => {
        const members = parseList(formatCacheStatus(given as CacheStatus))
        assert.equal(members.length, 1)
        const [name, parameters] = members[0] as [Token, Map<string, unknown>]
        assert.equal(String(name), 'fastify')
        assert.equal(parameters.get('hit') === true, given.hit)
        assert.equal(parameters.get('ttl'), given.ttl)
        assert.equal(parameters.get('fwd')?.toString(), given.fwd)
        assert.equal(parameters.get('stored') === true, given.stored)
        assert.equal(parameters.get('collapsed') === true, given.collapsed)
        const carried = given.detail?.replace(/[^\x20-\x7e]/g, '')
        assert.equal(parameters.get('detail')?.toString(), carried)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('formatXCache', () => {
  const table: [status: CacheStatus, expected: string][] = [
    [{ hit: true }, 'HIT'],
    [{ hit: false, fwd: 'uri-miss', collapsed: true }, 'HIT'],
    [{ hit: false, fwd: 'uri-miss', stored: true }, 'MISS'],
    [{ hit: false, fwd: 'stale' }, 'MISS'],
    [{ hit: false, fwd: 'bypass', detail: 'cookie' }, 'BYPASS'],
  ]
  for (const [status, expected] of table) {
    it(`writes ${expected} for ${formatCacheStatus(status)}`, () => {
      assert.equal(formatXCache(status), expected)
    })
  }
})
