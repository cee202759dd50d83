import type { RouteState } from '../messages.ts'
import { type Advice, adviceOnBypass, adviceOnForward, adviceOnStoring } from './advice.js'
import { element, setText, svgElement } from './element.ts'
import { formatCount, formatShare } from './format.ts'
import { type ReasonShare, rankReasons } from './reasons.ts'

type Told = Pick<RouteState, 'missesByReason' | 'bypassedByReason' | 'notStoredByReason'>

interface Group {
  title: string
  none: string
  colour: string
  countsOf: (told: Told) => Partial<Record<string, number>>
  /** Of another version there may be words that this one does not know. */
  adviceOn: (reason: never) => Advice | undefined
}

const GROUPS: readonly Group[] = [
  {
    title: 'The handler ran',
    none: 'No misses.',
    colour: 'misses',
    countsOf: ({ missesByReason }) => missesByReason,
    adviceOn: adviceOnForward,
  },
  {
    title: 'Went around the cache',
    none: 'No bypasses.',
    colour: 'bypassed',
    countsOf: ({ bypassedByReason }) => bypassedByReason,
    adviceOn: adviceOnBypass,
  },
  {
    title: 'Answer was not stored',
    none: 'No answer was left out.',
    colour: 'collapsed',
    countsOf: ({ notStoredByReason }) => notStoredByReason,
    adviceOn: adviceOnStoring,
  },
]

const BAR_WIDTH = 100

/** Reasons with how often, what they mean, and what would change it. */
export class ReasonsView {
  readonly #groups: { group: Group; list: HTMLElement; shown: string }[]

  constructor(host: HTMLElement) {
    this.#groups = GROUPS.map((group) => {
      const list = element('ul')
      host.append(
        element('div', { class: 'reason-group' }, element('h4', { text: group.title }), list),
      )
      return { group, list, shown: '' }
    })
  }

  update(told: Told): void {
    for (const each of this.#groups) {
      const ranked = rankReasons(each.group.countsOf(told))
      // Rows stay while the order does: only figures change, and a selection is kept.
      const order = ranked.map(({ reason }) => reason).join('\n')
      if (order !== each.shown || order === '') this.#rebuild(each, ranked)
      each.shown = order
      ranked.forEach((reason, index) => showFigures(each.list.children[index]!, reason))
    }
  }

  #rebuild({ group, list }: { group: Group; list: HTMLElement }, ranked: ReasonShare[]): void {
    const lines = ranked.map(({ reason }) => reasonLine(group, reason))
    if (lines.length === 0) lines.push(element('li', { class: 'none', text: group.none }))
    list.replaceChildren(...lines)
  }
}

function reasonLine({ colour, adviceOn }: Group, reason: string): HTMLLIElement {
  const advice = adviceOn(reason as never)
  const line = element(
    'li',
    {},
    element(
      'p',
      { class: 'reason' },
      element('code', { text: reason }),
      element('span', { class: 'count' }),
      element('span', { class: 'share' }),
    ),
    bar(colour),
  )
  if (advice !== undefined) line.append(adviceLine(advice))
  return line
}

/** What it means, and what to change. */
export function adviceLine({ why, change }: Advice): HTMLParagraphElement {
  const line = element('p', { class: 'why' }, why)
  if (change !== undefined) {
    line.append(' ', element('span', { class: 'change' }, '→ ', element('code', { text: change })))
  }
  return line
}

function bar(colour: string): SVGSVGElement {
  const viewBox = `0 0 ${BAR_WIDTH} 4`
  return svgElement(
    'svg',
    { class: 'bar', viewBox, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    svgElement('rect', { class: 'bar-back', width: BAR_WIDTH, height: 4 }),
    svgElement('rect', { class: `bar-fill ${colour}`, width: 0, height: 4 }),
  )
}

function showFigures(line: Element, { count, share }: ReasonShare): void {
  setText(line.querySelector('.count')!, formatCount(count))
  setText(line.querySelector('.share')!, formatShare(share))
  line.querySelector('.bar-fill')!.setAttribute('width', String(share * BAR_WIDTH))
}
