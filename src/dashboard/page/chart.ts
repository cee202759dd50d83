import { type Palette, onSchemeChange, readPalette } from './palette.ts'
import uPlot from './uplot.js'

export type Plan = Omit<uPlot.Options, 'width' | 'height'>

/** A chart as wide as its box, in the colours of the page, also when these change. */
export class Chart {
  readonly #host: HTMLElement
  readonly #plan: (palette: Palette) => Plan
  #plot: uPlot
  #data: uPlot.AlignedData

  constructor(host: HTMLElement, empty: uPlot.AlignedData, plan: (palette: Palette) => Plan) {
    this.#host = host
    this.#plan = plan
    this.#data = empty
    this.#plot = this.#draw()
    new ResizeObserver(() => this.#resize()).observe(host)
    onSchemeChange(() => {
      this.#plot.destroy()
      this.#plot = this.#draw()
    })
  }

  show(data: uPlot.AlignedData): void {
    this.#data = data
    this.#plot.setData(data)
  }

  #draw(): uPlot {
    const options = { ...this.#plan(readPalette()), ...this.#size() }
    return new uPlot(options, this.#data, this.#host)
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(this.#host.clientWidth, 100), height: this.#host.clientHeight }
  }

  #resize(): void {
    const { width, height } = this.#size()
    if (width !== this.#plot.width || height !== this.#plot.height) {
      this.#plot.setSize({ width, height })
    }
  }
}

/** An axis that keeps in the background. */
export function axis(palette: Palette, more: uPlot.Axis): uPlot.Axis {
  return {
    stroke: palette.muted,
    font: '11px system-ui, sans-serif',
    ticks: { show: false },
    grid: { stroke: palette.grid, width: 1 },
    gap: 6,
    ...more,
  }
}

/** Time from left to right: at least a minute, up to what is kept. */
export function timeScale(): uPlot.Scale {
  return {
    time: true,
    range: (_plot, first, last) => {
      const end = last ?? 0
      return [Math.min(first ?? end, end - 60), end]
    },
  }
}

export function timeAxis(palette: Palette): uPlot.Axis {
  return axis(palette, {
    size: 26,
    space: 64,
    incrs: [1, 2, 5, 10, 15, 30, 60, 120, 300],
    grid: { show: false },
    values: (_plot, splits) => splits.map((at) => clock(at)),
  })
}

function clock(at: number): string {
  const date = new Date(at * 1000)
  const parts = [date.getHours(), date.getMinutes(), date.getSeconds()]
  return parts.map((part) => String(part).padStart(2, '0')).join(':')
}

/** Charts of one key show their cursors at the same instant. */
export function cursor(key?: string): uPlot.Cursor {
  const shown = { y: false, drag: { x: false, y: false }, points: { size: 6 } }
  return key === undefined ? shown : { ...shown, sync: { key } }
}
