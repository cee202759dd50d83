import type { TagState } from '../messages.ts'
import { type Api, messageOf } from './api.ts'
import { labelOf } from './chips.ts'
import { button, byId, element, row, setText } from './element.ts'
import type { Propose } from './explanation-view.ts'
import { NOTHING, formatAgo, formatClock, formatCount, plural } from './format.ts'
import { proposalFor, readableName } from './tag-name.ts'

const TYPING_MS = 250
/** How often it follows what happens: each time all of memory is looked through. */
const FOLLOW_MS = 10_000

/** Tags that are known: when each was invalidated, and what carries it. */
export class TagsPanel {
  readonly #api: Api
  readonly #propose: Propose
  readonly #search = byId('tags-search', HTMLInputElement)
  readonly #table = byId('tags-table', HTMLTableElement)
  readonly #body = element('tbody')
  readonly #note = byId('tags-note', HTMLElement)
  readonly #error = byId('tags-error', HTMLElement)
  #typing: number | undefined
  #asked = 0
  #seq = -1
  /** By the clock of the server. */
  #at = Date.now()
  #followedAt = 0

  constructor(api: Api, propose: Propose) {
    this.#api = api
    this.#propose = propose
    const heads = ['Tag', 'Last invalidated', 'Entries', ''].map((text) =>
      element('th', { scope: 'col', text }),
    )
    this.#table.append(element('thead', {}, element('tr', {}, ...heads)), this.#body)
    this.#search.addEventListener('input', () => {
      window.clearTimeout(this.#typing)
      this.#typing = window.setTimeout(() => void this.refresh(), TYPING_MS)
    })
    byId('tags-refresh', HTMLButtonElement).addEventListener('click', () => void this.refresh())
  }

  /** Looks again after invalidations, now and then. */
  update(seq: number, at: number): void {
    this.#at = at
    const now = performance.now()
    if (seq === this.#seq || (this.#followedAt > 0 && now - this.#followedAt < FOLLOW_MS)) return
    // Rows that change under the finger cannot be pressed.
    if (this.#body.contains(document.activeElement)) return
    this.#seq = seq
    void this.refresh()
  }

  async refresh(): Promise<void> {
    const asked = ++this.#asked
    this.#followedAt = performance.now()
    const text = this.#search.value.trim()
    try {
      const tags = await this.#api.tags(text)
      if (asked !== this.#asked) return
      setText(this.#error, '')
      this.#show(tags, text)
    } catch (error) {
      if (asked === this.#asked) setText(this.#error, messageOf(error))
    }
  }

  #show(tags: readonly TagState[], text: string): void {
    this.#body.replaceChildren(...tags.map((tag) => this.#row(tag)))
    this.#table.hidden = tags.length === 0
    setText(this.#note, tags.length === 0 ? noneOf(text) : plural(tags.length, 'tag'))
  }

  #row(tag: TagState): HTMLTableRowElement {
    const proposal = proposalFor(tag)
    const press =
      proposal &&
      button('Invalidate …', () => this.#propose(proposal.by, proposal.value), {
        'aria-label': `Invalidate ${tag.kind} ${readableName(tag)}`,
      })
    const entries = tag.entries === 0 ? NOTHING : formatCount(tag.entries)
    return row(labelOf(tag, 'tag'), whenOf(tag, this.#at), entries, press)
  }
}

function whenOf({ lastInvalidated: seq, at }: TagState, now: number): Node {
  if (seq === 0) return element('span', { class: 'never', text: 'never' })
  const position = element('span', { class: 'seq', text: `#${formatCount(seq)}` })
  if (at === undefined) return position
  const ago = element('time', { title: formatClock(at), text: formatAgo(now - at) })
  return element('span', {}, position, ' ', ago)
}

function noneOf(text: string): string {
  if (text !== '') return `No tag contains “${text}”.`
  return 'No tags yet. Give responses some with the route option tags or reply.cacheTags(), and invalidate them all at once.'
}
