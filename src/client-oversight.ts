import { setImmediate } from 'node:timers/promises'

import {
  type InvalidateOptions,
  checkMode,
  checkPattern,
  checkRoute,
  checkTags,
  checkUrl,
} from './client-invalidate.ts'
import { InvalidArgumentError } from './errors.ts'
import { LogPatterns } from './invalidation/log-patterns.ts'
import type { Fenced, InvalidationLog } from './invalidation/log.ts'
import { decodeTag, isNameOnly, namedTag } from './invalidation/tags.ts'
import type { InvalidationPreview, TagState } from './oversight.ts'
import type { ResponseCache } from './response-cache.ts'
import type { Cached } from './store/cached.ts'
import type { TieredCache } from './store/tiered-cache.ts'
import { checkNames } from './value-space.ts'

/** What would be invalidated: what one of the methods takes. */
export type PreviewTarget =
  | { tag: string }
  | { tags: readonly string[] }
  | { url: string }
  | { route: string }
  | { pattern: string }

export interface TagsOptions {
  /** Only tags whose names contain this text, in upper or lower case. */
  match?: string
  /** At most so many, from 1 to 1,000. @default 100 */
  limit?: number
}

const MAX_LIMIT = 1000
const DEFAULT_LIMIT = 100
/** Of memory, in one walk. */
const MAX_ENTRIES = 200_000
/** Different ones that are counted. */
const MAX_TAGS = 200_000
/** How long others wait for their turn, and how many steps are taken without a look at the clock. */
const SLICE_MS = 4
const STEPS = 64

/** Lets others have their turn. What is added meanwhile does not make the walk longer. */
export async function walk<T>(
  items: Iterable<T>,
  most: number,
  visit: (item: T) => void,
): Promise<void> {
  let [steps, sliceEndsAt] = [0, performance.now() + SLICE_MS]
  for (const item of items) {
    if (steps === most) return
    visit(item)
    if (++steps % STEPS === 0 && performance.now() >= sliceEndsAt) {
      await setImmediate()
      sliceEndsAt = performance.now() + SLICE_MS
    }
  }
}

export async function preview(
  cache: ResponseCache,
  target: PreviewTarget,
  options?: InvalidateOptions,
): Promise<InvalidationPreview> {
  const tags = tagsOf(cache, target)
  const isSoft = checkMode(options) === 'soft'
  const isMeant = memberOf(tags)
  const routes = new Map(cache.policies.map(({ route, routeTag }) => [routeTag, route]))
  const found = { entries: 0, bytes: 0, routes: {} as Record<string, number> }
  const { memory } = cache.tiers
  const now = cache.tiers.now()
  const size = memory?.size ?? 0
  await walk(memory?.held() ?? [], Math.min(size, MAX_ENTRIES), ({ cached, size: bytes }) => {
    if (!isMeant(cached.entry)) return
    const state = usableState(cache.tiers, cached, now)
    // What is stale stays so.
    if (state === undefined || (isSoft && state === 'stale')) return
    const route = routeOf(cached.entry.tags, routes)
    found.entries++
    found.bytes += bytes
    found.routes[route] = (found.routes[route] ?? 0) + 1
  })
  return { tags: tags.map(namedTag), ...found, complete: size <= MAX_ENTRIES }
}

/** Whether an entry carries one of the tags, or matches one that is a pattern. */
function memberOf(tags: readonly string[]): (entry: Fenced) => boolean {
  const named = new Set(tags)
  const patterns = new LogPatterns()
  for (const tag of tags) patterns.note(tag, Infinity)
  return (entry) => entry.tags.some((tag) => named.has(tag)) || patterns.of(entry).length > 0
}

/** What leads to variants is no answer itself. */
function usableState(
  tiers: TieredCache,
  cached: Cached,
  now: number,
): 'fresh' | 'stale' | undefined {
  if (cached.entry.varies !== undefined) return undefined
  const state = tiers.stateOf(cached, now)
  return state === 'expired' ? undefined : state
}

function routeOf(tags: readonly string[], routes: ReadonlyMap<string, string>): string {
  const tag = tags.find((each) => each.startsWith('r:'))
  return tag === undefined ? '(values)' : (routes.get(tag) ?? decodeTag(tag).name)
}

