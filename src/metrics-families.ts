import type { AuditStats } from './audit.ts'
import type { Stats } from './stats.ts'

export type Labels = Record<string, string>
export type Sample = readonly [labels: Labels, value: number]

/** A metric: what it is called after the prefix, and what of `stats()` it tells. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly samples: (stats: Stats) => Sample[]
}

type RouteOf = Stats['routes'][string]

/** Of each route; its pattern is a label, and never a URL. */
function byRoute(read: (route: RouteOf) => Sample[]): Family['samples'] {
  return ({ routes }) =>
    Object.entries(routes).flatMap(([route, state]) =>
      read(state).map(([labels, value]): Sample => [{ route, ...labels }, value]),
    )
}

/** A count by name as samples with that label. */
function named(label: string, counts: Readonly<Record<string, number | undefined>>): Sample[] {
  return Object.entries(counts).map(([name, count]): Sample => [{ [label]: name }, count ?? 0])
}

const one = (value: number | undefined): Sample[] => (value === undefined ? [] : [[{}, value]])

function auditResults({ same, different, failed, skipped }: AuditStats): Record<string, number> {
  const skips = Object.values(skipped).reduce((sum, count) => sum + count, 0)
  return { same, different, failed, skipped: skips }
}

const BREAKER_STATES = ['closed', 'half-open', 'open'] as const

export const COUNTERS: readonly Family[] = [
  {
    name: 'requests_total',
    help: 'Requests of cached routes, each counted once.',
    labels: ['route', 'result'],
    samples: byRoute(({ hits, stale, collapsed, misses, bypassed }) =>
      named('result', { hit: hits - stale, stale, collapsed, miss: misses, bypass: bypassed }),
    ),
  },
  {
    name: 'hits_total',
    help: 'Requests answered from a store, stale ones among them.',
    labels: ['route', 'tier'],
    samples: byRoute(({ hitsByTier }) => named('tier', hitsByTier)),
  },
  {
    name: 'misses_total',
    help: 'Requests for which the handler had to run.',
    labels: ['route', 'reason'],
    samples: byRoute(({ missesByReason }) => named('reason', missesByReason)),
  },
  {
    name: 'bypasses_total',
    help: 'Requests that went around the cache.',
    labels: ['route', 'reason'],
    samples: byRoute(({ bypassedByReason }) => named('reason', bypassedByReason)),
  },
  {
    name: 'revalidations_total',
    help: 'Misses in which the handler confirmed what was stored.',
    labels: ['route'],
    samples: byRoute(({ revalidated }) => one(revalidated)),
  },
  {
    name: 'stored_total',
    help: 'Misses whose answer was stored.',
    labels: ['route'],
    samples: byRoute(({ stored }) => one(stored)),
  },
  {
    name: 'not_stored_total',
    help: 'Misses whose answer was not stored.',
    labels: ['route', 'reason'],
    samples: byRoute(({ notStoredByReason }) => named('reason', notStoredByReason)),
  },
  {
    name: 'served_bytes_total',
    help: 'Bytes of stored bodies that were answers.',
    labels: ['route'],
    samples: byRoute(({ bytesServed }) => one(bytesServed)),
  },
  {
    name: 'saved_seconds_total',
    help: 'Time that handlers did not have to run.',
    labels: ['route'],
    samples: byRoute(({ savedMs }) => one(savedMs / 1000)),
  },
  {
    name: 'value_operations_total',
    help: 'Hits, misses and sets of the client’s values.',
    labels: ['operation'],
    samples: ({ values: { hits, misses, sets } }) =>
      named('operation', { hit: hits, miss: misses, set: sets }),
  },
  {
    name: 'audits_total',
    help: 'Hits that were drawn to be computed once more, with the option audit.',
    labels: ['result'],
    samples: ({ audit }) => (audit === undefined ? [] : named('result', auditResults(audit))),
  },
  {
    name: 'failures_total',
    help: 'Operations on Redis that failed or came too late, and other trouble.',
    labels: ['operation'],
    samples: ({ failures }) => named('operation', failures),
  },
]

export const GAUGES: readonly Family[] = [
  {
    name: 'coalescing_suspended',
    help: '1 where nobody waits for the run of another, as nearly nothing may be shared.',
    labels: ['route'],
    samples: byRoute(({ coalescing }) => one(Number(coalescing === 'suspended'))),
  },
  {
    name: 'memory_bytes',
    help: 'Bytes in memory.',
    labels: [],
    samples: ({ memory }) => one(memory?.bytes),
  },
  {
    name: 'memory_entries',
    help: 'Entries in memory.',
    labels: [],
    samples: ({ memory }) => one(memory?.entries),
  },
  {
    name: 'breaker_state',
    help: '1 for the state in which the breaker before Redis is.',
    labels: ['state'],
    samples: ({ redis }) =>
      redis === undefined
        ? []
        : BREAKER_STATES.map((state): Sample => [{ state }, Number(redis.breaker === state)]),
  },
  {
    name: 'log_position',
    help: 'The last invalidation that this process knows.',
    labels: [],
    samples: ({ log }) => one(log.seq),
  },
  {
    name: 'log_tags',
    help: 'Tags of which this process knows the last invalidation.',
    labels: [],
    samples: ({ log }) => one(log.tags),
  },
  {
    name: 'log_verified',
    help: '1 while hits are trusted without asking Redis.',
    labels: [],
    samples: ({ log }) => one(Number(log.verified)),
  },
  {
    name: 'log_lag_seconds',
    help: 'Since this process was last sure to know the whole log.',
    labels: [],
    samples: ({ log: { sinceVerifiedMs } }) =>
      one(sinceVerifiedMs === undefined ? undefined : sinceVerifiedMs / 1000),
  },
  {
    name: 'pending_invalidations',
    help: 'Tags that Redis has not confirmed yet.',
    labels: [],
    samples: ({ pendingInvalidations }) => one(pendingInvalidations),
  },
  {
    name: 'staleness_bound_seconds',
    help: 'The longest an eventual answer can be behind an invalidation.',
    labels: [],
    samples: ({ stalenessBoundMs }) => one(stalenessBoundMs / 1000),
  },
  {
    name: 'flights',
    help: 'Handler runs and factories that others may be waiting for.',
    labels: [],
    samples: ({ flights }) => one(flights),
  },
  {
    name: 'fleet_leases',
    help: 'Runs of this process for all processes.',
    labels: [],
    samples: ({ fleet }) => one(fleet?.leases),
  },
  {
    name: 'fleet_waiting',
    help: 'Keys for which this process waits for another.',
    labels: [],
    samples: ({ fleet }) => one(fleet?.waiting),
  },
]
