import { LRUCache } from 'lru-cache'

import { LocalLog } from '../src/invalidation/local-log.ts'
import { MemoryStore } from '../src/store/memory-store.ts'
import { type StoredEntry, plainLifetimes } from '../src/stored-response.ts'

/**
 * What of a hot set survives which load, by who decides what leaves memory: `npm run
 * bench:admission`. Counted are the requests for the hot set; what is asked for once cannot be a hit.
 * Room is for 5000 entries of one size.
 */
const ROOM = 5000
const CATALOGUE = 50_000
const LENGTH = Number(process.argv[2] ?? 600_000)

interface Policy {
  get(key: string): boolean
  set(key: string): void
}

function lru(): Policy {
  const cache = new LRUCache<string, true>({ max: ROOM })
  return { get: (key) => cache.get(key) === true, set: (key) => void cache.set(key, true) }
}

/** Into a full cache goes only what was asked for before, in one of two generations. */
function doorkeeper(): Policy {
  const cache = new LRUCache<string, true>({ max: ROOM })
  let [young, old] = [new Set<string>(), new Set<string>()]
  return {
    get: (key) => cache.get(key) === true,
    set(key) {
      if (cache.size < ROOM || young.has(key) || old.has(key)) return void cache.set(key, true)
      young.add(key)
      if (young.size >= ROOM) [young, old] = [new Set(), young]
    },
  }
}

/** One bit for each entry, and a hand that clears it on its way from old to new. */
function sieve(): Policy {
  const visited = new Map<string, boolean>()
  let hand = visited.entries()
  const evict = (): void => {
    for (;;) {
      const next = hand.next()
      if (next.done) hand = visited.entries()
      else if (next.value[1]) visited.set(next.value[0], false)
      else return void visited.delete(next.value[0])
    }
  }
  return {
    get: (key) => visited.has(key) && visited.set(key, true) !== undefined,
    set(key) {
      if (visited.size >= ROOM) evict()
      visited.set(key, false)
    },
  }
}

/** Where the four counters of a key are. */
function places(key: string): number[] {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  }
  return [0, 1, 2, 3].map((row) => (Math.imul(hash, 0x9e3779b1 + 2 * row) >>> 17) % 2 ** 15)
}

/** Counts every request in a sketch that ages; the newcomer has to be the more frequent of two. */
function tinyLfu(): Policy {
  const cache = new LRUCache<string, true>({ max: ROOM })
  const counters = new Uint8Array(2 ** 15)
  let asked = 0
  const count = (key: string): number => Math.min(...places(key).map((at) => counters[at]!))
  return {
    get(key) {
      const least = count(key)
      for (const at of places(key))
        if (counters[at] === least && least < 15) counters[at] = least + 1
      if (++asked === 10 * ROOM) {
        asked = 0
        for (const at of counters.keys()) counters[at]! >>= 1
      }
      return cache.get(key) === true
    },
    set(key) {
      const victim = cache.size < ROOM ? undefined : cache.rkeys().next().value
      if (victim === undefined || count(key) > count(victim)) cache.set(key, true)
    },
  }
}

const log = new LocalLog(1000)
const entry: StoredEntry = {
  ...log.position,
  tags: [],
  ...plainLifetimes(Date.now(), Date.now() + 3_600_000),
  status: 200,
  headers: [],
  removed: [],
  varies: undefined,
  body: '',
}

function ours(): Policy {
  const store = new MemoryStore({ maxBytes: ROOM * 4000, maxEntryBytes: 500 * 1000 })
  return {
    get: (key) => store.get(key) !== undefined,
    set: (key) => void store.set(key, entry, 4000),
  }
}

