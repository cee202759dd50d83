import type { Tick } from '../messages.ts'
import { type Histogram, added } from './distribution.ts'

/** What can become of a request, from the cheapest to what does not use the cache. */
export const OUTCOMES = ['memory', 'redis', 'collapsed', 'misses', 'bypassed'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Requests by outcome. */
export type Counts = Record<Outcome, number>

export type LatencyPath = keyof Tick['stats']['latency']

/** What this needs of a tick. */
export interface Counted {
  at: number
  stats: Pick<
    Tick['stats'],
    'hitsByTier' | 'collapsed' | 'misses' | 'bypassed' | 'savedMs' | 'latency'
  >
}

/** What charts need of it: counters as they stood. */
interface Snapshot {
  at: number
  counts: Counts
  savedMs: number
  latency: Record<LatencyPath, Histogram>
  /** Counters can be compared within one life: since the process, or its counting, began. */
  life: number
  /** Whether it follows the one before it without a gap. */
  isJoined: boolean
}

/** What happened over some time. */
export interface Span {
  seconds: number
  counts: Counts
  savedMs: number
}

/** As columns, one value for each instant; null where it is not known. */
export interface Columns {
  /** Seconds since the epoch. */
  at: number[]
  rates: Record<Outcome, (number | null)[]>
  hitRate: (number | null)[]
}

export const HISTORY_MS = 5 * 60_000
/** However fast ticks come. */
const MAX_SNAPSHOTS = 1500
/** Ticks of the shortest interval are farther apart. */
const MIN_STEP_MS = 200
/** A share of few requests jumps: it is that of so long before. */
const HIT_RATE_WINDOW_MS = 10_000

export function countsOf({ hitsByTier, collapsed, misses, bypassed }: Counted['stats']): Counts {
  return { memory: hitsByTier.memory, redis: hitsByTier.redis, collapsed, misses, bypassed }
}

/** The share of cacheable requests that needed no handler run of their own; undefined: none was. */
export function hitRateOf({ memory, redis, collapsed, misses }: Counts): number | undefined {
  const served = memory + redis + collapsed
  return served + misses === 0 ? undefined : served / (served + misses)
}

export function sumOf(counts: Counts): number {
  return OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0)
}

function between(later: Counts, earlier: Counts): Counts {
  const change = { ...later }
  for (const outcome of OUTCOMES) change[outcome] -= earlier[outcome]
  return change
}

/** The last five minutes, out of counters that only grow, until they begin anew. */
export class TrafficHistory {
  readonly #snapshots: Snapshot[] = []
  #isCut = true
  #life = 0

  /** What comes next does not follow what came last: the line is broken there. */
  cut(): void {
    this.#isCut = true
  }

  /** Counters begin anew. */
  restart(): void {
    this.#isCut = true
    this.#life++
  }

  /** Takes what stands now; true when the counters went back, so they began anew. */
  add({ at, stats }: Counted): boolean {
    const counts = countsOf(stats)
    const last = this.#snapshots.at(-1)
    const isSame = last !== undefined && last.life === this.#life
    const wentBack = isSame && OUTCOMES.some((name) => counts[name] < last.counts[name])
    if (wentBack) this.#life++
    // The first tick may come right after the state: rates of next to no time say nothing.
    else if (isSame && !this.#isCut && at >= last.at && at - last.at < MIN_STEP_MS) return false
    this.#snapshots.push({
      at,
      counts,
      savedMs: stats.savedMs,
      latency: stats.latency,
      life: this.#life,
      isJoined: isSame && !wentBack && !this.#isCut && at > last.at,
    })
    this.#isCut = false
    this.#forget(at)
    return wentBack
  }

  #forget(now: number): void {
    const first = this.#snapshots.findIndex(({ at }) => at >= now - HISTORY_MS && at <= now)
    const surplus = this.#snapshots.length - MAX_SNAPSHOTS
    this.#snapshots.splice(0, Math.max(first, surplus, 0))
  }

  /** What happened within the last milliseconds, as far back as counters can be compared. */
  recent(windowMs: number): Span | undefined {
    const last = this.#snapshots.at(-1)
    if (last === undefined) return undefined
    const base = this.#baseOf(this.#snapshots.length - 1, windowMs)
    if (base.at >= last.at) return undefined
    return {
      seconds: (last.at - base.at) / 1000,
      counts: between(last.counts, base.counts),
      savedMs: last.savedMs - base.savedMs,
    }
  }

  /** Latencies of the last milliseconds; without a limit, since the counters began. */
  latencies(windowMs: number): Record<LatencyPath, Histogram> | undefined {
    const last = this.#snapshots.at(-1)
    if (last === undefined || windowMs === Infinity) return last?.latency
    const base = this.#baseOf(this.#snapshots.length - 1, windowMs)
    return {
      memory: added(last.latency.memory, base.latency.memory),
      redis: added(last.latency.redis, base.latency.redis),
      collapsed: added(last.latency.collapsed, base.latency.collapsed),
      miss: added(last.latency.miss, base.latency.miss),
    }
  }

  /** The earliest one within the window before an index, at least the one before; of the same life. */
  #baseOf(index: number, windowMs: number): Snapshot {
    const last = this.#snapshots[index]!
    let base = last
    for (let before = index - 1; before >= 0; before--) {
      const snapshot = this.#snapshots[before]!
      if (snapshot.life !== last.life) break
      if (snapshot.at < last.at - windowMs && base !== last) break
      base = snapshot
    }
    return base
  }

  columns(): Columns {
    const columns: Columns = {
      at: [],
      rates: { memory: [], redis: [], collapsed: [], misses: [], bypassed: [] },
      hitRate: [],
    }
    this.#snapshots.forEach((snapshot, index) => {
      const before = this.#snapshots[index - 1]
      columns.at.push(snapshot.at / 1000)
      const isKnown = snapshot.isJoined && before !== undefined
      const seconds = isKnown ? (snapshot.at - before.at) / 1000 : 0
      for (const outcome of OUTCOMES) {
        const rate = isKnown ? (snapshot.counts[outcome] - before.counts[outcome]) / seconds : null
        columns.rates[outcome].push(rate)
      }
      columns.hitRate.push(isKnown ? this.#hitRateAt(index) : null)
    })
    return columns
  }

  #hitRateAt(index: number): number | null {
    const base = this.#baseOf(index, HIT_RATE_WINDOW_MS)
    return hitRateOf(between(this.#snapshots[index]!.counts, base.counts)) ?? null
  }
}
