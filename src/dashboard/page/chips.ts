import { element } from './element.ts'
import { type NamedTag, readableName } from './tag-name.ts'

const MOST = 6

/** A tag as a small label; what is no plain tag says what it is. */
export function chip(tag: NamedTag): HTMLElement {
  return labelOf(tag, 'chip')
}

/** What kind of name it is stands in front, but of plain tags. */
export function labelOf(tag: NamedTag, style: string): HTMLElement {
  const { kind } = tag
  const label = element('span', { class: style, title: tag.name })
  if (kind !== 'tag') label.append(element('span', { class: 'kind', text: kind }), ' ')
  label.append(readableName(tag))
  return label
}

/** The first of them, and how many more there are. */
export function chips(tags: readonly NamedTag[], count = tags.length, most = MOST): HTMLElement {
  const list = element('span', { class: 'chips' }, ...tags.slice(0, most).map(chip))
  const shown = Math.min(most, tags.length)
  if (count > shown)
    list.append(element('span', { class: 'rest', text: `and ${count - shown} more` }))
  return list
}
