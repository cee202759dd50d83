import type { Tick } from '../messages.ts'
import { byId, element, setAttribute, setText } from './element.ts'
import {
  NOTHING,
  formatBytes,
  formatCount,
  formatLatency,
  formatRate,
  formatShare,
  formatSpan,
} from './format.ts'
import { type Span, type TrafficHistory, countsOf, hitRateOf, sumOf } from './history.ts'

/** Whether somebody should look. */
type Level = 'fine' | 'warn' | 'bad'

interface Tile {
  label: string
  value: string
  detail: string
  level?: Level
}

const MINUTE_MS = 60_000
const CALM_MS = 10_000

/** The figures that an operator looks at first. */
export class Tiles {
  readonly #list = byId('tiles', HTMLDListElement)
  readonly #shown = new Map<string, { box: Element; value: Element; detail: Element }>()

  update({ stats }: Tick, history: TrafficHistory): void {
    const recent = history.recent(CALM_MS)
    const tiles = [...trafficTiles(stats, history, recent), ...stateTiles(stats)]
    for (const tile of tiles) this.#show(tile)
  }

  #show({ label, value, detail, level = 'fine' }: Tile): void {
    const shown = this.#shown.get(label) ?? this.#build(label)
    setText(shown.value, value)
    setText(shown.detail, detail)
    setAttribute(shown.box, 'data-level', level)
  }

  #build(label: string): { box: Element; value: Element; detail: Element } {
    const value = element('dd', { class: 'value' })
    const detail = element('dd', { class: 'detail' })
    const box = element('div', { class: 'tile' }, element('dt', { text: label }), value, detail)
    this.#list.append(box)
    const built = { box, value, detail }
    this.#shown.set(label, built)
    return built
  }
}

function trafficTiles(
  stats: Tick['stats'],
  history: TrafficHistory,
  recent: Span | undefined,
): Tile[] {
  const minute = history.recent(MINUTE_MS)
  const total = hitRateOf(countsOf(stats))
  const seconds = recent?.seconds ?? 1
  const perSecond = (count: number | undefined): string =>
    formatRate(count === undefined ? undefined : count / seconds)
  const saved = recent && recent.savedMs / 1000 / seconds
  return [
    {
      label: 'Hit rate',
      value: formatShare((minute && hitRateOf(minute.counts)) ?? total),
      detail:
        total === undefined
          ? 'no cacheable request yet'
          : `last minute · ${formatShare(total)} since start`,
    },
    {
      label: 'Requests',
      value: `${perSecond(recent && sumOf(recent.counts))}/s`,
      detail: `${formatCount(sumOf(countsOf(stats)))} since start`,
    },
    {
      label: 'Misses',
      value: `${perSecond(recent?.counts.misses)}/s`,
      detail: missDetail(stats),
    },
    {
      label: 'Handler time saved',
      value: formatSpan(stats.savedMs),
      detail: saved === undefined ? '' : `${formatLatency(saved)} each second`,
    },
  ]
}

function missDetail({ latency: { miss } }: Tick['stats']): string {
  return miss.count === 0
    ? 'none measured'
    : `${formatLatency(miss.sum / miss.count)} each, on average`
}

function stateTiles({
  log,
  redis,
  memory,
  pendingInvalidations,
  stalenessBoundMs,
}: Tick['stats']): Tile[] {
  const sure = log.sinceVerifiedMs
  return [
    {
      label: 'Memory',
      value: memory === undefined ? 'off' : formatBytes(memory.bytes),
      detail: memory === undefined ? 'memory: false' : `${formatCount(memory.entries)} entries`,
    },
    {
      label: 'Log position',
      value: formatCount(log.seq),
      detail: logDetail(log.verified, redis === undefined ? undefined : sure),
      level: log.verified ? 'fine' : 'bad',
    },
    {
      label: 'Pending invalidations',
      value: formatCount(pendingInvalidations),
      detail: pendingInvalidations === 0 ? 'all confirmed' : 'Redis has not confirmed them',
      level: pendingInvalidations === 0 ? 'fine' : 'warn',
    },
    breakerTile(redis),
    {
      label: 'Staleness bound',
      value: stalenessBoundMs === 0 ? '0 s' : formatLatency(stalenessBoundMs / 1000),
      detail: stalenessBoundMs === 0 ? 'this process decides alone' : 'at most behind a write',
    },
  ]
}

function logDetail(isVerified: boolean, sinceMs: number | undefined): string {
  if (!isVerified) return 'not verified: hits ask Redis'
  return sinceMs === undefined ? 'verified' : `verified ${formatLatency(sinceMs / 1000)} ago`
}

function breakerTile(redis: Tick['stats']['redis']): Tile {
  if (redis === undefined) return { label: 'Redis', value: NOTHING, detail: 'memory only' }
  const { breaker } = redis
  const details = {
    closed: 'answers in time',
    open: 'is not asked: misses',
    'half-open': 'is tried again',
  }
  const level = breaker === 'closed' ? 'fine' : breaker === 'open' ? 'bad' : 'warn'
  return {
    label: 'Redis',
    value: breaker === 'closed' ? 'up' : breaker,
    detail: `${details[breaker]} · breaker ${breaker}`,
    level,
  }
}
