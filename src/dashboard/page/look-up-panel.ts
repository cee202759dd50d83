import type { ExplainRequest } from '../messages.ts'
import { type Api, messageOf } from './api.ts'
import { byId, setText } from './element.ts'
import { entriesView } from './entry-view.ts'
import { type Propose, explanationView, verdictOf } from './explanation-view.ts'
import { plural } from './format.ts'
import { parseHeaderLines } from './header-lines.ts'

/** One URL: why it is answered as it is, and what is stored of it. */
export class LookUpPanel {
  readonly #api: Api
  readonly #propose: Propose
  readonly #form = byId('look-up-form', HTMLFormElement)
  readonly #method = byId('look-up-method', HTMLSelectElement)
  readonly #url = byId('look-up-url', HTMLInputElement)
  readonly #headers = byId('look-up-headers', HTMLTextAreaElement)
  readonly #error = byId('look-up-error', HTMLElement)
  readonly #result = byId('look-up-result', HTMLElement)
  /** Said aloud: all of a result would be too much to listen to. */
  readonly #status = byId('look-up-status', HTMLElement)
  #asked = 0

  constructor(api: Api, propose: Propose) {
    this.#api = api
    this.#propose = propose
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#look((request) => this.#explain(request))
    })
    byId('look-up-entry', HTMLButtonElement).addEventListener('click', () => {
      this.#look((request) => this.#entries(request, false))
    })
  }

  clear(): void {
    this.#asked++
    setText(this.#error, '')
    this.#result.replaceChildren()
  }

  #look(show: (request: ExplainRequest) => Promise<Node[]>): void {
    const request = this.#read()
    if (request !== undefined) void this.#show(show(request))
  }

  /** Only the last answer is shown, whichever comes last. */
  async #show(view: Promise<Node[]>): Promise<void> {
    const asked = ++this.#asked
    setText(this.#error, '')
    this.#result.setAttribute('aria-busy', 'true')
    try {
      const nodes = await view
      if (asked === this.#asked) this.#result.replaceChildren(...nodes)
    } catch (error) {
      if (asked === this.#asked) this.#fail(messageOf(error))
    }
    if (asked === this.#asked) this.#result.removeAttribute('aria-busy')
  }

  #fail(message: string): void {
    setText(this.#status, '')
    this.#result.replaceChildren()
    setText(this.#error, message)
  }

  #read(): ExplainRequest | undefined {
    const url = this.#url.value.trim()
    const { headers, problem } = parseHeaderLines(this.#headers.value)
    if (url === '' || problem !== undefined) {
      this.#fail(problem ?? 'Which URL? Write a path such as /products/42, or a whole URL.')
      ;(problem === undefined ? this.#url : this.#headers).focus()
      return undefined
    }
    return { method: this.#method.value, url, headers }
  }

  async #explain(request: ExplainRequest): Promise<Node[]> {
    const told = await this.#api.explain(request)
    setText(this.#status, verdictOf(told))
    return explanationView(told, this.#propose)
  }

  async #body(request: ExplainRequest): Promise<void> {
    await this.#show(this.#entries(request, true))
    // The button that had the focus is gone.
    this.#result.querySelector('pre')?.focus()
  }

  async #entries(request: ExplainRequest, body: boolean): Promise<Node[]> {
    const entries = await this.#api.entry({ ...request, body })
    setText(this.#status, `${plural(entries.length, 'stored entry', 'stored entries')} found`)
    return entriesView(entries, () => void this.#body(request))
  }
}
