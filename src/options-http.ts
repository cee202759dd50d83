import { isFieldName } from './http/fields.ts'
import { encodingNormalizer, languageNormalizer, originNormalizer } from './http/negotiation.ts'
import type { StorableRules } from './http/storable.ts'
import type { Normalizer, Normalizers } from './http/vary.ts'
import type { OptionsReader } from './options-reader.ts'

/** The route options that say how the RFCs are to be read. */
export const HTTP_OPTIONS: readonly string[] = [
  ...['requestDirectives', 'etag', 'ranges', 'targets', 'heuristicFreshness', 'setCookie'],
]

/**
 * Fields of which the handler sees a reduced value: what is left is what responses can differ by.
 * Give only what the route really chooses from, in the order of its own preference.
 */
export interface NormalizeOptions {
  /** Content codings the route has, as `['br', 'gzip']`. */
  acceptEncoding?: readonly string[]
  /** Languages the route has, as `['en', 'de']`. */
  acceptLanguage?: readonly string[]
  /** `true`: lower-case; a list: these origins, all others as one. */
  origin?: true | readonly string[]
}

export interface CheckedHttpOptions {
  rules: StorableRules
  requestDirectives: boolean
  etag: boolean
  ranges: boolean
  storesCookies: boolean
  /** Fields of one message that are replayed all the same: they are the origin's own words. */
  replayed: ReadonlySet<string>
}

export function checkHttpOptions(reader: OptionsReader, byHeaders: boolean): CheckedHttpOptions {
  for (const name of ['targets', 'heuristicFreshness', 'setCookie']) {
    if (reader.has(name) && !byHeaders) {
      reader.fail(name, "used with ttl: 'headers' only: elsewhere the route's own ttl decides")
    }
  }
  const targets = (reader.strings('targets') ?? []).map((name) => name.toLowerCase())
  if (!targets.every(isFieldName)) reader.fail('targets', "field names as ['CDN-Cache-Control']")
  const storesCookies = reader.oneOf('setCookie', ['refuse', 'store']) === 'store'
  return {
    rules: {
      targets,
      heuristic: reader.flag('heuristicFreshness') ?? false,
      validate: byHeaders,
      staleWhileRevalidate: reader.duration('staleWhileRevalidate'),
      staleIfError: reader.duration('staleIfError'),
    },
    requestDirectives: reader.flag('requestDirectives') ?? false,
    etag: reader.flag('etag') ?? false,
    // A gateway's clients could ask the origin for ranges before there was a cache.
    ranges: reader.flag('ranges') ?? byHeaders,
    storesCookies,
    // RFC 9110 §6.6.1: the Date of a stored response is that of its origin.
    replayed: new Set([...(byHeaders ? ['date'] : []), ...(storesCookies ? ['set-cookie'] : [])]),
  }
}

export function checkNormalize(vary: OptionsReader): Normalizers | undefined {
  const normalize = vary.object('normalize', ['acceptEncoding', 'acceptLanguage', 'origin'])
  if (normalize === undefined) return undefined
  const normalizers = new Map<string, Normalizer>()
  const codings = normalize.strings('acceptEncoding')
  if (codings) normalizers.set('accept-encoding', encodingNormalizer(codings))
  const languages = normalize.strings('acceptLanguage')
  if (languages) normalizers.set('accept-language', languageNormalizer(languages))
  const origin = normalize.value('origin')
  if (origin === true) normalizers.set('origin', originNormalizer())
  else if (origin !== undefined) {
    normalizers.set('origin', originNormalizer(normalize.strings('origin')))
  }
  return normalizers.size === 0 ? undefined : normalizers
}
