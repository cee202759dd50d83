import { hash } from 'node:crypto'

import { digest, encodeParts } from './encoding.ts'

/** An entity tag (RFC 9110 §8.8.3). */
export interface EntityTag {
  /** As it stands in a field; the syntax leaves no second way to write it. */
  readonly text: string
  readonly weak: boolean
  /** The opaque tag with its quotes. */
  readonly opaque: string
}

// etagc is %x21, %x23-7E and obs-text: no quote, no space, and a backslash escapes nothing.
const TAG = /^(W\/)?("[\x21\x23-\x7e\x80-\xff]*")$/
// One member of a list, or none: RFC 9110 §5.6.1.2 has recipients skip empty members.
const MEMBER = /[ \t]*(?:((W\/)?("[\x21\x23-\x7e\x80-\xff]*"))[ \t]*)?(?:,|$)/y

/** What an ETag field says; undefined when that is no entity tag, which then matches nothing. */
export function parseEntityTag(value: string): EntityTag | undefined {
  const match = TAG.exec(value)
  return match ? { text: value, weak: match[1] !== undefined, opaque: match[2]! } : undefined
}

/**
 * The list in an If-None-Match field, or `*`. Undefined when any member is malformed: then nobody
 * can tell where the next one begins, as tags may hold commas.
 */
export function parseEntityTags(value: string): readonly EntityTag[] | '*' | undefined {
  if (value.trim() === '*') return '*'
  const tags: EntityTag[] = []
  let at = 0
  while (at < value.length) {
    MEMBER.lastIndex = at
    const match = MEMBER.exec(value)
    if (match === null) return undefined
    const [, text, weak, opaque] = match
    if (text !== undefined) tags.push({ text, weak: weak !== undefined, opaque: opaque! })
    at = MEMBER.lastIndex
  }
  return tags
}

/** RFC 9110 §8.8.3.2: the same opaque tag, and neither is weak. */
export function strongMatch(a: EntityTag, b: EntityTag): boolean {
  return !a.weak && !b.weak && a.opaque === b.opaque
}

/** RFC 9110 §8.8.3.2: the same opaque tag, whether weak or not. */
export function weakMatch(a: EntityTag, b: EntityTag): boolean {
  return a.opaque === b.opaque
}

/** 162 bits: two bodies with one tag do not happen, and cannot be made. */
const TAG_LENGTH = 27
const MADE = /^W\/"~[\w-]{27}"$/

/**
 * A tag for a body whose handler gave none; `parts` is what else makes it another representation,
 * such as its type. It is weak, because hooks still work on the body for each client: the gzip and
 * the plain form that @fastify/compress sends under one tag are equivalent, and not the same bytes
 * (RFC 9110 §8.8.1). So If-None-Match matches it and If-Range never does.
 */
export function makeEntityTag(
  body: string | Uint8Array | undefined,
  parts: readonly (string | undefined)[],
): string {
  const bytes = hash('sha256', body ?? '', 'base64url')
  return `W/"~${digest(encodeParts([bytes, ...parts])).slice(0, TAG_LENGTH)}"`
}

/** Whether a tag is one of ours. The handler never heard of it, so asking it is of no use. */
export function isMadeEntityTag(text: string): boolean {
  return MADE.test(text)
}
