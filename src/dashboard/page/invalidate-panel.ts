import type { InvalidateRequest, InvalidationPreview } from '../messages.ts'
import { type Api, messageOf } from './api.ts'
import { chips } from './chips.ts'
import { button, byId, definitions, element, row, scrollBox, setText, table } from './element.ts'
import { formatBytes, formatCount, plural } from './format.ts'

type By = InvalidateRequest['by']
type Mode = NonNullable<InvalidateRequest['mode']>

const ASKED: Record<By, { label: string; placeholder: string }> = {
  tag: { label: 'Tag', placeholder: 'products' },
  url: { label: 'URL or path, with its query', placeholder: '/products/42?page=1' },
  route: { label: 'Route pattern', placeholder: '/products/:id' },
  pattern: { label: 'Pattern of paths and keys, with *', placeholder: '/products/*' },
}

const MODES: Record<Mode, string> = {
  expire: 'Not served any more; kept for validators and for stale-if-error.',
  soft: 'May be served stale while one request refreshes it.',
  purge: 'Nothing of it is kept.',
}

/** First what it would do, then a button that does it, then what was done. */
export class InvalidatePanel {
  readonly #api: Api
  readonly #done: () => void
  readonly #form = byId('invalidate-form', HTMLFormElement)
  readonly #value = byId('invalidate-value', HTMLInputElement)
  readonly #label = byId('invalidate-value-label', HTMLElement)
  readonly #known = byId('invalidate-known', HTMLDataListElement)
  readonly #mode = byId('invalidate-mode', HTMLSelectElement)
  readonly #modeNote = byId('invalidate-mode-note', HTMLElement)
  readonly #error = byId('invalidate-error', HTMLElement)
  readonly #result = byId('invalidate-result', HTMLElement)
  #isReadOnly = false
  #routes: readonly string[] = []
  #asked = 0

  constructor(api: Api, done: () => void) {
    this.#api = api
    this.#done = done
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      void this.#preview()
    })
    // What is confirmed must be what was looked at.
    this.#form.addEventListener('input', () => this.clear())
    this.#form.addEventListener('change', () => this.#describe())
    this.#describe()
  }

  /** Puts a proposal into the form, and shows what it would do. */
  propose(by: By, value: string): void {
    this.#radio(by).checked = true
    this.#value.value = value
    this.#describe()
    byId('invalidate', HTMLElement).scrollIntoView({ block: 'nearest' })
    this.#value.focus()
    void this.#preview()
  }

  update(isReadOnly: boolean, routes: readonly string[]): void {
    this.#isReadOnly = isReadOnly
    if (routes.length === this.#routes.length) return
    this.#routes = routes
    this.#describe()
  }

  clear(): void {
    this.#asked++
    setText(this.#error, '')
    this.#result.replaceChildren()
  }

  #radio(by: By): HTMLInputElement {
    return this.#form.querySelector<HTMLInputElement>(`input[name=by][value=${by}]`)!
  }

  #by(): By {
    return this.#form.querySelector<HTMLInputElement>('input[name=by]:checked')!.value as By
  }

  #describe(): void {
    const { label, placeholder } = ASKED[this.#by()]
    setText(this.#label, label)
    this.#value.placeholder = placeholder
    setText(this.#modeNote, MODES[this.#mode.value as Mode])
    const known = this.#by() === 'route' ? this.#routes : []
    this.#known.replaceChildren(...known.map((value) => element('option', { value })))
  }

  async #preview(): Promise<void> {
    this.clear()
    const value = this.#value.value.trim()
    const by = this.#by()
    if (value === '') {
      setText(this.#error, `${ASKED[by].label}: what shall be invalidated?`)
      this.#value.focus()
      return
    }
    const request = { by, value, mode: this.#mode.value as Mode }
    await this.#ask(this.#api.preview(request), (preview) => [
      ...previewView(preview),
      this.#confirmation(request),
    ])
  }

  #confirmation(request: InvalidateRequest): Node {
    if (this.#isReadOnly) {
      return element('p', {
        class: 'why',
        text: 'This dashboard is read-only: nothing can be invalidated here.',
      })
    }
    const confirm = button('Invalidate now', () => void this.#invalidate(request), {
      class: 'danger',
    })
    const cancel = button('Cancel', () => {
      this.clear()
      this.#value.focus()
    })
    return element('p', { class: 'actions' }, confirm, cancel)
  }

  async #invalidate(request: InvalidateRequest): Promise<void> {
    this.clear()
    // The button that had the focus is gone.
    this.#value.focus()
    await this.#ask(this.#api.invalidate(request), ({ seq }) => [
      element(
        'p',
        { class: 'done' },
        element('strong', { text: 'Invalidated' }),
        ` ${request.by} `,
        element('code', { text: request.value }),
        `, mode ${request.mode}. Position in the log: ${formatCount(seq)}.`,
      ),
    ])
    this.#done()
  }

  async #ask<Answer>(answer: Promise<Answer>, view: (answer: Answer) => Node[]): Promise<void> {
    const asked = ++this.#asked
    this.#result.setAttribute('aria-busy', 'true')
    try {
      const nodes = view(await answer)
      if (asked === this.#asked) this.#result.replaceChildren(...nodes)
    } catch (error) {
      if (asked === this.#asked) setText(this.#error, messageOf(error))
    }
    this.#result.removeAttribute('aria-busy')
  }
}

function previewView({ tags, entries, bytes, routes, complete }: InvalidationPreview): Node[] {
  const what = `${plural(entries, 'entry', 'entries')} (${formatBytes(bytes)})`
  const lines = Object.entries(routes)
    .sort(([, one], [, other]) => other - one)
    .map(([route, count]) => row(route, formatCount(count)))
  const told = element(
    'p',
    { class: 'summary' },
    'In this process’s memory it makes ',
    element('strong', { text: entries === 0 ? 'no entry' : what }),
    ` unusable${complete ? '' : ', or more: not all of memory was looked at'}.`,
    ' What other processes and Redis hold of it becomes unusable as well.',
  )
  const list =
    lines.length === 0 ? undefined : scrollBox('Routes', table(['Route', 'Entries'], lines))
  const written = definitions([['Stands in the log', chips(tags, tags.length, 12)]])
  return [told, ...(list === undefined ? [] : [list]), written]
}
