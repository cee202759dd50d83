// The ways in which the fleet caches; each is a prefix of its own, with a namespace of its own.
import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'

export const MODES: Record<string, ResponseCacheOptions> = {
  'strict-memory': { consistency: 'strict' },
  'strict-redis': { consistency: 'strict', memory: false },
  'eventual-memory': { consistency: 'eventual' },
  'eventual-redis': { consistency: 'eventual', memory: false },
}

/** SET and SADD, SMEMBERS and DEL: what one would write on the first day. */
export const NAIVE = 'naive'

/** Caches whose routes coalesce over all processes. */
export const COALESCING: Record<
  string,
  { cache?: ResponseCacheOptions; route?: RouteCacheOptions }
> = {
  plain: {},
  stale: { route: { ttl: 1, staleWhileRevalidate: '1h' } },
  strict: { cache: { consistency: 'strict' } },
  impatient: { cache: { deadlineMs: 250 } },
}

/** Where the processes of the fleet find Redis: the ports of one server, or of a Cluster. */
export interface Topology {
  ports: readonly number[]
  cluster: boolean
}
