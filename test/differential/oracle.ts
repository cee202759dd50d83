// Which answers are right. An answer of the application with the cache is allowed when one of the rules
// says so: each asks the plain application something, at every version of the window, and compares. A
// new feature (parts of a stored 200, stale answers) is a new rule here, with the sentence that permits
// it, and nothing else in this test changes.
import { createHash } from 'node:crypto'

import { decoded } from '../interplay/course.ts'
import { type Answer, lastingHeaders } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { LIFETIMES } from './application.ts'

/** One request as it was sent, and the versions that its answer may have been made of. */
export interface Question {
  text: string
  /** The last version whose writer had its answer before this was asked, or less within a lifetime. */
  oldest: number
  /** The version when the answer had arrived. */
  newest: number
}

/** What the application without the cache answers to the same bytes at a version. */
export type Plain = (text: string, version: number) => Promise<Answer>

export interface Rule {
  name: string
  /** What the plain application is asked; undefined where the rule has nothing to say. */
  asks: (text: string) => string | undefined
  accepts: (answer: Answer, expected: Answer, text: string) => boolean
}

const SAME: Rule = {
  // Promises 5 and 6: what the application would have said, at a moment that counts.
  name: 'the plain application answers so',
  asks: (text) => text,
  accepts: isSame,
}

const NOT_MODIFIED: Rule = {
  // RFC 9111 §4.3.2: a cache answers conditions by the response that it has stored.
  name: 'the plain application answers with what the client has',
  asks: (text) => (MATCH.test(text) || SINCE.test(text) ? without(text, MATCH, SINCE) : undefined),
  accepts: isNotModified,
}

const PART: Rule = {
  // RFC 9110 §14.2: a part of what the answer would be without Range; conditions come first.
  name: 'the plain application answers with what this is a part of',
  asks: (text) => (RANGE.test(text) ? without(text, RANGE, MATCH, SINCE, IF_RANGE) : undefined),
  accepts: isPart,
}

/**
 * What `vary.query` ignores, the route has declared to be of no account: the answer to nobody's value
 * is right for all, and the answer to another's is not.
 */
function withoutIgnored({ name, asks, accepts }: Rule): Rule {
  return {
    name: `${name}, to the request without ignored parameters`,
    asks: (text) => {
      const rest = text.replace(CAMPAIGN, leaveOutIgnored)
      return rest === text ? undefined : asks(rest)
    },
    accepts,
  }
}

/** What was a stream has been stored as bytes: hooks can tag it, and it is too short to be encoded. */
function ofStreams({ name, asks, accepts }: Rule): Rule {
  return {
    name: `${name}, with the bytes of a stream`,
    asks: (text) => (STREAM.test(text) ? asks(text.replace(/^HEAD /, 'GET ')) : undefined),
    accepts: (answer, expected, text) => accepts(answer, asBytes(expected, text), text),
  }
}

const RULES = [SAME, NOT_MODIFIED, PART].flatMap((rule) => [
  rule,
  withoutIgnored(rule),
  ofStreams(rule),
])

/** The rule that allows the answer, or undefined. */
export async function allowed(
  question: Question,
  answer: Answer,
  plain: Plain,
): Promise<string | undefined> {
  if (!isConsistent(question, answer)) return undefined
  for (const { name, asks, accepts } of RULES) {
    const text = asks(question.text)
    if (text === undefined) continue
    for (let version = question.newest; version >= question.oldest; version--) {
      if (accepts(answer, await plain(text, version), question.text)) return name
    }
  }
  return undefined
}

/** Whatever the rules are: what is said of the cache fits the request and the answer. */
function isConsistent({ text }: Question, answer: Answer): boolean {
  const { headers, status } = answer
  if (headers['cache-status'] === undefined) return headers.age === undefined
  if (!/^(?:GET|HEAD) /.test(text)) return false
  const { hit, stored, collapsed, ttl } = statusOf(answer)
  if (hit && (stored || collapsed)) return false
  // Both are whole seconds of one lifetime, each rounded on its own.
  const lifetime = Number(headers.age) + (ttl ?? 0)
  if (hit && !Object.values(LIFETIMES).some((each) => Math.abs(each - lifetime) <= 1)) return false
  // RFC 9111 §4: a stored response is answered with its Age, and a new one has none.
  if ((headers.age !== undefined) !== (hit === true || collapsed === true)) return false
  return status !== 500 || (hit !== true && stored !== true)
}

/** How a message is framed is the connection's business, and its length the body's. */
const FRAMING = new Set(['transfer-encoding', 'content-length'])

function isSame(answer: Answer, expected: Answer): boolean {
  if (answer.status !== expected.status || !answer.body.equals(expected.body)) return false
  const [own, others] = [fieldsOf(answer), fieldsOf(expected)]
  if (own.size !== others.size) return false
  for (const [name, value] of own) if (others.get(name) !== value) return false
  const [length, other] = [answer.headers['content-length'], expected.headers['content-length']]
  // RFC 9110 §8.6: a length may be left out, and must not be wrong, also in answers to HEAD.
  return length === undefined || other === undefined || length === other
}

