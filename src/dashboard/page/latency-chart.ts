import { type Plan, Chart, axis, cursor } from './chart.ts'
import { type Histogram, edgesOf, occupied, quantile, sharesOf, together } from './distribution.ts'
import { byId } from './element.ts'
import { formatLatency, formatShare } from './format.ts'
import type { TrafficHistory } from './history.ts'
import { Legend } from './legend.ts'
import type { Palette } from './palette.ts'
import uPlot from './uplot.js'

const LABELS = { memory: 'Hit', misses: 'Miss' }

/** How long hits take, and how long misses: the share of requests in each bucket. */
export class LatencyChart {
  readonly #chart = new Chart(
    byId('latency-chart', HTMLElement),
    [
      [1e-5, 1],
      [0, 0],
      [0, 0],
    ],
    plan,
  )
  readonly #legend = new Legend(byId('latency-legend', HTMLUListElement), LABELS)
  readonly #window = byId('latency-window', HTMLSelectElement)
  readonly #empty = byId('latency-empty', HTMLElement)

  constructor(update: () => void) {
    this.#window.addEventListener('change', update)
  }

  update(history: TrafficHistory): void {
    const latency = history.latencies(Number(this.#window.value))
    if (latency === undefined) return
    const hit = together([latency.memory, latency.redis])
    const range = occupied([hit, latency.miss])
    this.#empty.hidden = range !== undefined
    this.#legend.show('memory', quantiles(hit))
    this.#legend.show('misses', quantiles(latency.miss))
    if (range !== undefined) this.#chart.show(steps(hit, latency.miss, range))
  }
}

function quantiles(histogram: Histogram): string {
  const [p50, p99] = [quantile(histogram, 0.5), quantile(histogram, 0.99)]
  return p50 === undefined ? '–' : `p50 ${formatLatency(p50)}, p99 ${formatLatency(p99)}`
}

/** From one bucket before the first that has something to one after the last. */
function steps(
  hit: Histogram,
  miss: Histogram,
  [first, last]: [number, number],
): uPlot.AlignedData {
  const edges = edgesOf(hit.bounds)
  const from = Math.max(0, first - 1)
  const to = Math.min(edges.length - 1, last + 2)
  // The height of a bucket counts from its lower edge; at the last edge nothing begins.
  const heights = (histogram: Histogram): number[] =>
    [...sharesOf(histogram), 0].slice(from, to + 1)
  return [edges.slice(from, to + 1), heights(hit), heights(miss)]
}

const LABEL_WIDTH = 52
const DECADES = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10]

/** As many powers of ten as there is room for. */
function decades({ width }: uPlot, _axis: number, min: number, max: number): number[] {
  const within = DECADES.filter((at) => at >= min && at <= max)
  const every = Math.ceil((within.length * LABEL_WIDTH) / width)
  return within.filter((_at, index) => index % every === 0)
}

function plan(palette: Palette): Plan {
  const paths = uPlot.paths.stepped!({ align: 1 })
  const series = (colour: string): uPlot.Series => ({
    stroke: colour,
    fill: `${colour}40`,
    width: 1.5,
    paths,
    points: { show: false },
  })
  return {
    legend: { show: false },
    cursor: { ...cursor(), points: { show: false } },
    padding: [8, 20, 0, 0],
    scales: {
      x: {
        time: false,
        // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum is in the types alone
        distr: 3,
        log: 10,
        range: (_plot, least, most) => [least ?? 1e-5, most ?? 1],
      },
      y: { range: (_plot, _least, most) => [0, Math.min(1.05, Math.max(0.1, (most ?? 0) * 1.1))] },
    },
    axes: [
      axis(palette, {
        size: 26,
        splits: decades,
        filter: (_plot, splits) => splits,
        values: (_plot, splits) => splits.map(formatLatency),
      }),
      axis(palette, { size: 46, values: (_plot, splits) => splits.map(formatShare) }),
    ],
    series: [{}, series(palette.memory), series(palette.misses)],
  }
}
