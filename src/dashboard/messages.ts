import type { AuditStats } from '../audit.ts'
import type { Explanation } from '../explanation.ts'
import type { Inspection } from '../inspection.ts'
import type { InvalidationMode } from '../invalidation/log.ts'
import type { InvalidationPreview, InvalidationSeen, ProcessState, TagState } from '../oversight.ts'
import type { RouteFigures, RouteState, Totals } from '../stats.ts'

/*
 * What the page and its server say to each other, as JSON. Paths are relative to the page:
 *
 *   GET  api/state?cache=NAME        State
 *   GET  api/events?cache=NAME       Server-Sent Events: `state` once, then a `tick` each second
 *   GET  api/tags?cache=NAME&q=TEXT  TagState[]
 *   GET  api/route?cache=NAME&route=PATTERN   RouteState: reasons and histograms of one route
 *   GET  api/audit?cache=NAME        AuditStats: what the staleness audit found, where it is on
 *   POST api/explain                 ExplainRequest    → Explanation
 *   POST api/entry                   EntryRequest      → Entry[]
 *   POST api/preview                 InvalidateRequest → InvalidationPreview
 *   POST api/invalidate              InvalidateRequest → Invalidated
 *
 * Whatever is refused answers with Problem and a status of 400 or more.
 */

/** All there is to know at first. */
export interface State extends Tick {
  /** The caches that can be chosen, and the one that this is about. */
  caches: string[]
  cache: string
  /** Of this package. */
  version: string
  /** This process. */
  process: { pid: number; host: string; node: string; startedAt: number }
  /** Whether POST api/invalidate is allowed here. */
  readOnly: boolean
}

/** How it stands. Counters are since the start of the process: rates are differences. */
export interface Tick {
  /** Epoch milliseconds. */
  at: number
  /** In a `tick` without the routes that nothing happened to since the last one. */
  stats: TickStats
  /** The last ones that this process has seen, the newest first. */
  invalidations: InvalidationSeen[]
  processes: ProcessState[]
  /** Counts of the staleness audit, where it is on. */
  audit?: AuditTick
}

export type AuditTick = Pick<AuditStats, 'checked' | 'same' | 'different' | 'failed'>

export type TickStats = Omit<Totals, 'ageAtHit'> & {
  routes: Record<string, RouteTick>
}

export type RouteTick = RouteFigures

export interface CacheRequest {
  /** One of `State.caches`; left out, the first. */
  cache?: string
}

export interface ExplainRequest extends CacheRequest {
  method?: string
  /** A URL or a path. */
  url: string
  headers?: Record<string, string>
}

export interface EntryRequest extends ExplainRequest {
  /** Include what is stored. */
  body?: boolean
}

export interface Entry extends Omit<Inspection, 'body'> {
  /** Field names and values as they are replayed; of `set-cookie` the names of cookies alone. */
  headers: [name: string, value: string][]
  /** As text where it is text, else in base64; at most 64 KiB of it. */
  body?: { text: string; encoding: 'utf8' | 'base64'; truncated: boolean }
}

export interface InvalidateRequest extends CacheRequest {
  by: 'tag' | 'url' | 'route' | 'pattern'
  value: string
  mode?: InvalidationMode
}

export interface Invalidated {
  /** The position in the log after it. */
  seq: number
}

export interface Problem {
  statusCode: number
  error: string
  message: string
}

export type {
  AuditStats,
  Explanation,
  InvalidationPreview,
  InvalidationSeen,
  ProcessState,
  RouteState,
  TagState,
}
