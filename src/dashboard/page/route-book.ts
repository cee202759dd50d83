import type { RouteTick } from '../messages.ts'

/** One route, as the table shows it. */
export interface RouteRow {
  route: string
  requests: number
  /** Over the last seconds. */
  perSecond: number
  hitRate: number | undefined
  hits: number
  stale: number
  collapsed: number
  misses: number
  bypassed: number
  notStored: number
  /** Of the runs of its handler. */
  meanSeconds: number | undefined
  savedMs: number
  /** Requests per second, the latest last. */
  trend: readonly number[]
}

interface Course {
  tick: RouteTick
  trend: number[]
}

export const TREND_LENGTH = 60
const RECENT = 10

/** What is known of each route: a tick tells only of those that something happened to. */
export class RouteBook {
  readonly #courses = new Map<string, Course>()
  #at: number | undefined

  /** Counters begin anew, or another cache is looked at. */
  clear(): void {
    this.#courses.clear()
    this.#at = undefined
  }

  add(at: number, routes: Record<string, RouteTick>): void {
    const seconds = this.#at === undefined ? 0 : (at - this.#at) / 1000
    this.#at = at
    for (const [route, course] of this.#courses) {
      const tick = routes[route] ?? course.tick
      const change = requestsOf(tick) - requestsOf(course.tick)
      if (seconds > 0) push(course.trend, Math.max(0, change) / seconds)
      course.tick = tick
    }
    for (const [route, tick] of Object.entries(routes)) {
      if (this.#courses.has(route)) continue
      // Routes that appear later had no request before.
      const trend = seconds > 0 ? [requestsOf(tick) / seconds] : []
      this.#courses.set(route, { tick, trend })
    }
  }

  rows(): RouteRow[] {
    return [...this.#courses].map(([route, course]) => rowOf(route, course))
  }

  get size(): number {
    return this.#courses.size
  }
}

function push(trend: number[], rate: number): void {
  trend.push(rate)
  if (trend.length > TREND_LENGTH) trend.shift()
}

function requestsOf({ hits, collapsed, misses, bypassed }: RouteTick): number {
  return hits + collapsed + misses + bypassed
}

function rowOf(route: string, { tick, trend }: Course): RouteRow {
  const { hits, stale, collapsed, misses, bypassed, notStored, savedMs } = tick
  const served = hits + collapsed
  const recent = trend.slice(-RECENT)
  return {
    route,
    requests: requestsOf(tick),
    perSecond: recent.length === 0 ? 0 : recent.reduce((sum, rate) => sum + rate) / recent.length,
    hitRate: served + misses === 0 ? undefined : served / (served + misses),
    ...{ hits, stale, collapsed, misses, bypassed, notStored, savedMs },
    meanSeconds: tick.missCount === 0 ? undefined : tick.missSeconds / tick.missCount,
    trend,
  }
}
