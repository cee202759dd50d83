import type { State } from '../messages.ts'
import { byId, element, setAttribute, setText } from './element.ts'
import type { Connection } from './feed.ts'
import { formatSpan } from './format.ts'

const TEXTS: Record<Connection, string> = {
  connecting: 'Connecting …',
  live: 'Live',
  late: 'No news: waiting …',
  reconnecting: 'Reconnecting …',
}

/** Which cache, which process, and whether what is shown is true now. */
export class Header {
  readonly #chooser = byId('chooser', HTMLElement)
  readonly #select = byId('cache', HTMLSelectElement)
  readonly #version = byId('version', HTMLElement)
  readonly #process = byId('process', HTMLElement)
  readonly #connection = byId('connection', HTMLElement)
  readonly #text = byId('connection-text', HTMLElement)

  constructor(choose: (cache: string) => void) {
    this.#select.addEventListener('change', () => choose(this.#select.value))
  }

  show({ caches, cache, version }: State): void {
    this.#chooser.hidden = caches.length < 2
    this.#select.replaceChildren(
      ...caches.map((name) =>
        element('option', { value: name, text: name, selected: name === cache }),
      ),
    )
    setText(this.#version, version)
    document.title = caches.length < 2 ? 'Response cache' : `${cache} · Response cache`
  }

  update({ process, readOnly }: State, now: number): void {
    const up = formatSpan(now - process.startedAt)
    const parts = [
      `pid ${process.pid} on ${process.host}`,
      `Node ${process.node.replace(/^v/, '')}`,
      `up ${up}`,
    ]
    if (readOnly) parts.push('read-only')
    setText(this.#process, parts.join(' · '))
  }

  connection(connection: Connection, detail?: string): void {
    setAttribute(this.#connection, 'data-connection', connection)
    setText(this.#text, detail === undefined ? TEXTS[connection] : `${TEXTS[connection]} ${detail}`)
    document.documentElement.dataset['connection'] = connection
  }
}
