import type { State, Tick } from '../messages.ts'
import { Api } from './api.ts'
import { AuditPanel } from './audit-panel.ts'
import { byId } from './element.ts'
import { Feed } from './feed.ts'
import { Header } from './header.ts'
import { HealthPanel } from './health-panel.ts'
import { TrafficHistory, countsOf, sumOf } from './history.ts'
import { InvalidatePanel } from './invalidate-panel.ts'
import { InvalidationsPanel } from './invalidations-panel.ts'
import { LatencyChart } from './latency-chart.ts'
import { LookUpPanel } from './look-up-panel.ts'
import { ReasonsView } from './reasons-view.ts'
import { RouteBook } from './route-book.ts'
import { RouteDetails } from './route-details.ts'
import { RoutesPanel } from './routes-panel.ts'
import { TagsPanel } from './tags-panel.ts'
import { Tiles } from './tiles.ts'
import { TrafficCharts } from './traffic-chart.ts'

/** In the address of the page, so that it can be kept and handed on. */
const CACHE_PARAMETER = 'cache'

/** The page: what the server tells goes in, and is drawn when the page is looked at. */
class Page {
  readonly #api = new Api()
  readonly #book = new RouteBook()
  readonly #tiles = new Tiles()
  readonly #traffic = new TrafficCharts()
  readonly #latency = new LatencyChart(() => this.#schedule())
  readonly #reasons = new ReasonsView(byId('reasons', HTMLElement))
  readonly #details = new RouteDetails(this.#api)
  readonly #routes = new RoutesPanel((route) => void this.#details.open(route))
  readonly #invalidate = new InvalidatePanel(this.#api, () => void this.#tags.refresh())
  readonly #tags = new TagsPanel(this.#api, (by, value) => this.#invalidate.propose(by, value))
  readonly #lookUp = new LookUpPanel(this.#api, (by, value) => this.#invalidate.propose(by, value))
  readonly #audit = new AuditPanel(this.#api)
  readonly #invalidations = new InvalidationsPanel()
  readonly #health = new HealthPanel()
  readonly #header = new Header((cache) => this.#choose(cache))
  readonly #feed = new Feed({
    state: (state) => this.#begin(state),
    tick: (tick) => this.#take(tick),
    connection: (connection, detail) => this.#header.connection(connection, detail),
  })
  #history = new TrafficHistory()
  #state: State | undefined
  #tick: Tick | undefined
  #isScheduled = false

  start(): void {
    this.#open(new URLSearchParams(location.search).get(CACHE_PARAMETER) ?? undefined)
  }

  #open(cache: string | undefined): void {
    this.#api.cache = cache
    this.#feed.open(cache)
  }

  #choose(cache: string): void {
    history.replaceState(null, '', `?${new URLSearchParams({ [CACHE_PARAMETER]: cache })}`)
    this.#history = new TrafficHistory()
    this.#book.clear()
    this.#routes.clear()
    this.#audit.clear()
    this.#lookUp.clear()
    this.#invalidate.clear()
    this.#open(cache)
    void this.#tags.refresh()
  }

  /** After each connection: of the same process, or of another. */
  #begin(state: State): void {
    const before = this.#state
    this.#state = state
    this.#api.cache = state.cache
    this.#header.show(state)
    this.#history.cut()
    if (before !== undefined && !isSameProcess(before, state)) {
      this.#history.restart()
      this.#book.clear()
    }
    this.#take(state)
  }

  #take(tick: Tick): void {
    this.#tick = tick
    // Routes that nothing happens to are told only at first.
    if (this.#history.add(tick)) this.#book.clear()
    this.#book.add(tick.at, tick.stats.routes)
    this.#schedule()
  }

  /** No browser asks for frames of what is not looked at: nothing piles up in a hidden tab. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    requestAnimationFrame(() => {
      this.#isScheduled = false
      if (this.#state !== undefined && this.#tick !== undefined) this.#draw(this.#state, this.#tick)
    })
  }

  #draw(state: State, tick: Tick): void {
    this.#header.update(state, tick.at)
    this.#tiles.update(tick, this.#history)
    this.#traffic.update(this.#history, sumOf(countsOf(tick.stats)) > 0)
    this.#latency.update(this.#history)
    this.#reasons.update(tick.stats)
    this.#routes.update(this.#book)
    this.#invalidate.update(
      state.readOnly,
      this.#book.rows().map(({ route }) => route),
    )
    this.#invalidations.update(tick.invalidations, tick.at)
    this.#tags.update(tick.stats.log.seq, tick.at)
    this.#audit.update(tick)
    this.#health.update(tick)
  }
}

function isSameProcess({ process: one }: State, { process: other }: State): boolean {
  return one.startedAt === other.startedAt && one.pid === other.pid && one.host === other.host
}

new Page().start()
