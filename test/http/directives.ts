import assert from 'node:assert/strict'
import fc from 'fast-check'

import { type CacheControl } from '../../src/http/directives.ts'

/** Texts that look like Cache-Control, and texts that look like nothing. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      ...['a', '=', '"', '\\', ',', ' ', ';', '\t', '1', '.', '-', "'", '(', '\u00e9', '\n'],
      ...['no-store', 'private', 'max-age', 'public', 's-maxage', 'no-cache', 'min-fresh'],
    ),
  }),
  fc.string({ unit: 'binary' }),
)

const seconds = fc.oneof(fc.nat({ max: 9999 }), fc.nat()).map(String)
const name = fc.stringMatching(/^[a-z][a-z-]{0,6}$/)
const value = fc.oneof(
  fc.constantFrom('a', '0', '1.5', '-1', 'x', "'9'"),
  seconds,
  seconds.map((digits) => `"${digits}"`),
)

/** Members of a well-formed Cache-Control field, each directive at most once. */
export const directiveField: fc.Arbitrary<string[]> = fc
  .record(
    {
      flags: fc.subarray([
        ...['public', 'must-revalidate', 'proxy-revalidate', 'must-understand', 'immutable'],
        ...['no-transform', 'only-if-cached', 'max-stale'],
      ]),
      numbers: fc.dictionary(
        fc.constantFrom('max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'),
        value,
      ),
      lists: fc.dictionary(
        fc.constantFrom('private', 'no-cache'),
        fc.array(name, { minLength: 1, maxLength: 3 }),
      ),
      others: fc.dictionary(name, fc.string({ unit: fc.constantFrom('a', ',', '=', ' ') })),
    },
    { noNullPrototype: true },
  )
  .map(({ flags, numbers, lists, others }) => [
    ...flags,
    ...Object.entries(numbers).map(([directive, text]) => `${directive}=${text}`),
    ...Object.entries(lists).map(([directive, names]) => `${directive}="${names.join(', ')}"`),
    ...Object.entries(others).map(([directive, text]) => `x-${directive}="${text}"`),
  ])

/** What two lines say together, written down once more. */
export function mergedDirectives(a: CacheControl, b: CacheControl): CacheControl {
  const smaller = (x: number | undefined, y: number | undefined): number | undefined =>
    x === undefined || y === undefined ? (x ?? y) : Math.min(x, y)
  const isTwice = (x: readonly string[], y: readonly string[]): boolean => x.length * y.length > 0
  const isPrivate = a.private || b.private || isTwice(a.privateFields, b.privateFields)
  const noCache = a.noCache || b.noCache || isTwice(a.noCacheFields, b.noCacheFields)
  return {
    noStore: a.noStore || b.noStore,
    noCache,
    noCacheFields: noCache ? [] : [...a.noCacheFields, ...b.noCacheFields],
    private: isPrivate,
    privateFields: isPrivate ? [] : [...a.privateFields, ...b.privateFields],
    public: a.public || b.public,
    mustRevalidate: a.mustRevalidate || b.mustRevalidate,
    proxyRevalidate: a.proxyRevalidate || b.proxyRevalidate,
    mustUnderstand: a.mustUnderstand || b.mustUnderstand,
    immutable: a.immutable || b.immutable,
    noTransform: a.noTransform || b.noTransform,
    allowsAuthorization: a.allowsAuthorization || b.allowsAuthorization,
    maxAge: smaller(a.maxAge, b.maxAge),
    sMaxage: smaller(a.sMaxage, b.sMaxage),
    staleWhileRevalidate: smaller(a.staleWhileRevalidate, b.staleWhileRevalidate),
    staleIfError: smaller(a.staleIfError, b.staleIfError),
    maxStale: smaller(a.maxStale, b.maxStale),
    minFresh:
      a.minFresh === undefined || b.minFresh === undefined
        ? (a.minFresh ?? b.minFresh)
        : Math.max(a.minFresh, b.minFresh),
    onlyIfCached: a.onlyIfCached || b.onlyIfCached,
  }
}

/** Everything that `before` forbids, `after` forbids as well; nothing is permitted on top. */
export function neverMorePermissive(after: CacheControl, before: CacheControl): void {
  const restrictions = [
    ...(['noStore', 'noCache', 'private', 'mustRevalidate', 'proxyRevalidate'] as const),
    ...(['noTransform', 'onlyIfCached'] as const),
  ]
  for (const key of restrictions) assert.ok(after[key] || !before[key], key)
  for (const key of ['public', 'mustUnderstand', 'immutable', 'allowsAuthorization'] as const) {
    assert.ok(!after[key] || before[key], key)
  }
  const numbers = [
    ...(['maxAge', 'sMaxage', 'staleWhileRevalidate', 'staleIfError', 'maxStale'] as const),
  ]
  for (const key of numbers) {
    assert.ok((after[key] ?? before[key] ?? 0) <= (before[key] ?? 0), key)
    assert.ok(after[key] !== undefined || before[key] === undefined, key)
  }
  for (const [fields, whole] of [
    ['privateFields', 'private'],
    ['noCacheFields', 'noCache'],
  ] as const) {
    assert.ok(after[whole] || before[fields].every((field) => after[fields].includes(field)))
  }
}
