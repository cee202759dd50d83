import type { FieldValue } from './fields.ts'

/** A Cache-Control field (RFC 9111 §5.2): directive names in lower case, arguments unquoted. */
export type CacheControl = ReadonlyMap<string, string | true>

// token [ "=" ( token / quoted-string ) ], with the odd spaces that real senders put in.
const DIRECTIVE = /\s*([^\s,;="]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;"]*)))?\s*/y

/**
 * Parses leniently towards restriction: what cannot be read is skipped up to the next comma, a
 * directive that appears twice keeps the smaller number, and one without its argument still counts.
 */
export function parseCacheControl(value: FieldValue | undefined): CacheControl {
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '')
  if (lastParsed.text !== text) lastParsed = { text, directives: parse(text) }
  return lastParsed.directives
}

/** A route says the same over and over. */
let lastParsed: { text: string; directives: CacheControl } = { text: '', directives: new Map() }

function parse(text: string): CacheControl {
  const directives = new Map<string, string | true>()
  let at = 0
  while (at < text.length) {
    DIRECTIVE.lastIndex = at
    const match = DIRECTIVE.exec(text)
    if (match) {
      const argument = match[2] === undefined ? match[3] : match[2].replace(/\\(.)/g, '$1')
      add(directives, match[1]!.toLowerCase(), argument)
      at = DIRECTIVE.lastIndex
    }
    // Some senders write semicolons; what follows one may well be `private`.
    while (at < text.length && text[at] !== ',' && text[at] !== ';') at++
    at++
  }
  return directives
}

function add(
  directives: Map<string, string | true>,
  name: string,
  argument: string | undefined,
): void {
  const value = argument === undefined || argument === '' ? true : argument
  const known = directives.get(name)
  if (known === undefined) directives.set(name, value)
  else if (name === 'private' || name === 'no-cache') directives.set(name, true)
  else if (known !== true) {
    const smaller = Math.min(deltaSeconds(known) ?? 0, deltaSeconds(value) ?? 0)
    directives.set(name, String(smaller))
  }
}

/** RFC 9111 §1.2.2: a non-negative integer; anything else is undefined, which callers read as 0. */
export function deltaSeconds(argument: string | true | undefined): number | undefined {
  if (typeof argument !== 'string' || !/^\d+$/.test(argument)) return undefined
  return Math.min(Number(argument), 2 ** 31)
}
