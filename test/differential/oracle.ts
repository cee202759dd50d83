// Which answers are right. An answer of the application with the cache is allowed when one of the rules
// says so; a new feature (304 made by the cache, 206 cut out of a stored 200, stale answers) is a new
// rule here, with the sentence that permits it, and nothing else in this test changes.
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
  allows: (question: Question, answer: Answer, plain: Plain) => Promise<boolean>
}

async function isPlain(question: Question, answer: Answer, plain: Plain): Promise<boolean> {
  const { text, oldest, newest } = question
  for (let version = newest; version >= oldest; version--) {
    if (isSame(answer, await plain(text, version))) return true
  }
  return false
}

export const RULES: readonly Rule[] = [
  {
    // Promises 5 and 6: what the application would have said, at a moment that counts.
    name: 'the plain application answers so at a version of the window',
    allows: isPlain,
  },
  {
    // What `vary.query` ignores, the route has declared to be of no account: the answer to nobody's
    // value is right for all, and the answer to another's is not.
    name: 'the plain application answers so to the request without ignored parameters',
    allows: async (question, answer, plain) => {
      const text = question.text.replace(IGNORED, (target) => withoutIgnored(target))
      return text !== question.text && isPlain({ ...question, text }, answer, plain)
    },
  },
]

const IGNORED = /^GET \/campaign\/\S*|^HEAD \/campaign\/\S*/

function withoutIgnored(target: string): string {
  const [path, query = ''] = target.split('?')
  const rest = query.split('&').filter((pair) => pair !== '' && !pair.startsWith('utm_'))
  return rest.length === 0 ? path! : `${path}?${rest.join('&')}`
}

/** The rule that allows the answer, or undefined. */
export async function allowed(
  question: Question,
  answer: Answer,
  plain: Plain,
  rules: readonly Rule[] = RULES,
): Promise<string | undefined> {
  if (!isConsistent(question, answer)) return undefined
  for (const rule of rules) {
    if (await rule.allows(question, answer, plain)) return rule.name
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

export function isSame(answer: Answer, expected: Answer): boolean {
  if (answer.status !== expected.status || !answer.body.equals(expected.body)) return false
  const [fields, others] = [comparable(answer), comparable(expected)]
  if (fields !== others) return false
  const [length, other] = [answer.headers['content-length'], expected.headers['content-length']]
  // RFC 9110 §8.6: a length may be left out, and must not be wrong, also in answers to HEAD.
  return length === undefined || other === undefined || length === other
}

function comparable(answer: Answer): string {
  const fields = Object.entries(lastingHeaders(answer))
    .filter(([name]) => !FRAMING.has(name))
    .map(([name, value]) => [name, name === 'vary' ? String(value).toLowerCase() : value])
  return JSON.stringify(fields.sort(([a], [b]) => (a! < b! ? -1 : 1)))
}
