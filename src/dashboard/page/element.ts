/** Attributes by name; `class` and `text` as one writes them. What is undefined or false is left out. */
interface Properties {
  text?: string
  [attribute: string]: string | number | boolean | undefined
}

export type Child = Node | string | undefined

/** Builds an element. Text is always text: nothing here reads HTML. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const built = document.createElement(tag)
  fill(built, properties, children)
  return built
}

export function svgElement<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): SVGElementTagNameMap[Tag] {
  const built = document.createElementNS('http://www.w3.org/2000/svg', tag)
  fill(built, properties, children)
  return built
}

function fill(built: Element, { text, ...attributes }: Properties, children: Child[]): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue
    built.setAttribute(name, value === true ? '' : String(value))
  }
  if (text !== undefined) built.append(text)
  built.append(...children.filter((child) => child !== undefined))
}

export function button(
  text: string,
  onPress: () => void,
  properties: Properties = {},
): HTMLButtonElement {
  const built = element('button', { type: 'button', ...properties, text })
  built.addEventListener('click', onPress)
  return built
}

/** What index.html has under this id. */
export function byId<Type extends Element>(id: string, type: new () => Type): Type {
  const found = document.querySelector(`#${id}`)
  if (!(found instanceof type)) throw new Error(`index.html has no ${type.name} #${id}`)
  return found
}

/** Only when it differs: what stays the same costs nothing, and a selection in it is kept. */
export function setText(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text
}

export function setAttribute(node: Element, name: string, value: string): void {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value)
}

/** Names and values, in pairs. Empty values are left out. */
export function definitions(
  pairs: readonly (readonly [name: string, value: Child])[],
  properties: Properties = { class: 'facts' },
): HTMLDListElement {
  const list = element('dl', properties)
  for (const [name, value] of pairs) {
    if (value === undefined || value === '') continue
    list.append(element('div', {}, element('dt', { text: name }), element('dd', {}, value)))
  }
  return list
}

/** A row whose first cell names it. */
export function row(...cells: Child[]): HTMLTableRowElement {
  const [first, ...rest] = cells
  const line = element('tr', {}, element('th', { scope: 'row' }, first))
  line.append(...rest.map((cell) => element('td', {}, cell)))
  return line
}

export function table(heads: readonly string[], rows: readonly Node[]): HTMLTableElement {
  const head = element('tr', {}, ...heads.map((text) => element('th', { scope: 'col', text })))
  return element('table', {}, element('thead', {}, head), element('tbody', {}, ...rows))
}

/** A box in which something wide scrolls by itself; it can be reached by keyboard. */
export function scrollBox(label: string, ...children: Child[]): HTMLDivElement {
  const properties = { class: 'scroll', role: 'region', 'aria-label': label, tabindex: 0 }
  return element('div', properties, ...children)
}
