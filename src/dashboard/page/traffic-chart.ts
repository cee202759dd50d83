import { type Plan, Chart, axis, cursor, timeAxis, timeScale } from './chart.ts'
import { byId, setText } from './element.ts'
import { formatRate, formatShare } from './format.ts'
import { type Columns, OUTCOMES, type Outcome, type TrafficHistory, sumOf } from './history.ts'
import { Legend } from './legend.ts'
import type { Palette } from './palette.ts'
import type uPlot from './uplot.js'

const LABELS: Record<Outcome, string> = {
  memory: 'Memory hit',
  redis: 'Redis hit',
  collapsed: 'Collapsed',
  misses: 'Miss',
  bypassed: 'Bypass',
}
const SYNC = 'time'
const CALM_MS = 3000

/** Requests per second, one outcome on top of the other; beside it the hit rate. */
export class TrafficCharts {
  readonly #traffic: Chart
  readonly #hitRate: Chart
  readonly #legend = new Legend(byId('traffic-legend', HTMLUListElement), LABELS)
  readonly #rate = new Legend(byId('hit-rate-legend', HTMLUListElement), { memory: 'Hit rate' })
  readonly #total = byId('traffic-total', HTMLElement)
  readonly #empty = byId('traffic-empty', HTMLElement)
  #columns: Columns = noColumns()
  #history: TrafficHistory | undefined
  /** Where the pointer is; null: nowhere. */
  #pointed: number | null = null

  constructor() {
    const point = (plot: uPlot): void => this.#point(plot.cursor.idx ?? null)
    this.#traffic = new Chart(
      byId('traffic-chart', HTMLElement),
      stacked(this.#columns),
      (palette) => trafficPlan(palette, point),
    )
    this.#hitRate = new Chart(byId('hit-rate-chart', HTMLElement), [[], []], (palette) =>
      hitRatePlan(palette, point),
    )
  }

  update(history: TrafficHistory, hasTraffic: boolean): void {
    this.#history = history
    this.#columns = history.columns()
    this.#traffic.show(stacked(this.#columns))
    this.#hitRate.show([this.#columns.at, this.#columns.hitRate])
    this.#empty.hidden = hasTraffic
    this.#tell()
  }

  #point(index: number | null): void {
    if (index === this.#pointed) return
    this.#pointed = index
    this.#tell()
  }

  /** In the legend: what is under the pointer, else how it is now. */
  #tell(): void {
    const { rates, hitRate } = this.#columns
    const recent = this.#history?.recent(CALM_MS)
    const index = this.#pointed
    for (const outcome of OUTCOMES) {
      const now = recent && recent.counts[outcome] / recent.seconds
      const rate = index === null ? now : (rates[outcome][index] ?? undefined)
      this.#legend.show(outcome, formatRate(rate))
    }
    const share = hitRate[index ?? hitRate.length - 1] ?? undefined
    this.#rate.show('memory', formatShare(share))
    const perSecond = recent && sumOf(recent.counts) / recent.seconds
    setText(this.#total, perSecond === undefined ? '' : `${formatRate(perSecond)} in all`)
  }
}

function noColumns(): Columns {
  return {
    at: [],
    rates: { memory: [], redis: [], collapsed: [], misses: [], bypassed: [] },
    hitRate: [],
  }
}

/** Drawn last is what lies at the bottom: where a layer has no height, its line is not on top. */
const LAYERS = OUTCOMES.toReversed()

/** Each outcome with all below it; the whole first. */
function stacked({ at, rates }: Columns): uPlot.AlignedData {
  const sums = at.map(() => 0)
  const layers = OUTCOMES.map((outcome) =>
    rates[outcome].map((rate, index) => (rate === null ? null : (sums[index]! += rate))),
  )
  return [at, ...layers.toReversed()]
}

type Pointing = (plot: uPlot) => void

function trafficPlan(palette: Palette, point: Pointing): Plan {
  return {
    legend: { show: false },
    cursor: cursor(SYNC),
    padding: [8, 24, 0, 0],
    scales: {
      x: timeScale(),
      y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
    },
    axes: [
      timeAxis(palette),
      axis(palette, { size: 46, values: (_plot, splits) => splits.map(formatRate) }),
    ],
    series: [
      {},
      ...LAYERS.map((outcome) => ({
        stroke: palette[outcome],
        fill: `${palette[outcome]}${FILL}`,
        width: 1.25,
        points: { show: false },
      })),
    ],
    bands: [1, 2, 3, 4].map((upper) => ({ series: [upper, upper + 1] as [number, number] })),
    hooks: { setCursor: [point] },
  }
}

/** Alpha of areas, in hexadecimal. */
const FILL = '66'

function hitRatePlan(palette: Palette, point: Pointing): Plan {
  return {
    legend: { show: false },
    cursor: cursor(SYNC),
    padding: [8, 24, 0, 0],
    scales: { x: timeScale(), y: { range: [0, 1] } },
    axes: [
      timeAxis(palette),
      axis(palette, {
        size: 46,
        splits: [0, 0.25, 0.5, 0.75, 1],
        values: (_plot, splits) => splits.map((share) => `${share * 100}%`),
      }),
    ],
    series: [
      {},
      {
        stroke: palette.memory,
        fill: `${palette.memory}22`,
        width: 2,
        points: { show: false },
      },
    ],
    hooks: { setCursor: [point] },
  }
}
