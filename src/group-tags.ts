import { formatCacheGroups, parseCacheGroups } from './http/cache-groups.ts'
import type { FieldValue } from './http/fields.ts'
import { encodeTag } from './invalidation/tags.ts'

/**
 * The tags of the groups in a Cache-Groups or Cache-Group-Invalidation field. A group is the tag of
 * its name, so that `invalidateTags` reaches groups, and Cache-Group-Invalidation tags.
 *
 * RFC 9875 §2.1 has groups apart for each origin; here the namespace is what keeps them apart, as it
 * is for tags and paths. Where it serves several hosts, more is invalidated than was asked for.
 */
export function groupTags(value: FieldValue | undefined): string[] {
  return parseCacheGroups(value).map((group) => encodeTag('tag', group))
}

/** The tags of a stored response as they were given; of long ones only a digest is left. */
export function plainTags(encoded: readonly string[]): string[] {
  const mark = encodeTag('tag', '')
  return encoded.filter((tag) => tag.startsWith(mark)).map((tag) => tag.slice(mark.length))
}

/** Longer, the header section comes near to what proxies and clients accept. */
const MAX_FIELD_LENGTH = 4096

/**
 * The Cache-Groups field of a response with these tags, as they were given: together with the groups
 * in its own field, as many as fit. Undefined when there is nothing to say.
 */
export function cacheGroupsField(tags: readonly string[], own?: FieldValue): string | undefined {
  const groups = new Set([...parseCacheGroups(own), ...tags])
  let field: string | undefined
  for (const group of groups) {
    const member = formatCacheGroups([group])
    if (member === undefined) continue
    const longer = field === undefined ? member : `${field}, ${member}`
    if (longer.length <= MAX_FIELD_LENGTH) field = longer
  }
  return field
}
