import { trimSpace, type Normalizer } from './vary.ts'

/** The members of a negotiation field and their weights (RFC 9110 §12.4.2); the first one counts. */
export function weights(value: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>()
  for (const member of value.toLowerCase().split(',')) {
    const semicolon = member.indexOf(';')
    const name = trimSpace(semicolon === -1 ? member : member.slice(0, semicolon))
    const weight = semicolon === -1 ? 1 : weightOf(trimSpace(member.slice(semicolon + 1)))
    if (name !== '' && weight !== undefined && !found.has(name)) found.set(name, weight)
  }
  return found
}

// RFC 9110 §12.4.2 allows three digits; some clients divide by three.
const WEIGHT = /^q=(0(?:\.\d*)?|1(?:\.0*)?)$/

function weightOf(parameter: string): number | undefined {
  const match = WEIGHT.exec(parameter)
  return match === null ? undefined : Number(match[1])
}

/** RFC 9110 §8.4.1: the same codings under older names. */
const ALIASES = new Map([
  ['gzip', 'x-gzip'],
  ['compress', 'x-compress'],
])

/**
 * Reduces Accept-Encoding to the one coding that a server with these codings would choose: the
 * client's weights first, the order of `supported` second, `identity` when it wants none of them.
 */
export function encodingNormalizer(supported: readonly string[]): Normalizer {
  const codings = supported.map((coding) => coding.toLowerCase()).filter((c) => c !== 'identity')
  return (value) => {
    const accepted = weights(value)
    const any = accepted.get('*')
    // RFC 9110 §12.5.3: what is not listed has the weight of `*`; identity is good by default.
    const identity = accepted.get('identity') ?? any
    let best = identity === 0 ? undefined : 'identity'
    let weight = identity ?? 0
    for (const coding of codings) {
      const own = accepted.get(coding) ?? accepted.get(ALIASES.get(coding) ?? coding) ?? any ?? 0
      if (own > weight || (own > 0 && own === weight && best === 'identity')) {
        best = coding
        weight = own
      }
    }
    // Nothing will do. Whatever the server makes of that, it is for this very value.
    return best ?? value
  }
}

/**
 * Reduces Accept-Language to the best of the languages that there are: the client's weights first,
 * the order of `supported` second (RFC 9110 §12.5.4: its own order means nothing). Undefined when
 * none will do: a server may disregard the field then.
 */
export function languageNormalizer(supported: readonly string[]): Normalizer {
  const languages = supported.map((language) => ({ language, tag: language.toLowerCase() }))
  return (value) => {
    const accepted = weights(value)
    let best: string | undefined
    let weight = 0
    for (const { language, tag } of languages) {
      const own = languageWeight(tag, accepted)
      if (own > weight) {
        best = language
        weight = own
      }
    }
    return best
  }
}

/** The weight of the most specific range for a tag: `de-at`, then `de`, then `de-ch`, then `*`. */
function languageWeight(tag: string, accepted: ReadonlyMap<string, number>): number {
  for (let range = tag; range !== ''; range = range.slice(0, Math.max(0, range.lastIndexOf('-')))) {
    const weight = accepted.get(range)
    if (weight !== undefined) return weight
  }
  // RFC 4647 §3.4: who asks for de-CH takes de.
  let best: number | undefined
  for (const [range, weight] of accepted) {
    if (range.startsWith(`${tag}-`) && weight > (best ?? 0)) best = weight
  }
  return best ?? accepted.get('*') ?? 0
}

const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[!-~]+$/i

/**
 * Reduces Origin: scheme and host in lower case (RFC 6454 §4), and with a list of `allowed` origins
 * all others to one value that is no origin's. They differ from a request without the field.
 */
export function originNormalizer(allowed?: readonly string[]): Normalizer {
  const known = allowed && new Set(allowed.map(lowerCaseOrigin))
  return (value) => {
    const origin = lowerCaseOrigin(value)
    return known === undefined || known.has(origin) ? origin : ''
  }
}

function lowerCaseOrigin(origin: string): string {
  return ORIGIN.test(origin) ? origin.toLowerCase() : origin
}