function tagsOf(cache: ResponseCache, target: PreviewTarget): string[] {
  const given = Object.entries(Object(target) as object) as [string, unknown][]
  const [kind, value] = given[0] ?? []
  if (given.length === 1) {
    if (kind === 'tag') return checkTags('invalidateTags', [value])
    if (kind === 'tags') return checkTags('invalidateTags', value)
    if (kind === 'url') return checkUrl(cache, value)
    if (kind === 'route') return [checkRoute(value)]
    if (kind === 'pattern') return [checkPattern(value)]
  }
  throw new InvalidArgumentError(
    'preview takes one of { tag }, { tags }, { url }, { route } and { pattern }',
  )
}

export async function knownTags(
  cache: ResponseCache,
  options: TagsOptions = {},
): Promise<TagState[]> {
  const { isWanted, limit } = checkOptions(options)
  const { log } = cache
  const entries = await countTags(cache, isWanted)
  const last = await lastInvalidations(log)
  const top = new Top(limit)
  await walk(entries, MAX_TAGS, ([tag, count]) => {
    let seq = 0
    for (const name of log.namesOf(tag)) {
      seq = Math.max(seq, last.get(name) ?? 0)
      last.delete(name)
    }
    top.offer(tag, seq, count)
  })
  await walk(last, MAX_TAGS, ([tag, seq]) => {
    if (isWanted(tag)) top.offer(tag, seq, 0)
  })
  const seen = log.seen().filter(({ epoch }) => epoch === log.position.epoch)
  const seenAt = new Map(seen.map(({ seq, at }) => [seq, at]))
  return top.known.map(({ tag, seq, count }) => {
    const { kind, name } = namedTag(tag)
    return { kind, name, lastInvalidated: seq, at: seenAt.get(seq), entries: count }
  })
}

function checkOptions(options: TagsOptions): {
  isWanted: (tag: string) => boolean
  limit: number
} {
  checkNames('tags', options, ['match', 'limit'])
  const { match = '', limit = DEFAULT_LIMIT } = options
  if (typeof match !== 'string') throw new InvalidArgumentError('tags: match must be a string')
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new InvalidArgumentError(`tags: limit must be a whole number from 1 to ${MAX_LIMIT}`)
  }
  const text = match.toLowerCase()
  const isWanted = (tag: string): boolean => namedTag(tag).name.toLowerCase().includes(text)
  return { isWanted: text === '' ? () => true : isWanted, limit }
}

async function countTags(
  { tiers }: ResponseCache,
  isWanted: (tag: string) => boolean,
): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  const now = tiers.now()
  const most = Math.min(tiers.memory?.size ?? 0, MAX_ENTRIES)
  await walk(tiers.memory?.held() ?? [], most, ({ cached }) => {
    if (usableState(tiers, cached, now) === undefined) return
    for (const tag of cached.entry.tags) {
      const count = counts.get(tag)
      if (count !== undefined) counts.set(tag, count + 1)
      else if (counts.size < MAX_TAGS && !isNameOnly(tag) && isWanted(tag)) counts.set(tag, 1)
    }
  })
  return counts
}

/** By tag, or by its name in the log where that is all there is. */
async function lastInvalidations(log: InvalidationLog): Promise<Map<string, number>> {
  const last = new Map<string, number>()
  const remembered = log.remembered()
  await walk(log.tags(), MAX_TAGS, ([name, seq]) => {
    const tag = remembered.get(name) ?? name
    // What was forgotten here and is not confirmed stands between two positions.
    const position = Math.min(Math.ceil(seq), Number.MAX_SAFE_INTEGER)
    last.set(tag, Math.max(position, last.get(tag) ?? 0))
  })
  return last
}

interface Known {
  readonly tag: string
  readonly seq: number
  readonly count: number
}

/** The first of all that are offered, in order. */
class Top {
  readonly known: Known[] = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  offer(tag: string, seq: number, count: number): void {
    const { known } = this
    let [from, to] = [0, known.length]
    const offered = { tag, seq, count }
    if (to === this.#limit && compare(offered, known[to - 1]!) >= 0) return
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compare(offered, known[middle]!) < 0) to = middle
      else from = middle + 1
    }
    known.splice(from, 0, offered)
    if (known.length > this.#limit) known.pop()
  }
}

function isGiven({ tag }: Known): boolean {
  return tag.startsWith('t:')
}

function compare(a: Known, b: Known): number {
  const byUse = b.seq - a.seq || b.count - a.count
  // Of equal ones those that the application has given come first.
  return byUse || Number(isGiven(b)) - Number(isGiven(a)) || (a.tag < b.tag ? -1 : 1)
}