/** The same numbers in each run. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Rank 0 is asked for most. */
function zipf(next: () => number): () => number {
  const sums = new Float64Array(CATALOGUE)
  let sum = 0
  for (let rank = 0; rank < CATALOGUE; rank++) sums[rank] = sum += 1 / (rank + 1) ** 0.9
  return () => {
    const wanted = next() * sum
    let [low, high] = [0, CATALOGUE - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle]! < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

interface Load {
  /** Share of requests for keys outside of the hot set, and how often each of those is asked for. */
  flood?: number
  times?: number
  /** The flood begins when a quarter is over. */
  warm?: boolean
  /** A hot set of so many keys, equally often; else 50,000 by Zipf (0.9). */
  keys?: number
  /** Once in 100,000 requests somebody asks for 20,000 others, one after the other. */
  scan?: boolean
  /** After so many requests other keys are hot. */
  shiftEach?: number
}

const LOADS: Record<string, Load> = {
  Zipf: {},
  '+50 %': { flood: 0.5 },
  '+90 %': { flood: 0.9 },
  '+99 %': { flood: 0.99 },
  '4000, then 90 %': { keys: 4000, flood: 0.9, warm: true },
  '4000, then 99 %': { keys: 4000, flood: 0.99, warm: true },
  'then 90 % twice': { keys: 4000, flood: 0.9, warm: true, times: 2 },
  scan: { scan: true },
  'shift/50k': { shiftEach: 50_000 },
  'shift/200k': { shiftEach: 200_000 },
}

function* requests(load: Load): Generator<[key: string, isHot: boolean]> {
  const next = random(42)
  const rank = zipf(next)
  let floods = 0
  for (let n = 0; n < LENGTH; n++) {
    const isFlooded = load.flood !== undefined && (!load.warm || n > LENGTH / 4)
    if (isFlooded && next() < load.flood!) {
      yield [`flood:${Math.floor(floods++ / (load.times ?? 1))}`, false]
    } else if (load.scan && n % 100_000 < 20_000) {
      yield [`scan:${n % 100_000}`, false]
    } else if (load.keys !== undefined) {
      yield [`hot:${Math.floor(next() * load.keys)}`, true]
    } else {
      const shift = load.shiftEach === undefined ? 0 : Math.floor(n / load.shiftEach) * 2500
      yield [`hot:${(rank() + shift) % CATALOGUE}`, true]
    }
  }
}

/** From the second quarter on. */
function hitRate(policy: Policy, load: Load): number {
  let [asked, hits, n] = [0, 0, 0]
  for (const [key, isHot] of requests(load)) {
    const isHit = policy.get(key)
    if (!isHit) policy.set(key)
    if (n++ < LENGTH / 4 || !isHot) continue
    asked++
    if (isHit) hits++
  }
  return hits / asked
}

function nanoseconds(times: number, act: (index: number) => unknown): number {
  for (let index = 0; index < times / 10; index++) act(index)
  const start = performance.now()
  for (let index = 0; index < times; index++) act(index)
  return ((performance.now() - start) * 1e6) / times
}

const KEYS = Array.from({ length: 1_000_000 }, (_, at) => `r:${String(at).padStart(43, 'k')}`)

function costs(make: () => Policy): [hit: number, miss: number] {
  const policy = make()
  for (let at = 0; at < ROOM; at++) policy.set(KEYS[at]!)
  const hit = nanoseconds(2_000_000, (index) => policy.get(KEYS[(index * 7919) % ROOM]!))
  const miss = nanoseconds(900_000, (index) => {
    const key = KEYS[ROOM + index]!
    if (!policy.get(key)) policy.set(key)
  })
  return [hit, miss]
}

const policies = { LRU: lru, 'LRU, doorkeeper': doorkeeper, SIEVE: sieve, TinyLFU: tinyLfu, ours }
const columns = [...Object.keys(LOADS), 'hit ns', 'miss ns']
console.log(`| | ${columns.join(' | ')} |\n|---|${columns.map(() => '---').join('|')}|`)
for (const [name, make] of Object.entries(policies)) {
  const rates = Object.values(LOADS).map((load) => (100 * hitRate(make(), load)).toFixed(1))
  const [hit, miss] = costs(make)
  console.log(`| ${name} | ${[...rates, hit.toFixed(0), miss.toFixed(0)].join(' | ')} |`)
}
