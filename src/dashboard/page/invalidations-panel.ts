import type { InvalidationSeen } from '../messages.ts'
import { chips } from './chips.ts'
import { byId, element, setText } from './element.ts'
import { formatAgo, formatClock, formatCount } from './format.ts'

/** What the log brought last, the newest on top. */
export class InvalidationsPanel {
  readonly #list = byId('invalidations-list', HTMLOListElement)
  readonly #empty = byId('invalidations-empty', HTMLElement)
  #shown = ''

  update(invalidations: readonly InvalidationSeen[], now: number): void {
    this.#empty.hidden = invalidations.length > 0
    const shown = invalidations.map(({ seq, at }) => `${seq}@${at}`).join(' ')
    if (shown !== this.#shown) {
      this.#shown = shown
      this.#list.replaceChildren(...invalidations.map(lineOf))
    }
    invalidations.forEach(({ at }, index) => {
      setText(this.#list.children[index]!.querySelector('time')!, formatAgo(now - at))
    })
  }
}

function lineOf({ seq, at, mode, tags, count }: InvalidationSeen): HTMLLIElement {
  const what = tags === 'all' ? element('strong', { text: 'everything' }) : chips(tags, count)
  return element(
    'li',
    {},
    element('span', { class: 'seq', text: `#${formatCount(seq)}` }),
    element('span', { class: 'mode', 'data-mode': mode, text: mode }),
    what,
    element('time', { datetime: new Date(at).toISOString(), title: formatClock(at) }),
  )
}
