import { element, setAttribute, setText } from './element.ts'

export interface LiveRow {
  /** Of one run of one process, or the like. */
  key: string
  /** The first one names the row. */
  cells: readonly string[]
  /** Put behind its name. */
  badge?: string | undefined
  level?: 'warn' | undefined
}

/** Rows that are kept while their figures change, and with them what is selected. */
export class LiveTable {
  readonly #body = element('tbody')
  readonly #rows = new Map<string, HTMLTableRowElement>()

  constructor(table: HTMLTableElement, heads: readonly string[]) {
    const cells = heads.map((text) => element('th', { scope: 'col', text }))
    table.append(element('thead', {}, element('tr', {}, ...cells)), this.#body)
  }

  show(rows: readonly LiveRow[]): void {
    const keys = new Set(rows.map(({ key }) => key))
    for (const [key, line] of this.#rows) {
      if (keys.has(key)) continue
      line.remove()
      this.#rows.delete(key)
    }
    rows.forEach((row, index) => {
      const line = this.#rows.get(row.key) ?? this.#build(row)
      if (this.#body.children[index] !== line) {
        this.#body.insertBefore(line, this.#body.children[index] ?? null)
      }
      fill(line, row)
    })
  }

  #build({ key, cells, badge }: LiveRow): HTMLTableRowElement {
    const name = element('th', { scope: 'row' }, element('span'))
    if (badge !== undefined) name.append(' ', element('span', { class: 'self', text: badge }))
    const line = element('tr', {}, name)
    line.append(...cells.slice(1).map(() => element('td', {}, element('span'))))
    this.#rows.set(key, line)
    return line
  }
}

function fill(line: HTMLTableRowElement, { cells, level }: LiveRow): void {
  cells.forEach((text, index) => setText(line.cells[index]!.firstElementChild!, text))
  setAttribute(line, 'data-level', level ?? 'fine')
}

/** Names and values, likewise. */
export class LiveFacts {
  readonly #list = element('dl', { class: 'facts' })
  readonly #values = new Map<string, { line: HTMLElement; value: HTMLElement }>()

  constructor(host: HTMLElement) {
    host.append(this.#list)
  }

  /** Those without a value are hidden. */
  show(facts: readonly (readonly [name: string, value: string])[]): void {
    for (const [name, text] of facts) {
      const { line, value } = this.#values.get(name) ?? this.#build(name)
      line.hidden = text === ''
      setText(value, text)
    }
  }

  #build(name: string): { line: HTMLElement; value: HTMLElement } {
    const value = element('dd')
    const line = element('div', {}, element('dt', { text: name }), value)
    this.#list.append(line)
    this.#values.set(name, { line, value })
    return { line, value }
  }
}
