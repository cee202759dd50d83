import type { ProcessState, Tick } from '../messages.ts'
import { byId, definitions, element, row, setText } from './element.ts'
import {
  NOTHING,
  formatAgo,
  formatBytes,
  formatCount,
  formatLatency,
  formatShare,
  formatSpan,
  plural,
} from './format.ts'

/** The log, Redis and memory of this process; and the other processes. */
export class HealthPanel {
  readonly #facts = byId('health-facts', HTMLElement)
  readonly #table = byId('fleet-table', HTMLTableElement)
  readonly #body = element('tbody')
  readonly #note = byId('fleet-note', HTMLElement)
  readonly #empty = byId('fleet-empty', HTMLElement)

  constructor() {
    const names = [
      'Process',
      'Behind',
      'Verified',
      'Position',
      'Pending',
      'Hit rate',
      'Breaker',
      'Up',
      'Told',
    ]
    const heads = names.map((text) => element('th', { scope: 'col', text }))
    this.#table.append(element('thead', {}, element('tr', {}, ...heads)), this.#body)
  }

  update({ stats, processes, at }: Tick): void {
    this.#facts.replaceChildren(definitions(factsOf(stats)))
    this.#body.replaceChildren(...processes.map((process) => processRow(process, at)))
    this.#table.hidden = processes.length === 0
    this.#empty.hidden = processes.length > 1
    const lags = processes.filter(isLagging).length
    const lagging = lags === 0 ? '' : ` · ${formatCount(lags)} behind`
    setText(
      this.#note,
      processes.length > 1 ? `${plural(processes.length, 'process', 'processes')}${lagging}` : '',
    )
  }
}

/** A process tells of itself every few seconds, of its table several times a second. */
const LATE_MS = 5000

function isLagging({ behind, sinceVerifiedMs = Infinity }: ProcessState): boolean {
  return behind > 0 || sinceVerifiedMs > LATE_MS
}

function processRow(process: ProcessState, now: number): HTMLTableRowElement {
  const { host, pid, self, sinceVerifiedMs, pendingInvalidations, breaker } = process
  const name = element('span', {}, `${host} · ${pid}`)
  if (self) name.append(' ', element('span', { class: 'self', text: 'this one' }))
  const line = row(
    name,
    process.behind === 0 ? '0' : plural(process.behind, 'record'),
    sinceVerifiedMs === undefined ? 'loading' : `${formatLatency(sinceVerifiedMs / 1000)} ago`,
    formatCount(process.seq),
    formatCount(pendingInvalidations),
    formatShare(process.hitRate),
    breaker ?? NOTHING,
    formatSpan(now - process.startedAt),
    self ? 'now' : formatAgo(process.toldAgoMs),
  )
  if (isLagging(process) || (breaker ?? 'closed') !== 'closed') line.dataset['level'] = 'warn'
  return line
}

function factsOf(stats: Tick['stats']): [string, string | Node][] {
  const { log, redis, memory, flights, fleet, values } = stats
  const sure = log.sinceVerifiedMs
  return [
    ['Epoch', log.epoch === '' ? 'not loaded' : element('code', { text: log.epoch })],
    ['Position', formatCount(log.seq)],
    ['Floor', formatCount(log.floor)],
    ['Tags in the table', formatCount(log.tags)],
    [
      'Verified',
      log.verified ? verifiedAgo(sure, redis === undefined) : 'no: the lease has run out',
    ],
    ['Breaker', redis?.breaker ?? 'no Redis'],
    [
      'Memory',
      memory === undefined
        ? 'off'
        : `${plural(memory.entries, 'entry', 'entries')}, ${formatBytes(memory.bytes)}`,
    ],
    ['Handlers running for others', formatCount(flights)],
    [
      'Leases of the fleet',
      fleet === undefined ? '' : `${fleet.leases} held, ${fleet.waiting} waited for`,
    ],
    ['Values of the client', valuesOf(values)],
    ['Bodies served', formatBytes(stats.bytesServed)],
    ['Failures', failuresOf(stats.failures)],
  ]
}

function verifiedAgo(sinceMs: number | undefined, isLocal: boolean): string {
  return isLocal || sinceMs === undefined ? 'yes' : `${formatLatency(sinceMs / 1000)} ago`
}

function valuesOf({ hits, misses, sets }: Tick['stats']['values']): string {
  if (hits + misses + sets === 0) return ''
  return `${plural(hits, 'hit')}, ${plural(misses, 'miss', 'misses')}, ${plural(sets, 'set')}`
}

function failuresOf(failures: Record<string, number>): string {
  const told = Object.entries(failures).map(
    ([operation, count]) => `${operation} ${formatCount(count)}`,
  )
  return told.length === 0 ? 'none' : told.join(', ')
}
