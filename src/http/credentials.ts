/** The header section of a request, as Node parses it: lower-case names. */
export type RequestFields = Record<string, string | string[] | undefined>

/** Always credentials, whatever the options say. */
export const CREDENTIAL_FIELDS: readonly string[] = [
  'authorization',
  'cookie',
  'proxy-authorization',
]

/** What of a request's identity the key covers. */
export interface KeyedCredentials {
  /** Header fields in the key. */
  headers: ReadonlySet<string>
  /** Cookies in the key. */
  cookies: ReadonlySet<string>
}

/**
 * The first credential field of the request that the key does not cover. A Cookie field is covered
 * when every cookie in it is.
 */
export function uncoveredCredential(
  fields: RequestFields,
  names: readonly string[],
  keyed: KeyedCredentials,
): string | undefined {
  for (const name of names) {
    if (fields[name] === undefined || keyed.headers.has(name)) continue
    if (name === 'cookie' && keyed.cookies.size > 0) {
      if (cookiePairs(fields[name]).every(([cookie]) => keyed.cookies.has(cookie))) continue
    }
    return name
  }
  return undefined
}

/** The pairs of a Cookie field (RFC 6265 §5.4), in their order, values untouched. */
export function cookiePairs(field: string | string[]): [name: string, value: string][] {
  const text = Array.isArray(field) ? field.join(';') : field
  const pairs: [string, string][] = []
  for (const part of text.split(';')) {
    const equals = part.indexOf('=')
    const name = (equals === -1 ? part : part.slice(0, equals)).trim()
    if (name === '' && equals === -1) continue
    // Cookie parsers skip a pair without an equals sign; it is no cookie with an empty value.
    if (equals === -1) pairs.push(['', name])
    else pairs.push([name, part.slice(equals + 1).trim()])
  }
  return pairs
}

/** All values of one cookie, joined; undefined when the request does not carry it. */
export function cookieValue(
  field: string | string[] | undefined,
  name: string,
): string | undefined {
  if (field === undefined) return undefined
  const values = cookiePairs(field).filter(([cookie]) => cookie === name)
  return values.length === 0 ? undefined : values.map(([, value]) => value).join(';')
}
