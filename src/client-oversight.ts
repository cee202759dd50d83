import { setImmediate } from 'node:timers/promises'

import { checkPattern, checkRoute, checkTags, checkUrl } from './client-invalidate.ts'
import { InvalidArgumentError } from './errors.ts'
import { LogTable } from './invalidation/log-table.ts'
import type { InvalidationLog } from './invalidation/log.ts'
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
async function walk<T>(items: Iterable<T>, most: number, visit: (item: T) => void): Promise<void> {
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
): Promise<InvalidationPreview> {
  const tags = tagsOf(cache, target)
  const after = new LogTable(Infinity)
  after.apply({ tags, mode: 'purge' }, Infinity)
  const routes = new Map(cache.policies.map(({ route, routeTag }) => [routeTag, route]))
  const found = { entries: 0, bytes: 0, routes: {} as Record<string, number> }
  const { memory } = cache.tiers
  const now = cache.tiers.now()
  const size = memory?.size ?? 0
  await walk(memory?.held() ?? [], Math.min(size, MAX_ENTRIES), ({ cached, size: bytes }) => {
    if (after.allows(cached.entry) || !mayAnswer(cache.tiers, cached, now)) return
    const route = routeOf(cached.entry.tags, routes)
    found.entries++
    found.bytes += bytes
    found.routes[route] = (found.routes[route] ?? 0) + 1
  })
  return { tags: tags.map(namedTag), ...found, complete: size <= MAX_ENTRIES }
}

/** What leads to variants is no answer itself. */
function mayAnswer(tiers: TieredCache, cached: Cached, now: number): boolean {
  if (cached.entry.varies !== undefined) return false
  const state = tiers.stateOf(cached, now)
  return state === 'fresh' || state === 'stale'
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
  const seenAt = new Map(
    log
      .seen()
      .filter(({ epoch }) => epoch === log.position.epoch)
      .map(({ seq, at }) => [seq, at]),
  )
  const top = new Top(limit)
  const offer = (tag: string, seq: number, count: number): void =>
    top.offer({ ...namedTag(tag), lastInvalidated: seq, at: seenAt.get(seq), entries: count })
  await walk(entries, MAX_TAGS, ([tag, count]) => {
    let seq = 0
    for (const name of log.namesOf(tag)) {
      seq = Math.max(seq, last.get(name) ?? 0)
      last.delete(name)
    }
    offer(tag, seq, count)
  })
  await walk(last, MAX_TAGS, ([tag, seq]) => {
    if (isWanted(tag)) offer(tag, seq, 0)
  })
  return top.states
}

function checkOptions(options: TagsOptions): {
  isWanted: (tag: string) => boolean
  limit: number
} {
  checkNames('tags', Object(options) as object, ['match', 'limit'])
  const { match = '', limit = DEFAULT_LIMIT } = Object(options) as TagsOptions
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
    if (!mayAnswer(tiers, cached, now)) return
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

/** The first of all that are offered, in order. */
class Top {
  readonly states: TagState[] = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  offer(state: TagState): void {
    const { states } = this
    let [from, to] = [0, states.length]
    if (to === this.#limit && compare(state, states[to - 1]!) >= 0) return
    while (from < to) {
      const middle = (from + to) >>> 1
      if (compare(state, states[middle]!) < 0) to = middle
      else from = middle + 1
    }
    states.splice(from, 0, state)
    if (states.length > this.#limit) states.pop()
  }
}

function compare(a: TagState, b: TagState): number {
  return (
    b.lastInvalidated - a.lastInvalidated ||
    b.entries - a.entries ||
    (a.name < b.name ? -1 : Number(a.name > b.name))
  )
}
