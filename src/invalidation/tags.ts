import { digest } from '../http/encoding.ts'

/**
 * What an invalidation can name. In the log everything is a tag; a letter in front keeps the kinds
 * apart, so a user's tag can never be mistaken for a URL, a route or a key. `space` is a namespace of
 * the client, `inner` a key in one. `glob` is a pattern of keys and paths, `innerGlob` one of keys in
 * a namespace; no entry carries them.
 */
const KINDS = {
  tag: 't:',
  path: 'p:',
  url: 'u:',
  route: 'r:',
  key: 'k:',
  space: 's:',
  inner: 'n:',
  glob: 'g:',
  innerGlob: 'h:',
} as const

/** Longer ones are replaced by their digest: the log and its table stay small. */
const MAX_PLAIN_LENGTH = 64

/** The longest tag that is accepted, in UTF-16 code units. */
export const MAX_TAG_LENGTH = 1024

/** The most tags a response or value may be given. More is not stored, because less is not safe. */
export const MAX_TAGS = 256

export function encodeTag(kind: keyof typeof KINDS, value: string): string {
  if (value.length <= MAX_PLAIN_LENGTH) return `${KINDS[kind]}=${value}`
  // What a pattern may mean keeps its beginning.
  const isNamed = kind === 'path' || kind === 'key' || kind === 'inner'
  return `${KINDS[kind]}#${isNamed ? beginningOf(value) : ''}${digest(value)}`
}

const DIGEST_LENGTH = 43

/** In whole characters: half of one would be another one in UTF-8. */
function beginningOf(value: string): string {
  const start = value.slice(0, MAX_PLAIN_LENGTH)
  if (start.isWellFormed()) return start
  const shorter = start.slice(0, -1)
  return shorter.isWellFormed() ? shorter : ''
}

const GLOB = `${KINDS.glob}=`
const INNER_GLOB = `${KINDS.innerGlob}=`

/** A pattern is never a digest, which nothing could be compared with. */
export function encodeGlob(pattern: string, spaceId?: string): string {
  return spaceId === undefined ? GLOB + pattern : `${INNER_GLOB}${spaceId}:${pattern}`
}

/** A name that a pattern may mean: of an entry at the top (a key, a path), or of one in a namespace. */
export interface Named {
  readonly about: 'outer' | 'inner'
  readonly text: string
  /** Otherwise the beginning is all that is known. */
  readonly isWhole: boolean
}

/** The pattern in a tag that is one. */
export function globOf(tag: string): { about: Named['about']; glob: string } | undefined {
  if (tag.startsWith(GLOB)) return { about: 'outer', glob: tag.slice(GLOB.length) }
  if (tag.startsWith(INNER_GLOB)) {
    return { about: 'inner', glob: tag.slice(INNER_GLOB.length) }
  }
  return undefined
}

/** In front of a tag that only patterns see. */
const NAME_ONLY = '?'

/** Of a tag that names a key: another one, which patterns match and no tag is equal to. */
export function nameOnly(tag: string): string {
  return NAME_ONLY + tag
}

/** What patterns are compared with, of an entry that carries these tags. */
export function namedBy(tags: readonly string[]): Named[] {
  const names: Named[] = []
  for (const each of tags) {
    const tag = each.startsWith(NAME_ONLY) ? each.slice(1) : each
    const kind = tag.slice(0, 2)
    const isInner = kind === KINDS.inner
    if (!isInner && kind !== KINDS.path && kind !== KINDS.key) continue
    // Sealed: it says nothing, and patterns of its namespace are tags of all that is in it.
    if (tag[2] === '~') continue
    const isWhole = tag[2] === '='
    const text = isWhole ? tag.slice(3) : tag.slice(3, -DIGEST_LENGTH)
    names.push({ about: isInner ? 'inner' : 'outer', text, isWhole })
  }
  return names
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

/** The same of whatever stands in the log or in an entry; `sealed` is what says nothing. */
export function namedTag(encoded: string): { kind: string; name: string } {
  const tag = encoded.startsWith(NAME_ONLY) ? encoded.slice(1) : encoded
  const kind = NAMED_KINDS.get(tag.slice(0, 2))
  if (kind === undefined || tag[2] === '~') return { kind: 'sealed', name: tag.replace('n:~', '') }
  return { kind, name: tag.slice(tag[2] === '=' ? 3 : 2) }
}

const NAMED_KINDS: ReadonlyMap<string, string> = new Map(
  Object.entries(KINDS).map(([kind, prefix]) => [
    prefix,
    kind === 'glob' || kind === 'innerGlob' ? 'pattern' : kind,
  ]),
)

/** Of a key of the client, as it is when it is written. */
export function isKeyTag(encoded: string): boolean {
  return encoded.startsWith(KINDS.key) || encoded.startsWith(KINDS.inner)
}

/** Only patterns see it: it cannot be invalidated itself. */
export function isNameOnly(encoded: string): boolean {
  return encoded.startsWith(NAME_ONLY)
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
