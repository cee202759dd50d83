import type { AuditStats, Tick } from '../messages.ts'
import { type Api, messageOf } from './api.ts'
import { chips } from './chips.ts'
import { byId, definitions, element, setText } from './element.ts'
import { formatClock, formatCount, formatSeconds, plural } from './format.ts'

type Finding = AuditStats['findings'][number]

const MOST_WRITES = 3

/** Hits that differ from what the handler answers: shown where the audit is on. */
export class AuditPanel {
  readonly #api: Api
  readonly #section = byId('audit', HTMLElement)
  readonly #note = byId('audit-note', HTMLElement)
  readonly #error = byId('audit-error', HTMLElement)
  readonly #list = byId('audit-list', HTMLOListElement)
  readonly #empty = byId('audit-empty', HTMLElement)
  #different = 0
  #asked = 0

  constructor(api: Api) {
    this.#api = api
  }

  clear(): void {
    this.#asked++
    this.#different = 0
    this.#list.replaceChildren()
  }

  update({ audit }: Tick): void {
    this.#section.hidden = audit === undefined
    if (audit === undefined) return
    const { checked, same, different, failed } = audit
    const counts = [`${formatCount(same)} same`, `${formatCount(different)} different`]
    if (failed > 0) counts.push(`${formatCount(failed)} failed`)
    setText(this.#note, `${plural(checked, 'hit')} checked: ${counts.join(', ')}`)
    this.#empty.hidden = different > 0
    if (different === this.#different) return
    this.#different = different
    void this.#look()
  }

  async #look(): Promise<void> {
    const asked = ++this.#asked
    try {
      const { findings } = await this.#api.audit()
      if (asked !== this.#asked) return
      setText(this.#error, '')
      this.#list.replaceChildren(...findings.map(findingView))
    } catch (error) {
      if (asked === this.#asked) setText(this.#error, messageOf(error))
    }
  }
}

function findingView(finding: Finding): HTMLLIElement {
  const { route, path, tags, at, age, count } = finding
  const named = tags.map((name) => ({ kind: 'tag', name }))
  return element(
    'li',
    {},
    element(
      'p',
      {},
      element('strong', {}, element('code', { text: route })),
      ` differs in ${differenceOf(finding.differs)}, `,
      element('time', { text: `${plural(count, 'time')}, last at ${formatClock(at)}` }),
    ),
    definitions([
      ['Served', `${path}, stored ${formatSeconds(age)} before`],
      ['Its tags', tags.length === 0 ? 'none' : chips(named, named.length, 12)],
      ['Writes since, likeliest first', writesView(finding.recentWrites)],
    ]),
  )
}

/** Where, never what: no value leaves the server. */
function differenceOf({ status, fields, pointers, offset }: Finding['differs']): string {
  if (status !== undefined) return `status: ${status.served} served, ${status.now} now`
  const parts: string[] = []
  if (fields !== undefined) parts.push(`fields ${fields.join(', ')}`)
  if (pointers !== undefined) {
    parts.push(
      `body at ${pointers.map((pointer) => (pointer === '' ? 'its root' : pointer)).join(', ')}`,
    )
  }
  if (offset !== undefined) parts.push(`body from byte ${formatCount(offset)}`)
  return parts.join('; ')
}

function writesView(writes: Finding['recentWrites']): Node {
  if (writes.length === 0) return element('span', { text: 'none seen in this process' })
  const lines = writes.slice(0, MOST_WRITES).map(({ method, path, tags }) => {
    const what = tags.length === 0 ? 'invalidated nothing' : `invalidated ${tags.join(', ')}`
    return element('li', {}, element('code', { text: `${method} ${path}` }), ` ${what}`)
  })
  return element('ul', {}, ...lines)
}
