import { digest } from '../http/encoding.ts'

/**
 * What an invalidation can name. In the log everything is a tag; a letter in front keeps the kinds
 * apart, so a user's tag can never be mistaken for a URL, a route or a key. `space` is a namespace of
 * the client, `inner` a key in one.
 */
const KINDS = {
  tag: 't:',
  path: 'p:',
  url: 'u:',
  route: 'r:',
  key: 'k:',
  space: 's:',
  inner: 'n:',
} as const

/** Longer ones are replaced by their digest: the log and its table stay small. */
const MAX_PLAIN_LENGTH = 64

/** The longest tag that is accepted, in UTF-16 code units. */
export const MAX_TAG_LENGTH = 1024

/** The most tags a response or value may be given. More is not stored, because less is not safe. */
export const MAX_TAGS = 256

export function encodeTag(kind: keyof typeof KINDS, value: string): string {
  return value.length <= MAX_PLAIN_LENGTH
    ? `${KINDS[kind]}=${value}`
    : `${KINDS[kind]}#${digest(value)}`
}

/** The user's tags among encoded ones; of those that are too long, `#` and the digest. */
export function plainTags(encoded: readonly string[]): string[] {
  const prefix = KINDS.tag
  return encoded
    .filter((tag) => tag.startsWith(prefix))
    .map((tag) => tag.slice(prefix.length + (tag[prefix.length] === '=' ? 1 : 0)))
}

/** What an encoded tag names, for people; of long names `#` and the digest. */
export function decodeTag(encoded: string): { kind: keyof typeof KINDS; name: string } {
  const [kind] = Object.entries(KINDS).find(([, prefix]) => encoded.startsWith(prefix))!
  const name = encoded.slice(encoded[2] === '=' ? 3 : 2)
  return { kind: kind as keyof typeof KINDS, name }
}

/** Why a value cannot be a tag; undefined when it can. */
export function tagProblem(tag: unknown): string | undefined {
  if (typeof tag !== 'string') return `a tag must be a string, got ${typeof tag}`
  if (tag === '') return 'a tag must not be empty'
  if (tag.length > MAX_TAG_LENGTH) return `a tag must not be longer than ${MAX_TAG_LENGTH}`
  // A lone surrogate is lost in UTF-8, and two different tags would become one.
  if (!tag.isWellFormed()) return 'a tag must be well-formed Unicode'
  return undefined
}
