import type { InvalidationLog, InvalidationMode } from './invalidation/log.ts'
import { namedTag } from './invalidation/tags.ts'

/** An invalidation as this process has seen it in the log. */
export interface InvalidationSeen {
  /** Its position in the log. */
  seq: number
  /** Epoch milliseconds at which this process applied it. */
  at: number
  mode: InvalidationMode
  /** The first of its tags, at most 20; or everything. */
  tags: NamedTag[] | 'all'
  /** How many tags it has. */
  count: number
}

export interface NamedTag {
  /** `tag`, `url`, `path`, `route`, `key`, `pattern` …: what kind of name it is. */
  kind: string
  name: string
}

/** A tag, and what this process knows of it. */
export interface TagState extends NamedTag {
  /** Position of its last invalidation in the log; 0: none is known. */
  lastInvalidated: number
  /** Epoch milliseconds of it, where this process has seen it happen. */
  at: number | undefined
  /** Entries in this process's memory that carry it and may answer: fresh ones and stale ones. */
  entries: number
}

/** What an invalidation would do, as far as this process's memory tells. */
export interface InvalidationPreview {
  /** What would stand in the log. */
  tags: NamedTag[]
  /** Entries in this process's memory that it would make unusable; with `mode: 'soft'` stale. */
  entries: number
  /** What they take of `memory.maxBytes`. */
  bytes: number
  /** Such entries by route pattern; `(values)` are those of the cache client. */
  routes: Record<string, number>
  /** Whether all of memory was looked at. */
  complete: boolean
}

/** A process of the fleet, as it told of itself. */
export interface ProcessState {
  /** Of one run of one process. */
  id: string
  host: string
  pid: number
  /** Whether it is the one that is asked. */
  self: boolean
  startedAt: number
  /** Milliseconds since it told this, by the clock of Redis. */
  toldAgoMs: number
  /** The position that it has reached in the log, and how many records it was behind then. */
  seq: number
  behind: number
  /** Milliseconds since it was sure to know the whole log; undefined: it is loading it. */
  sinceVerifiedMs: number | undefined
  pendingInvalidations: number
  hitRate: number
  breaker: 'closed' | 'open' | 'half-open' | undefined
}

/** Where names are sealed, the tags that this process remembers are told. */
export function invalidationsSeen(log: InvalidationLog): InvalidationSeen[] {
  const remembered = log.remembered()
  return log.seen().map(({ seq, at, mode, tags, count }) => {
    if (tags === 'all') return { seq, at, mode, tags, count }
    const plain = new Set(tags.map((tag) => remembered.get(tag) ?? tag))
    // A tag may have several sealed names.
    const same = tags.length - plain.size
    return { seq, at, mode, tags: Array.from(plain, namedTag), count: count - same }
  })
}
