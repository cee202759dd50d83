import type { InvalidateRequest, TagState } from '../messages.ts'

export type NamedTag = Pick<TagState, 'kind' | 'name'>

/** Which parameters count, in front of the rest where not all do. */
const FILTER = /^\{.*?\}(?=\d{1,5}:\/)/

/** A part with its length in front (`encodePart` in http/encoding.ts). */
const PART = /^(\d{1,5}):/

/** In place of the name where only a digest is known, or a sealed name. */
const UNKNOWN = /^[#~].*[\w-]{22}$/

/** The name as people write it; of a URL its path and query, where they can be told. */
export function readableName({ kind, name }: NamedTag): string {
  return (kind === 'url' ? targetOf(name) : undefined) ?? name
}

/** What to invalidate to hit what carries this tag; undefined where the tag does not say that. */
export function proposalFor({
  kind,
  name,
}: NamedTag): Pick<InvalidateRequest, 'by' | 'value'> | undefined {
  if (UNKNOWN.test(name)) return undefined
  if (kind === 'tag' || kind === 'route') return { by: kind, value: name }
  const value = kind === 'path' ? name : kind === 'url' ? targetOf(name) : undefined
  return value?.startsWith('/') ? { by: 'url', value } : undefined
}

/** Out of `exactTag` (url-tags.ts), of queries that are plain names and values. */
function targetOf(name: string): string | undefined {
  const path = partOf(name.replace(FILTER, ''))
  if (path === undefined || !path.text.startsWith('/')) return undefined
  const pairs: string[] = []
  let { rest } = path
  while (rest !== '') {
    const field = partOf(rest)
    const value = field?.rest.startsWith('s') ? partOf(field.rest.slice(1)) : undefined
    if (field === undefined || value === undefined) return undefined
    pairs.push(`${encodeURIComponent(field.text)}=${encodeURIComponent(value.text)}`)
    rest = value.rest
  }
  return pairs.length === 0 ? path.text : `${path.text}?${pairs.join('&')}`
}

function partOf(encoded: string): { text: string; rest: string } | undefined {
  const [head, digits] = PART.exec(encoded) ?? []
  if (head === undefined || digits === undefined) return undefined
  const end = head.length + Number(digits)
  return end > encoded.length
    ? undefined
    : { text: encoded.slice(head.length, end), rest: encoded.slice(end) }
}
