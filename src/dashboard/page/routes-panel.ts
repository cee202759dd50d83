import { button, byId, element, setAttribute, setText, svgElement } from './element.ts'
import { formatCount, plural } from './format.ts'
import type { RouteBook, RouteRow } from './route-book.ts'
import { ROUTE_COLUMNS, type RouteColumn, type RouteColumnName, routeKey } from './route-columns.ts'
import { type Order, nextOrder, sorted } from './sorting.ts'
import { areaPath, linePath } from './sparkline.ts'

const SPARK_WIDTH = 72
const SPARK_HEIGHT = 20
/** More than these only when asked: a page of thousands of rows is of no use. */
const FIRST_ROWS = 25
/** Rows that move under the pointer cannot be pressed. */
const REORDER_MS = 3000
const BUSY_MS = 15_000

const COLUMNS: [RouteColumnName, RouteColumn][] = Object.entries(ROUTE_COLUMNS) as []

interface ShownRow {
  line: HTMLTableRowElement
  cells: Element[]
  spark: { line: Element; area: Element }
}

/** The table of routes: sorted by any column, filtered, each row with its last minute. */
export class RoutesPanel {
  readonly #heads = new Map<RouteColumnName, HTMLTableCellElement>()
  readonly #body = element('tbody')
  readonly #table = byId('routes-table', HTMLTableElement)
  readonly #filter = byId('routes-filter', HTMLInputElement)
  readonly #more = byId('routes-more', HTMLButtonElement)
  readonly #note = byId('routes-note', HTMLElement)
  readonly #empty = byId('routes-empty', HTMLElement)
  readonly #rows = new Map<string, ShownRow>()
  readonly #open: (route: string) => void
  #book: RouteBook | undefined
  #order: Order<RouteColumnName> = { column: 'requests', direction: 'descending' }
  #orderedAt = 0
  #shown: string[] = []
  #showsAll = false

  constructor(open: (route: string) => void) {
    this.#open = open
    this.#head()
    this.#filter.addEventListener('input', () => this.#again())
    this.#more.addEventListener('click', () => {
      this.#showsAll = !this.#showsAll
      this.#again()
    })
  }

  #head(): void {
    const line = element('tr', {}, this.#headCell('route', { title: 'Route' }))
    for (const [name, column] of COLUMNS) line.append(this.#headCell(name, column))
    this.#table.append(element('thead', {}, line), this.#body)
  }

  #headCell(name: RouteColumnName, { title, hint }: { title: string; hint?: string }): Element {
    const press = button(
      title,
      () => {
        this.#order = nextOrder(this.#order, name, name === 'route')
        this.#again()
      },
      { title: hint },
    )
    const cell = element('th', { scope: 'col' }, press)
    this.#heads.set(name, cell)
    return cell
  }

  /** What the user asked for is done at once. */
  #again(): void {
    this.#orderedAt = 0
    if (this.#book !== undefined) this.update(this.#book)
  }

  clear(): void {
    this.#rows.clear()
    this.#body.replaceChildren()
    this.#shown = []
  }

  update(book: RouteBook): void {
    this.#book = book
    const rows = new Map(book.rows().map((row) => [row.route, row]))
    this.#reorder(rows)
    for (const route of this.#shown) {
      const row = rows.get(route)
      if (row !== undefined) showRow(this.#rowOf(route), row)
    }
    this.#empty.hidden = book.size > 0
    this.#table.hidden = book.size === 0
  }

  #reorder(rows: ReadonlyMap<string, RouteRow>): void {
    const now = performance.now()
    const isBusy = this.#body.matches(':hover') || this.#body.contains(document.activeElement)
    const patienceMs = isBusy ? BUSY_MS : REORDER_MS
    if (this.#orderedAt !== 0 && now - this.#orderedAt < patienceMs) return
    this.#orderedAt = now
    const text = this.#filter.value.trim().toLowerCase()
    const fitting = [...rows.values()].filter(({ route }) => route.toLowerCase().includes(text))
    const ordered = sorted(fitting, routeKey(this.#order.column), this.#order.direction)
    const wanted = this.#showsAll ? ordered : ordered.slice(0, FIRST_ROWS)
    this.#place(wanted.map(({ route }) => route))
    this.#tellOrder(fitting.length, rows.size)
  }

  #place(routes: string[]): void {
    if (
      routes.length === this.#shown.length &&
      routes.every((route, i) => route === this.#shown[i])
    ) {
      return
    }
    this.#shown = routes
    const focused = document.activeElement
    this.#body.replaceChildren(...routes.map((route) => this.#rowOf(route).line))
    if (focused instanceof HTMLElement && this.#body.contains(focused)) {
      focused.focus({ preventScroll: true })
    }
  }

  #tellOrder(fitting: number, all: number): void {
    for (const [name, cell] of this.#heads) {
      const isSorted = name === this.#order.column
      if (isSorted) setAttribute(cell, 'aria-sort', this.#order.direction)
      else cell.removeAttribute('aria-sort')
    }
    setText(
      this.#note,
      fitting === all ? plural(all, 'route') : `${fitting} of ${plural(all, 'route')}`,
    )
    this.#more.hidden = fitting <= FIRST_ROWS
    const label = this.#showsAll
      ? `Show the first ${FIRST_ROWS}`
      : `Show all ${formatCount(fitting)}`
    setText(this.#more, label)
  }

  #rowOf(route: string): ShownRow {
    const known = this.#rows.get(route)
    if (known !== undefined) return known
    const open = button(route, () => this.#open(route), {
      class: 'link',
      'aria-haspopup': 'dialog',
    })
    const line = element('tr', {}, element('th', { scope: 'row' }, open))
    const spark = {
      line: svgElement('path', { class: 'spark-line' }),
      area: svgElement('path', { class: 'spark-area' }),
    }
    const cells = COLUMNS.map(([name]) => {
      const text = element('span')
      const cell =
        name === 'perSecond'
          ? element('td', { class: 'trend' }, sparkline(spark), text)
          : element('td', {}, text)
      line.append(cell)
      return text
    })
    const built = { line, cells, spark }
    this.#rows.set(route, built)
    return built
  }
}

function sparkline({ line, area }: ShownRow['spark']): SVGSVGElement {
  const viewBox = `0 -1 ${SPARK_WIDTH} ${SPARK_HEIGHT + 2}`
  return svgElement('svg', { class: 'spark', viewBox, 'aria-hidden': 'true' }, area, line)
}

function showRow({ cells, spark }: ShownRow, row: RouteRow): void {
  COLUMNS.forEach(([, { textOf }], index) => setText(cells[index]!, textOf(row)))
  setAttribute(spark.line, 'd', linePath(row.trend, SPARK_WIDTH, SPARK_HEIGHT))
  setAttribute(spark.area, 'd', areaPath(row.trend, SPARK_WIDTH, SPARK_HEIGHT))
}
