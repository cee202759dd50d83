import { NOTHING, formatLatency, formatRate, formatShare, formatShortCount } from './format.ts'
import type { RouteRow } from './route-book.ts'
import type { SortKey } from './sorting.ts'

export interface RouteColumn {
  title: string
  /** What the title says in short. */
  hint?: string
  keyOf: (row: RouteRow) => SortKey
  textOf: (row: RouteRow) => string
}

type Counted = 'requests' | 'hits' | 'stale' | 'collapsed' | 'misses' | 'bypassed' | 'notStored'

function counted(title: string, name: Counted, hint: string): RouteColumn {
  return {
    title,
    hint,
    keyOf: (row) => row[name],
    textOf: (row) => (row[name] === 0 ? NOTHING : formatShortCount(row[name])),
  }
}

/** The columns of the table of routes, after the one that names the route. */
export const ROUTE_COLUMNS = {
  perSecond: {
    title: 'Req/s',
    hint: 'Requests per second, mean of the last ten ticks; the line is the last minute',
    keyOf: (row) => row.perSecond,
    textOf: (row) => formatRate(row.perSecond),
  },
  hitRate: {
    title: 'Hit rate',
    hint: 'Share of cacheable requests that needed no handler run of their own, since start',
    keyOf: (row) => row.hitRate,
    textOf: (row) => formatShare(row.hitRate),
  },
  requests: counted('Requests', 'requests', 'Since start'),
  hits: counted('Hits', 'hits', 'Answered from memory or Redis'),
  stale: counted('Stale', 'stale', 'Of the hits, those with a stale response'),
  collapsed: counted('Collapsed', 'collapsed', "Answered by another request's handler run"),
  misses: counted('Misses', 'misses', 'The handler had to run'),
  bypassed: counted('Bypassed', 'bypassed', 'Went around the cache'),
  notStored: counted('Not stored', 'notStored', 'Answers that could not be stored'),
  meanSeconds: {
    title: 'Handler',
    hint: 'Mean time of a miss',
    keyOf: (row) => row.meanSeconds,
    textOf: (row) => formatLatency(row.meanSeconds),
  },
  savedMs: {
    title: 'Saved',
    hint: 'Handler time that hits and collapsed requests did not need',
    keyOf: (row) => row.savedMs,
    textOf: (row) => (row.savedMs === 0 ? NOTHING : formatLatency(row.savedMs / 1000)),
  },
} satisfies Record<string, RouteColumn>

export type RouteColumnName = 'route' | keyof typeof ROUTE_COLUMNS

export function routeKey(column: RouteColumnName): (row: RouteRow) => SortKey {
  return column === 'route' ? ({ route }) => route : ROUTE_COLUMNS[column].keyOf
}
