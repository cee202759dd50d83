import { element, setText } from './element.ts'

/** Names of what a chart shows, each with its colour and a value. */
export class Legend<Name extends string> {
  readonly #values = new Map<Name, HTMLElement>()

  constructor(list: HTMLElement, names: Record<Name, string>) {
    for (const [name, label] of Object.entries<string>(names)) {
      const value = element('span', { class: 'value' })
      const swatch = element('span', { class: `swatch ${name}`, 'aria-hidden': 'true' })
      list.append(element('li', {}, swatch, element('span', { text: label }), value))
      this.#values.set(name as Name, value)
    }
  }

  show(name: Name, value: string): void {
    const shown = this.#values.get(name)
    if (shown !== undefined) setText(shown, value)
  }
}
