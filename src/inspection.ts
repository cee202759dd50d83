import { currentAge } from './http/freshness.ts'
import { plainTags } from './invalidation/tags.ts'
import type { ResponseCache } from './response-cache.ts'
import { Cached } from './store/cached.ts'
import type { EntryState } from './store/tiered-cache.ts'
import type { LogPosition, StoredEntry } from './stored-response.ts'

/** What one tier holds. */
export interface Inspection {
  tier: 'memory' | 'redis'
  /**
   * What it may be used for: `fresh`: to answer; `stale`: within its windows; `expired`: for validation
   * only; `unusable`: for nothing, it is over or was invalidated.
   */
  state: EntryState | 'unusable'
  /** Seconds since it was made. */
  age: number
  /** Seconds of freshness that remain, rounded up; negative once it is stale. */
  ttl: number
  /** Its tags; of those above 64 letters `#` and a digest. */
  tags: string[]
  /** Length of what is stored of the value or the body. */
  bytes: number
  /** What of the invalidation log it has seen. */
  position: LogPosition
  /** Of a response. */
  status?: number
  /** Of a response, only with `headers: true`: the fields of the handler, one for each value. */
  headers?: [name: string, value: string][]
  /** Only with `body: true`, as it is stored. */
  body?: string | Buffer | undefined
}

export interface InspectOptions {
  /** Include what is stored. @default false */
  body?: boolean
  /** Include the header fields of a stored response. @default false */
  headers?: boolean
}

/** Whole seconds, rounded up: 0 is over. */
export function remainingSeconds({ freshUntil }: StoredEntry, now: number): number {
  return Math.ceil((freshUntil - now) / 1000)
}

/** What each tier has under one name. A Redis that does not answer has nothing. */
export async function inspectName(
  cache: ResponseCache,
  name: string,
  options: InspectOptions = {},
): Promise<Inspection[]> {
  const { memory, redis } = cache.tiers
  const inMemory = memory?.peek(name)
  const inRedis = await redis?.get(name)
  return [inMemory, inRedis]
    .filter((cached) => cached !== undefined)
    .map((cached) => inspect(cache, cached, options))
}

/** What this process has in memory of entries that carry one of the tags. */
export function inspectTagged(
  cache: ResponseCache,
  tags: readonly string[],
  options: InspectOptions = {},
): Inspection[] {
  const { memory } = cache.tiers
  const names = memory?.keys() ?? []
  return names
    .map((name) => memory!.peek(name))
    .filter((cached) => cached !== undefined && isTagged(cached.entry, tags))
    .map((cached) => inspect(cache, cached!, options))
}

/** What only leads to variants is no response itself. */
function isTagged(entry: StoredEntry, tags: readonly string[]): boolean {
  return entry.varies === undefined && tags.some((tag) => entry.tags.includes(tag))
}

function inspect(
  { tiers }: ResponseCache,
  { entry, tier }: Cached,
  { body = false, headers = false }: InspectOptions,
): Inspection {
  const now = tiers.now()
  const inspection: Inspection = {
    tier: tier === 'redis' ? 'redis' : 'memory',
    // A copy, so that looking leaves no mark.
    state: tiers.stateOf(new Cached(entry, tier), now) ?? 'unusable',
    age: currentAge(entry, now),
    ttl: remainingSeconds(entry, now),
    tags: plainTags(entry.tags),
    bytes: Buffer.byteLength(entry.body ?? ''),
    position: { epoch: entry.epoch, seq: entry.seq },
  }
  if (entry.status > 0) {
    inspection.status = entry.status
    if (headers) inspection.headers = fieldLines(entry)
  }
  if (body) inspection.body = entry.body
  return inspection
}

function fieldLines({ headers }: StoredEntry): [name: string, value: string][] {
  return headers.flatMap(([name, value]) =>
    (typeof value === 'string' ? [value] : value).map((each): [string, string] => [name, each]),
  )
}
