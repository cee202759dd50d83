import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { parseCacheControl } from '../../src/http/cache-control.ts'
import type { Fields } from '../../src/http/fields.ts'
import { requestVerdict } from '../../src/http/request-directives.ts'
import { storableResponse } from '../../src/http/storable.ts'

interface OraclePolicy {
  now: () => number
  storable: () => boolean
  maxAge: () => number
  age: () => number
  satisfiesWithoutRevalidation: (request: { headers: Fields }) => boolean
}
type OracleClass = new (request: object, response: object, options: object) => OraclePolicy

// It has types in JSDoc only.
const CachePolicy = createRequire(import.meta.url)('http-cache-semantics') as OracleClass

const NOW = Date.parse('Fri, 06 Nov 2026 08:49:37 GMT')

interface Exchange {
  status?: number
  fields: Fields
  authorization?: boolean
  noStore?: boolean
}

function oraclePolicy({ status = 200, fields, authorization, noStore }: Exchange): OraclePolicy {
  class AtNow extends CachePolicy {
    override now = (): number => NOW
  }
  // The constructor asks for the time before the field above is there.
  Object.assign(AtNow.prototype, { now: () => NOW })
  const headers = {
    ...(authorization && { authorization: 'Basic eA==' }),
    ...(noStore && { 'cache-control': 'no-store' }),
  }
  return new AtNow({ headers }, { status, headers: fields }, { shared: true })
}

/** Seconds for which a response is fresh; undefined when it is not stored or stale at once. */
function oracle(exchange: Exchange): number | undefined {
  const policy = oraclePolicy(exchange)
  const seconds = policy.maxAge() - policy.age()
  return policy.storable() && seconds > 0 ? Math.round(seconds * 1000) / 1000 : undefined
}

function ours({ status = 200, fields, authorization, noStore }: Exchange): number | undefined {
  const result = storableResponse(
    { status, field: (name) => fields[name], requestedAt: NOW, receivedAt: NOW },
    { hasAuthorization: authorization === true, noStore: noStore === true },
    { targets: [], heuristic: true, validate: false },
  )
  if (typeof result === 'string') return undefined
  const seconds = (result.freshness.freshUntil - NOW) / 1000
  return seconds > 0 ? seconds : undefined
}

function httpDate(seconds: number): string {
  return new Date(NOW + seconds * 1000).toUTCString()
}

