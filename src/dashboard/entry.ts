import { isUtf8 } from 'node:buffer'

import type { Inspection } from '../inspection.ts'
import type { Entry } from './messages.ts'

const MAX_BODY_BYTES = 65_536

/** What is stored, as JSON can carry it. */
export function entryOf({ body, headers = [], ...rest }: Inspection): Entry {
  const entry: Entry = { ...rest, headers: headers.map(withoutSecret) }
  return body === undefined ? entry : { ...entry, body: shown(body) }
}

/** Where `setCookie` allows that they are stored. */
function withoutSecret([name, value]: Entry['headers'][0]): Entry['headers'][0] {
  return [name, name.toLowerCase() === 'set-cookie' ? value.replace(/=.*/s, '=…') : value]
}

function shown(body: string | Buffer): NonNullable<Entry['body']> {
  // Of a text no more than needed is turned into bytes: a character has at least one.
  const bytes = typeof body === 'string' ? Buffer.from(body.slice(0, MAX_BODY_BYTES)) : body
  const truncated = body.length > MAX_BODY_BYTES || bytes.length > MAX_BODY_BYTES
  const first = bytes.subarray(0, MAX_BODY_BYTES)
  const isText = typeof body === 'string' || (isUtf8(body) && !body.includes(0))
  if (!isText) return { text: first.toString('base64'), encoding: 'base64', truncated }
  // A character that the limit cuts in two is left out.
  const text = new TextDecoder().decode(first, { stream: true })
  return { text, encoding: 'utf8', truncated }
}
