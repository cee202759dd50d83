import type { ProcessState, Tick } from '../messages.ts'
import { byId, setText } from './element.ts'
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
import { LiveFacts, type LiveRow, LiveTable } from './live-table.ts'

const HEADS = [
  ...['Process', 'Behind', 'Verified', 'Position', 'Pending', 'Hit rate'],
  ...['Breaker', 'Up', 'Told'],
]

/** The log, Redis and memory of this process; and the other processes. */
export class HealthPanel {
  readonly #facts = new LiveFacts(byId('health-facts', HTMLElement))
  readonly #element = byId('fleet-table', HTMLTableElement)
  readonly #table = new LiveTable(this.#element, HEADS)
  readonly #note = byId('fleet-note', HTMLElement)
  readonly #empty = byId('fleet-empty', HTMLElement)
  readonly #alone = byId('fleet-alone', HTMLElement)

  update({ stats, processes, at }: Tick): void {
    this.#facts.show(factsOf(stats))
    this.#table.show(processes.map((process) => processRow(process, at)))
    this.#element.hidden = processes.length === 0
    const isShared = stats.redis !== undefined
    this.#empty.hidden = !isShared || processes.length > 1
    this.#alone.hidden = isShared
    const lags = processes.filter(isLagging).length
    const lagging = lags === 0 ? '' : ` · ${formatCount(lags)} behind`
    const all = plural(processes.length, 'process', 'processes')
    setText(this.#note, processes.length > 1 ? all + lagging : '')
  }
}

/** A process tells of itself every few seconds, of its table several times a second. */
const LATE_MS = 5000

function isLagging({ behind, sinceVerifiedMs = Infinity }: ProcessState): boolean {
  return behind > 0 || sinceVerifiedMs > LATE_MS
}

function processRow(process: ProcessState, now: number): LiveRow {
  const { id, host, pid, self, sinceVerifiedMs, pendingInvalidations, breaker } = process
  const isWell = !isLagging(process) && (breaker ?? 'closed') === 'closed'
  return {
    key: id,
    badge: self ? 'this one' : undefined,
    level: isWell ? undefined : 'warn',
    cells: [
      `${host} · ${pid}`,
      process.behind === 0 ? '0' : plural(process.behind, 'record'),
      sinceVerifiedMs === undefined ? 'loading' : `${formatLatency(sinceVerifiedMs / 1000)} ago`,
      formatCount(process.seq),
      formatCount(pendingInvalidations),
      formatShare(process.hitRate),
      breaker ?? NOTHING,
      formatSpan(now - process.startedAt),
      self ? 'now' : formatAgo(process.toldAgoMs),
    ],
  }
}

function factsOf(stats: Tick['stats']): [string, string][] {
  const { log, redis, memory, flights, fleet, values } = stats
  const sure = log.sinceVerifiedMs
  return [
    ['Epoch', log.epoch === '' ? 'not loaded' : log.epoch],
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