describe('storableResponse beside http-cache-semantics', () => {
  const flags = fc.subarray(['public', 'private', 'no-store', 'no-cache', 'must-revalidate', 'x-y'])
  const seconds = fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 2 ** 31 }))
  const numbers = fc.dictionary(fc.constantFrom('max-age', 's-maxage', 'stale-if-error'), seconds)
  const offset = fc.integer({ min: -10_000, max: 10_000 })
  const fields = fc.record(
    {
      expires: fc.oneof(offset.map(httpDate), fc.constantFrom('0', '-1', 'never')),
      date: fc.constantFrom(httpDate(0), httpDate(100), 'never'),
      age: fc.oneof(fc.nat({ max: 100 }).map(String), fc.constantFrom('x', '5, 0', '0, 5')),
      'last-modified': fc.constantFrom(httpDate(-1000), httpDate(-500_000), httpDate(9), 'never'),
      etag: fc.constant('"a"'),
    },
    { requiredKeys: [] },
  )
  // The statuses that both understand.
  const statuses = [200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 501, 206, 304]

  it('finds the same lifetime in the same well-formed fields', () => {
    const exchange = fc.record({
      status: fc.constantFrom(...statuses),
      directives: fc.tuple(flags, numbers),
      fields,
      authorization: fc.boolean(),
      noStore: fc.constantFrom(false, false, true),
    })
    let fresh = 0
    fc.assert(
      fc.property(exchange, ({ directives: [names, ages], fields, ...rest }) => {
        const members = [...names, ...Object.entries(ages).map((pair) => pair.join('='))]
        const all: Fields = { ...fields, 'cache-control': members.join(', ') }
        const found = ours({ ...rest, fields: all })
        assert.equal(found, oracle({ ...rest, fields: all }))
        if (found !== undefined) fresh++
      }),
      { numRuns: 5000 },
    )
    assert.ok(fresh > 200, 'many of them are fresh')
  })

  const cc = (value: string, others: Fields = {}): Fields => ({ 'cache-control': value, ...others })
  // Where the two differ, and the sentence of RFC 9111 (or another) that decides.
  const differences: [
    sentence: string,
    exchange: Exchange,
    here: number | undefined,
    there: number | undefined,
  ][] = [
    [
      '§5.2: "Cache directives are identified by a token, to be compared case-insensitively"',
      { fields: cc('Max-Age=60') },
      60,
      undefined,
    ],
    [
      '§5.2, quoted-string: a comma in quotes separates nothing',
      { fields: cc('x="a, max-age=60"') },
      undefined,
      60,
    ],
    [
      '§4.2.1: of two values "either the first occurrence should be used or the response should be considered stale"',
      { fields: cc('max-age=5, max-age=60') },
      5,
      60,
    ],
    [
      '§4.2.1: "Caches are encouraged to consider responses that have invalid freshness information ... to be stale"',
      { fields: cc('max-age=60x') },
      undefined,
      60,
    ],
    [
      '§4.2.1, the same: a decimal is no delta-seconds',
      { fields: cc('max-age=60.5') },
      undefined,
      60,
    ],
    ['§5.2: no space around the equals sign', { fields: cc('max-age = 60') }, undefined, 60],
    [
      '§1.2.2: "the cache MUST consider the value to be 2147483648 (2^31)"',
      { fields: cc('max-age=99999999999') },
      2 ** 31,
      99_999_999_999,
    ],
    [
      '§4.2.3: apparent_age = max(0, response_time - date_value)',
      { fields: cc('max-age=60', { date: httpDate(-20) }) },
      40,
      60,
    ],
    [
      '§5.1: "If the field value ... is invalid ..., a cache SHOULD ignore the field"',
      { fields: cc('max-age=60', { age: '20;x=1' }) },
      60,
      40,
    ],
    [
      '§5.1, the same: a negative age is none',
      { fields: cc('max-age=60', { age: '-20' }) },
      60,
      80,
    ],
    [
      '§5.3: "A cache recipient MUST interpret invalid date formats ... as representing a time in the past"',
      { fields: { expires: 'Fri, 06 Nov 2026 08:50:37 UTC' } },
      undefined,
      60,
    ],
    [
      '§5.4: Pragma means nothing in a response',
      { fields: { pragma: 'no-cache', expires: httpDate(60) } },
      60,
      undefined,
    ],
    [
      '§5.2.2.8: proxy-revalidate is about stale responses, as must-revalidate is',
      { fields: cc('max-age=60, proxy-revalidate') },
      60,
      undefined,
    ],
    [
      '§5.2.2.4: with field names, no-cache is about these fields',
      { fields: cc('max-age=60, no-cache="a"') },
      60,
      undefined,
    ],
    [
      '§5.2.2.7: with field names, private is about these fields',
      { fields: cc('max-age=60, private="a"') },
      60,
      undefined,
    ],
    [
      '§5.2.2.3: "the cache SHOULD ignore the no-store directive if it understands ... the status code"',
      { fields: cc('max-age=60, no-store, must-understand') },
      60,
      undefined,
    ],
    [
      '§3: without must-understand, a status need not be understood',
      { status: 599, fields: cc('max-age=60') },
      60,
      undefined,
    ],
    [
      '§3: a max-age is enough, also for an error that is not cacheable by default',
      { status: 503, fields: cc('max-age=60') },
      60,
      undefined,
    ],
    [
      '§3.5 and §5.2.2.9: a public that is not well written permits nothing (ours: the restrictive reading)',
      { fields: cc('max-age=60, public=1'), authorization: true },
      undefined,
      60,
    ],
    [
      'RFC 8246 §2: immutable is about fresh responses and makes none fresh (there: a thousand days)',
      { fields: cc('immutable') },
      undefined,
      86_400_000,
    ],
    [
      '§4.2.2 sets no limit; a day is ours',
      { fields: { 'last-modified': httpDate(-8_640_000) } },
      86_400,
      864_000,
    ],
    [
      '§3 does not mention Set-Cookie; privateSign refuses it, whatever the rules',
      { fields: cc('max-age=60', { 'set-cookie': 'a=1' }) },
      60,
      undefined,
    ],
  ]
  for (const [sentence, exchange, here, there] of differences) {
    it(`differs: ${sentence}`, () => {
      assert.equal(ours(exchange), here)
      assert.equal(oracle(exchange), there)
    })
  }
})

describe('requestVerdict beside http-cache-semantics', () => {
  function satisfies(request: string, response: string, age: number): [boolean, boolean] {
    const fields: Fields = { 'cache-control': response, age: String(Math.floor(age)) }
    const policy = oraclePolicy({ fields })
    policy.now = () => NOW + (age % 1) * 1000
    const stored = storableResponse(
      { status: 200, field: (name) => fields[name], requestedAt: NOW, receivedAt: NOW },
      { hasAuthorization: false, noStore: false },
      { targets: [], heuristic: false, validate: true, staleIfError: undefined },
    )
    assert.ok(typeof stored !== 'string')
    const now = stored.freshness.storedAt + age * 1000
    return [
      requestVerdict(parseCacheControl(request), stored.freshness, now) === 'use',
      policy.satisfiesWithoutRevalidation({ headers: { 'cache-control': request } }),
    ]
  }

  it('gives the same answer to the same directives', () => {
    const second = fc.nat({ max: 100 })
    const directives = fc.record(
      { 'max-age': second, 'min-fresh': second, 'max-stale': fc.option(second, { nil: true }) },
      { requiredKeys: [] },
    )
    let used = 0
    fc.assert(
      fc.property(directives, fc.boolean(), second, (asked, noCache, age) => {
        const members = Object.entries(asked).map(([name, value]) =>
          value === true ? name : `${name}=${value}`,
        )
        if (noCache && age % 3 === 0) members.push('no-cache')
        // Half a second on, so that nothing hangs on which end of a second is meant.
        const [here, there] = satisfies(
          members.join(', '),
          'max-age=50, stale-if-error=500',
          age + 0.5,
        )
        assert.equal(here, there)
        if (here) used++
      }),
      { numRuns: 3000 },
    )
    assert.ok(used > 200, 'many of them are used')
  })

  it('differs: §5.2.2.2 is about stale responses; a fresh one with must-revalidate answers', () => {
    assert.deepEqual(satisfies('', 'max-age=50, must-revalidate', 10.5), [true, false])
  })

  it('differs: §5.2.1.2, max-stale is met by what exceeds its lifetime "by no more than" it', () => {
    assert.deepEqual(satisfies('max-stale=10', 'max-age=50, stale-if-error=500', 60), [true, false])
  })
})
