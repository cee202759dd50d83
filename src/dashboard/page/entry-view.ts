import type { Entry } from '../messages.ts'
import { chips } from './chips.ts'
import { button, definitions, element, row, scrollBox, table } from './element.ts'
import { formatBytes, formatCount, formatSeconds } from './format.ts'

/** What each tier holds; bodies only when they were asked for. */
export function entriesView(entries: readonly Entry[], showBody: () => void): Node[] {
  if (entries.length === 0) {
    return [
      element('p', {
        class: 'empty',
        text: 'Nothing is stored under the key of this request. “Explain” says why.',
      }),
    ]
  }
  return entries.map((entry) => entryView(entry, showBody))
}

function entryView(entry: Entry, showBody: () => void): HTMLElement {
  const { tier, state, status, age, ttl, bytes, tags, position, headers } = entry
  return element(
    'article',
    { class: 'entry' },
    element(
      'h3',
      {},
      `In ${tier === 'redis' ? 'Redis' : 'memory'} `,
      element('span', { class: 'state', 'data-state': state, text: state }),
    ),
    definitions([
      ['Status', status === undefined ? '' : String(status)],
      ['Age', formatSeconds(age)],
      ['TTL left', formatSeconds(ttl)],
      ['Size', formatBytes(bytes)],
      ['Position in the log', formatCount(position.seq)],
      ['Epoch', position.epoch === '' ? '' : element('code', { text: position.epoch })],
      [
        'Tags',
        tags.length === 0
          ? 'none'
          : chips(
              tags.map((name) => ({ kind: 'tag', name })),
              tags.length,
              50,
            ),
      ],
    ]),
    headers.length === 0 ? undefined : headersView(headers),
    bodyView(entry, showBody),
  )
}

function headersView(headers: Entry['headers']): Node {
  const lines = headers.map(([name, value]) => row(name, value))
  return element(
    'div',
    {},
    element('h4', { text: 'Header fields' }),
    scrollBox('Header fields', table(['Field', 'Value'], lines)),
  )
}

function bodyView({ body, bytes }: Entry, showBody: () => void): Node {
  if (body === undefined) {
    const show = button(`Show the body (${formatBytes(bytes)})`, showBody)
    return element('p', { class: 'actions' }, show)
  }
  const view = element('div', { class: 'body' }, element('h4', { text: titleOf(body) }))
  const pre = element('pre', { text: body.text, tabindex: 0 })
  const hide = button('Hide the body', () =>
    view.replaceWith(bodyView({ bytes } as Entry, showBody)),
  )
  view.append(pre, element('p', { class: 'actions' }, hide))
  return view
}

function titleOf({ encoding, truncated }: NonNullable<Entry['body']>): string {
  const what = encoding === 'base64' ? 'Body, in base64' : 'Body'
  return truncated ? `${what}: its beginning` : what
}
