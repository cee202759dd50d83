import type { RouteState } from '../messages.ts'
import { type Api, messageOf } from './api.ts'
import { type Histogram, meanOf, quantile } from './distribution.ts'
import { byId, definitions, element, row, scrollBox, setText, table } from './element.ts'
import {
  formatBytes,
  formatCount,
  formatLatency,
  formatSeconds,
  formatShare,
  formatSpan,
} from './format.ts'
import { hitRateOf } from './history.ts'
import { ReasonsView } from './reasons-view.ts'

const PATHS = {
  memory: 'Memory hit',
  redis: 'Redis hit',
  collapsed: 'Collapsed',
  miss: 'Miss',
} as const

/** All that is known of one route, in a dialog. */
export class RouteDetails {
  readonly #api: Api
  readonly #dialog = byId('route-dialog', HTMLDialogElement)
  readonly #title = byId('route-title', HTMLElement)
  readonly #error = byId('route-error', HTMLElement)
  readonly #details = byId('route-details', HTMLElement)
  #route: string | undefined

  constructor(api: Api) {
    this.#api = api
    byId('route-close', HTMLButtonElement).addEventListener('click', () => this.#dialog.close())
    this.#dialog.addEventListener('click', ({ target }) => {
      // The backdrop belongs to the dialog itself.
      if (target === this.#dialog) this.#dialog.close()
    })
  }

  async open(route: string): Promise<void> {
    this.#route = route
    setText(this.#title, route)
    setText(this.#error, '')
    this.#details.replaceChildren(element('p', { class: 'empty', text: 'Loading …' }))
    this.#dialog.showModal()
    try {
      const state = await this.#api.route(route)
      if (route === this.#route) this.#details.replaceChildren(...detailsOf(state))
    } catch (error) {
      this.#details.replaceChildren()
      setText(this.#error, messageOf(error))
    }
  }
}

function detailsOf(state: RouteState): Node[] {
  const reasons = element('div', { class: 'reasons stacked' })
  new ReasonsView(reasons).update(state)
  return [
    element('h3', { text: 'Since start' }),
    definitions(figures(state)),
    element('h3', { text: 'Latency' }),
    latencyTable(state),
    element('h3', { text: 'Age at hit' }),
    definitions(ages(state.ageAtHit)),
    element('h3', { text: 'Why not served from the cache' }),
    reasons,
  ]
}

function figures(state: RouteState): [string, string][] {
  const { hitsByTier, collapsed, misses } = state
  const hitRate = hitRateOf({ ...hitsByTier, collapsed, misses, bypassed: state.bypassed })
  return [
    ['Hit rate', formatShare(hitRate)],
    ['Hits in memory', formatCount(hitsByTier.memory)],
    ['Hits in Redis', formatCount(hitsByTier.redis)],
    ['Of them stale', formatCount(state.stale)],
    ['Collapsed', formatCount(collapsed)],
    ['Misses', formatCount(misses)],
    ['Confirmed by the handler (304)', formatCount(state.revalidated)],
    ['Bypassed', formatCount(state.bypassed)],
    ['Stored', formatCount(state.stored)],
    ['Not stored', formatCount(state.notStored)],
    ['Bodies served', formatBytes(state.bytesServed)],
    ['Handler time saved', formatSpan(state.savedMs)],
    ['Coalescing', state.coalescing],
  ]
}

function latencyTable({ latency }: RouteState): Node {
  const lines = Object.entries(PATHS).flatMap(([path, name]) => {
    const histogram = latency[path as keyof typeof PATHS]
    if (histogram.count === 0) return []
    const quantiles = [0.5, 0.95, 0.99].map((share) => formatLatency(quantile(histogram, share)))
    return [row(name, formatCount(histogram.count), ...quantiles)]
  })
  if (lines.length === 0) return element('p', { class: 'empty', text: 'Nothing was measured yet.' })
  return scrollBox('Latency', table(['', 'Measured', 'p50', 'p95', 'p99'], lines))
}

function ages(ageAtHit: Histogram): [string, string][] {
  const mean = meanOf(ageAtHit)
  if (mean === undefined) return [['Hits', 'none yet']]
  const half = quantile(ageAtHit, 0.5)!
  return [
    ['Mean', formatSeconds(mean)],
    ['Half of them below', half === Infinity ? 'more than a week' : formatSeconds(half)],
  ]
}
