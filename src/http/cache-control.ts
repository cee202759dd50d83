import {
  type Argument,
  type CacheControl,
  type Directives,
  addDirective,
  noDirectives,
} from './directives.ts'
import type { FieldValue } from './fields.ts'

/**
 * Parses Cache-Control (RFC 9111 §5.2), of a response or of a request. Outside the grammar the
 * reading is the restrictive one: every name that can be made out still restricts, nothing permits.
 */
export function parseCacheControl(value: FieldValue | undefined): CacheControl {
  if (value === undefined) return NO_DIRECTIVES
  if (typeof value !== 'object') return parseText(String(value))
  const lines = value.map(String)
  if (lines.length === 1) return parseText(lines[0]!)
  // Line by line: a quote that one line leaves open must not hide what the next one says.
  const directives = noDirectives()
  for (const line of lines) readInto(directives, line)
  return Object.freeze(directives)
}

const NO_DIRECTIVES: CacheControl = Object.freeze(noDirectives())

/** Routes and clients say the same few things over and over. */
const MAX_KNOWN = 100
const MAX_KNOWN_LENGTH = 200
const known = new Map<string, CacheControl>()

function parseText(text: string): CacheControl {
  const found = known.get(text)
  if (found !== undefined) return found
  const directives = noDirectives()
  readInto(directives, text)
  if (text.length <= MAX_KNOWN_LENGTH) {
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(text, directives)
  }
  return Object.freeze(directives)
}

interface Scan {
  readonly text: string
  at: number
  /** A quote was left open: what is inside and what is outside can no longer be told. */
  open: boolean
}

function readInto(directives: Directives, text: string): void {
  const scan: Scan = { text, at: 0, open: false }
  while (scan.at < text.length) {
    readMember(scan, directives)
    scan.at++
  }
}

/** One member, up to its comma. Some senders write `;` or nothing at all in a comma's place. */
function readMember(scan: Scan, directives: Directives): void {
  const { text } = scan
  let isWellFormed = true
  skipSpace(scan)
  while (!isAtEnd(scan)) {
    const start = scan.at
    scan.at = endOfToken(text, start)
    if (scan.at === start) {
      // What no directive starts with. Of a quote out of place nobody knows which half it is.
      if (text[start] === '"') scan.open = true
      isWellFormed = false
      scan.at++
    } else {
      const name = text.slice(start, scan.at).toLowerCase()
      const argument = readArgument(scan)
      skipSpace(scan)
      if (scan.open || !isAtEnd(scan)) isWellFormed = false
      addDirective(directives, name, isWellFormed && argument)
    }
    skipSpace(scan)
  }
}

/** RFC 9111 §5.2: `=` and a token or a quoted-string, without spaces in between. */
function readArgument(scan: Scan): Argument {
  const { text } = scan
  let spaces = skipSpace(scan)
  if (text[scan.at] !== '=') return true
  scan.at++
  spaces += skipSpace(scan)
  const value = text[scan.at] === '"' ? readQuoted(scan) : readToken(scan)
  return value !== undefined && spaces === 0 ? value : false
}

function readToken(scan: Scan): string | undefined {
  const start = scan.at
  scan.at = endOfToken(scan.text, start)
  return scan.at === start ? undefined : scan.text.slice(start, scan.at)
}

function readQuoted(scan: Scan): string | undefined {
  if (scan.open) return undefined
  const { text } = scan
  const start = scan.at + 1
  for (let at = start; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') {
      scan.at = at + 1
      return text.slice(start, at).replace(/\\(.)/gs, '$1')
    }
  }
  scan.open = true
  scan.at = start
  return undefined
}

/** RFC 9110 §5.6.2. Sticky, and one class of characters: it cannot backtrack. */
const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]*/y

function endOfToken(text: string, at: number): number {
  TOKEN.lastIndex = at
  TOKEN.test(text)
  return TOKEN.lastIndex
}

/** RFC 9110 §5.6.3. */
function skipSpace(scan: Scan): number {
  const { text, at } = scan
  while (text[scan.at] === ' ' || text[scan.at] === '\t') scan.at++
  return scan.at - at
}

function isAtEnd({ text, at }: Scan): boolean {
  return at >= text.length || text[at] === ','
}
