/** What was written as `name: value`, one field a line; or why it cannot be read. */
export type HeaderLines =
  | { headers: Record<string, string>; problem?: never }
  | { headers?: never; problem: string }

/** RFC 9110 §5.6.2: token */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i

/** Of a field that is written several times, the values are one list (RFC 9110 §5.3). */
export function parseHeaderLines(text: string): HeaderLines {
  const headers = new Map<string, string>()
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase()
    if (!NAME.test(name)) {
      return { problem: `Line ${index + 1} of the header fields is not “name: value”.` }
    }
    const value = line.slice(colon + 1).trim()
    const before = headers.get(name)
    const separator = name === 'cookie' ? '; ' : ', '
    headers.set(name, before === undefined ? value : before + separator + value)
  }
  return { headers: Object.fromEntries(headers) }
}
