import { isFieldName } from './fields.ts'

/**
 * What Cache-Control, or a targeted field in its place, says: RFC 9111 §5.2, RFC 5861, RFC 8246.
 * Read once into plain values. What restricts counts however badly it is written; what permits
 * counts only when it is written well. Numbers are seconds: undefined when the directive is absent,
 * 0 when it is there and cannot be read (RFC 9111 §4.2.1: invalid freshness information is stale).
 */
export interface CacheControl {
  readonly noStore: boolean
  /** For the whole response; when the directive only names fields, `noCacheFields` has them. */
  readonly noCache: boolean
  /** Lower case. */
  readonly noCacheFields: readonly string[]
  /** For the whole response; when the directive only names fields, `privateFields` has them. */
  readonly private: boolean
  /** Lower case. */
  readonly privateFields: readonly string[]
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly immutable: boolean
  readonly noTransform: boolean
  /** RFC 9111 §3.5: a shared cache may keep the answer to a request with Authorization. */
  readonly allowsAuthorization: boolean
  readonly maxAge: number | undefined
  readonly sMaxage: number | undefined
  readonly staleWhileRevalidate: number | undefined
  readonly staleIfError: number | undefined
  /** Of a request: how stale a response it takes; Infinity when it sets no limit. */
  readonly maxStale: number | undefined
  /** Of a request: how long the response must stay fresh. */
  readonly minFresh: number | undefined
  /** Of a request. */
  readonly onlyIfCached: boolean
}

/** A CacheControl while its directives are read. */
export type Directives = { -readonly [Name in keyof CacheControl]: CacheControl[Name] }

/** What stands after a directive's name: a text, nothing (true), or what cannot be read (false). */
export type Argument = string | boolean

export function noDirectives(): Directives {
  return {
    noStore: false,
    noCache: false,
    noCacheFields: NONE,
    private: false,
    privateFields: NONE,
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    immutable: false,
    noTransform: false,
    allowsAuthorization: false,
    maxAge: undefined,
    sMaxage: undefined,
    staleWhileRevalidate: undefined,
    staleIfError: undefined,
    maxStale: undefined,
    minFresh: undefined,
    onlyIfCached: false,
  }
}

const NONE: readonly string[] = Object.freeze([])

/** Adds one directive; RFC 9111 §5.2.3: those that are not known are ignored. */
export function addDirective(to: Directives, name: string, argument: Argument): void {
  KNOWN.get(name)?.(to, argument)
}

type Reader = (to: Directives, argument: Argument) => void

const KNOWN = new Map<string, Reader>([
  ['no-store', (to) => void (to.noStore = true)],
  ['no-cache', (to, argument) => limitTo(to, 'noCache', 'noCacheFields', argument)],
  ['private', (to, argument) => limitTo(to, 'private', 'privateFields', argument)],
  ['proxy-revalidate', (to) => void (to.proxyRevalidate = true)],
  ['no-transform', (to) => void (to.noTransform = true)],
  ['only-if-cached', (to) => void (to.onlyIfCached = true)],
  [
    'must-revalidate',
    (to, argument) => {
      to.mustRevalidate = true
      if (argument === true) to.allowsAuthorization = true
    },
  ],
  [
    'public',
    (to, argument) => {
      if (argument === true) to.public = to.allowsAuthorization = true
    },
  ],
  [
    'must-understand',
    (to, argument) => {
      if (argument === true) to.mustUnderstand = true
    },
  ],
  [
    'immutable',
    (to, argument) => {
      if (argument === true) to.immutable = true
    },
  ],
  ['max-age', (to, argument) => void (to.maxAge = smaller(to.maxAge, argument))],
  [
    's-maxage',
    (to, argument) => {
      to.sMaxage = smaller(to.sMaxage, argument)
      if (deltaSeconds(argument) !== undefined) to.allowsAuthorization = true
    },
  ],
  [
    'stale-while-revalidate',
    (to, argument) => void (to.staleWhileRevalidate = smaller(to.staleWhileRevalidate, argument)),
  ],
  ['stale-if-error', (to, argument) => void (to.staleIfError = smaller(to.staleIfError, argument))],
  [
    'max-stale',
    (to, argument) => {
      // RFC 9111 §5.2.1.2: without a value the client takes a response of any age.
      const seconds = argument === true ? Infinity : (deltaSeconds(argument) ?? 0)
      to.maxStale = Math.min(to.maxStale ?? Infinity, seconds)
    },
  ],
  [
    'min-fresh',
    (to, argument) => {
      // The one number of which more is stricter.
      to.minFresh = Math.max(to.minFresh ?? 0, deltaSeconds(argument) ?? MAX_DELTA_SECONDS)
    },
  ],
])

/** RFC 9111 §4.2.1: of two values the first, or none at all; the smaller one is either or between. */
function smaller(known: number | undefined, argument: Argument): number {
  return Math.min(known ?? Infinity, deltaSeconds(argument) ?? 0)
}

/**
 * RFC 9111 §5.2.2.4, §5.2.2.7: with a list of field names the directive is about these fields. Said
 * twice, or with a list that is none, it is about the whole response.
 */
function limitTo(
  to: Directives,
  whole: 'noCache' | 'private',
  fields: 'noCacheFields' | 'privateFields',
  argument: Argument,
): void {
  const names = to[whole] || to[fields].length > 0 ? undefined : fieldNames(argument)
  if (names === undefined) to[whole] = true
  to[fields] = names ?? NONE
}

function fieldNames(argument: Argument): readonly string[] | undefined {
  if (typeof argument !== 'string') return undefined
  const names = argument.split(',').map((name) => name.trim().toLowerCase())
  return names.every(isFieldName) ? names : undefined
}

/** RFC 9111 §1.2.2: what is more, or overflows, is this. */
export const MAX_DELTA_SECONDS: number = 2 ** 31

/** RFC 9111 §1.2.2: digits and nothing else; undefined when it is not that. */
export function deltaSeconds(argument: Argument | undefined): number | undefined {
  if (typeof argument !== 'string' || !/^\d+$/.test(argument)) return undefined
  return Math.min(Number(argument), MAX_DELTA_SECONDS)
}