const STREAM = /^(?:GET|HEAD) \/stream\//

function asBytes(expected: Answer, text: string): Answer {
  const plain = withoutCoding(expected)
  const tag = createHash('sha1').update(plain.body).digest('base64')
  const length = String(plain.body.length)
  return {
    ...plain,
    headers: { ...plain.headers, etag: `"${tag}"`, 'content-length': length },
    body: text.startsWith('HEAD ') ? Buffer.alloc(0) : plain.body,
  }
}

/** The answer as it was before @fastify/compress. */
function withoutCoding(answer: Answer): Answer {
  const { vary, 'content-encoding': _, ...headers } = answer.headers
  const others = vary?.split(/, */).filter((name) => name.toLowerCase() !== 'accept-encoding')
  if (others !== undefined && others.length > 0) headers.vary = others.join(', ')
  return { ...answer, headers, body: Buffer.from(decoded(answer)) }
}

/** Each field in one text; lists of names in any case. */
function fieldsOf(answer: Answer): Map<string, string> {
  const fields = new Map<string, string>()
  for (const [name, value] of Object.entries(lastingHeaders(answer))) {
    if (FRAMING.has(name)) continue
    fields.set(name, name === 'vary' ? String(value).toLowerCase() : JSON.stringify(value))
  }
  return fields
}

const MATCH = /\r\nIf-None-Match: (.*)(?=\r\n)/
const SINCE = /\r\nIf-Modified-Since: (.*)(?=\r\n)/
const RANGE = /\r\nRange: bytes=(\d*)-(\d*)(?=\r\n)/
const IF_RANGE = /\r\nIf-Range: (.*)(?=\r\n)/

function without(text: string, ...lines: RegExp[]): string {
  return lines.reduce((rest, line) => rest.replace(line, ''), text)
}

/** RFC 9110 §15.4.5: what a 304 has to repeat of the 200 that it stands for. */
const REPEATED = ['cache-control', 'content-location', 'etag', 'expires', 'vary']

function isNotModified(answer: Answer, expected: Answer, text: string): boolean {
  if (answer.status !== 304 || answer.body.length > 0) return false
  // RFC 9110 §13.2.1: conditions are ignored where the answer without them would not be a 2xx.
  if (expected.status < 200 || expected.status > 299) return false
  if (!isUnchanged(text, expected)) return false
  // What hooks say of a body (its tag, that it is encoded) they do not say of a 304 that the cache made.
  const [own, others] = [fieldsOf(answer), fieldsOf(withoutCoding(expected))]
  if (answer.headers.etag === undefined && MATCH.exec(text)?.[1] === '*') others.delete('etag')
  for (const [name, value] of own) if (others.get(name) !== value) return false
  return REPEATED.every((name) => own.has(name) || !others.has(name))
}

function isUnchanged(text: string, { headers }: Answer): boolean {
  const [, match] = MATCH.exec(text) ?? []
  const [, since] = SINCE.exec(text) ?? []
  const { etag, 'last-modified': modified } = headers
  // RFC 9110 §13.1.3: the date is ignored beside If-None-Match.
  if (match === undefined) return Date.parse(modified ?? '') <= Date.parse(since!)
  return (
    match === '*' || (etag !== undefined && match.split(',').map(opaque).includes(opaque(etag)))
  )
}

function isPart(answer: Answer, expected: Answer, text: string): boolean {
  if (expected.status !== 200 || !text.startsWith('GET ')) return false
  const [, ifRange] = IF_RANGE.exec(text) ?? []
  if (ifRange !== undefined && ifRange !== expected.headers.etag) return false
  const whole = withoutCoding(expected)
  const length = whole.body.length
  const [, first, last] = RANGE.exec(text)!
  const start = first === '' ? Math.max(0, length - Number(last)) : Number(first)
  const end = first === '' || last === '' ? length : Math.min(length, Number(last) + 1)
  const range = answer.headers['content-range']
  if (start >= length) return answer.status === 416 && range === `bytes */${length}`
  if (answer.status !== 206 || range !== `bytes ${start}-${end - 1}/${length}`) return false
  const { 'content-range': _, ...headers } = answer.headers
  const part = whole.body.subarray(start, end)
  return isSame(
    { ...answer, status: 200, headers },
    { ...whole, headers: { ...whole.headers, 'content-length': String(part.length) }, body: part },
  )
}

/** RFC 9110 §8.8.3.2: If-None-Match compares weakly. */
function opaque(tag: string): string {
  return tag.trim().replace(/^W\//, '')
}

const CAMPAIGN = /^(?:GET|HEAD) \/campaign\/\S*/

function leaveOutIgnored(target: string): string {
  const [path, query = ''] = target.split('?')
  const rest = query.split('&').filter((pair) => pair !== '' && !pair.startsWith('utm_'))
  return rest.length === 0 ? path! : `${path}?${rest.join('&')}`
}
