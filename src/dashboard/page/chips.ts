import type { TagState } from '../messages.ts'
import { element } from './element.ts'

const MOST = 6

type NamedTag = Pick<TagState, 'kind' | 'name'>

/** A tag as a small label; what is no plain tag says what it is. */
export function chip({ kind, name }: NamedTag): HTMLElement {
  const label = element('span', { class: 'chip' })
  if (kind !== 'tag') label.append(element('span', { class: 'kind', text: kind }), ' ')
  label.append(name)
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
