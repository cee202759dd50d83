import { type Item, parseList, serializeList } from 'structured-headers'

import type { FieldValue } from './fields.ts'

/**
 * The groups in a Cache-Groups field (RFC 9875 §2), each once; none when the field is absent or no
 * list of strings. There is no limit here: a response whose groups were dropped could not be
 * invalidated any more.
 */
export function parseCacheGroups(value: FieldValue | undefined): readonly string[] {
  if (value === undefined) return NONE
  try {
    const members = parseList(typeof value === 'object' ? value.join(', ') : String(value))
    const groups = new Set<string>()
    for (const [group] of members) {
      // RFC 9651 §2: a member of another type makes the whole field one to ignore.
      if (typeof group !== 'string') return NONE
      groups.add(group)
    }
    return [...groups]
  } catch {
    return NONE
  }
}

const NONE: readonly string[] = Object.freeze([])

/** The groups that a response invalidates; RFC 9875 §3: none when the method is safe. */
export function groupsToInvalidate(
  method: string,
  value: FieldValue | undefined,
): readonly string[] {
  return isSafeMethod(method) ? NONE : parseCacheGroups(value)
}

/** RFC 9110 §9.2.1, and the methods that IANA registers as safe. */
const SAFE_METHODS: ReadonlySet<string> = new Set([
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE'],
  ...['PRI', 'PROPFIND', 'QUERY', 'REPORT', 'SEARCH'],
])

export function isSafeMethod(method: string): boolean {
  return SAFE_METHODS.has(method)
}

/**
 * Tags as a Cache-Groups field; undefined when there is none. A tag that is not ASCII fits in no
 * structured string and is left out: only caches on the way miss it, this one does not read it back.
 */
export function formatCacheGroups(tags: readonly string[]): string | undefined {
  const members = tags.filter(isAscii).map((tag): Item => [tag, new Map()])
  return members.length === 0 ? undefined : serializeList(members)
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text)
}
