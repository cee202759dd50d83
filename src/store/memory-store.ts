import type { StoredEntry } from '../stored-response.ts'
import { Cached } from './cached.ts'
import { Kept, Line } from './memory-line.ts'
import { RecentKeys } from './recent-keys.ts'

export interface MemoryOptions {
  maxBytes: number
  maxEntryBytes: number
}

/**
 * What the process grows by for one entry beside its texts, measured (bench/memory.ts): its objects,
 * and the pages that the engine holds back for them.
 */
const OVERHEAD_BYTES = 3400
const FIELD_BYTES = 120
const TAG_BYTES = 40

/** What an entry costs this process, in bytes: body, head and the objects around them. */
export function entryBytes(key: string, entry: StoredEntry): number {
  let bytes = OVERHEAD_BYTES + key.length + heldBytes(entry.body)
  if (entry.name !== undefined) bytes += heldBytes(entry.name)
  for (const tag of entry.tags) bytes += TAG_BYTES + tag.length
  for (const [name, value] of entry.headers)
    bytes += FIELD_BYTES + name.length + String(value).length
  return bytes
}

/** A text is kept with one byte per code unit, or with two when one of them needs it. */
function heldBytes(body: StoredEntry['body']): number {
  if (typeof body !== 'string') return body?.length ?? 0
  return Buffer.byteLength(body) === body.length ? body.length : 2 * body.length
}

/** Uses beyond this many count no more: what was hot once would not be forgotten in time. */
const MAX_USES = 7
/** How many of the main line may be stronger than an entry that wants to join it. */
const PROBES = 4
/** Once in so many comparisons one that was stronger counts as asked for once less. */
const AGE_EACH = 4
/** Of the whole: what every entry passes through first. */
const YOUNG_SHARE = 1 / 8

/**
 * The tier in this process, bounded by bytes. While there is room everything stays. In a full store
 * an entry is young first: in a line of its own, where a flood of URLs that are asked for once only
 * drives out itself. What was asked for again there, or not long before, joins the main line in the
 * place of something that was asked for less. So whoever wants to drive out what is in use has to ask
 * as often as its users do.
 */
export class MemoryStore {
  readonly #entries = new Map<string, Kept>()
  readonly #young = new Line()
  readonly #main = new Line()
  readonly #maxBytes: number
  readonly #maxYoungBytes: number
  /** A larger entry is not kept. */
  readonly maxEntryBytes: number
  /** Made when something is let go for the first time. */
  #recent: RecentKeys | undefined
  #contests = 0
  #isUseless: (cached: Cached) => boolean = () => false

  constructor({ maxBytes, maxEntryBytes }: MemoryOptions) {
    this.maxEntryBytes = maxEntryBytes
    this.#maxBytes = maxBytes
    // The newest entry is always kept: what was said to be stored is there.
    this.#maxYoungBytes = Math.max(maxBytes * YOUNG_SHARE, Math.min(maxEntryBytes, maxBytes / 2))
  }

  /** What may not be used for anything any more goes first, however often it was asked for. */
  dropFirst(isUseless: (cached: Cached) => boolean): void {
    this.#isUseless = isUseless
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#young.bytes + this.#main.bytes
  }

  get(key: string): Cached | undefined {
    const kept = this.#entries.get(key)
    if (kept === undefined) return undefined
    if (kept.uses < MAX_USES) kept.uses++
    return kept.cached
  }

  /** Keeps the entry unless a newer one is there; returns what is kept, if anything. */
  set(key: string, entry: StoredEntry, size: number = entryBytes(key, entry)): Cached | undefined {
    const known = this.#entries.get(key)
    if (known && isNewer(known.cached.entry, entry)) return known.cached
    if (size > this.maxEntryBytes) {
      this.delete(key)
      return undefined
    }
    const body = ownCopy(entry.body)
    const cached = new Cached(body === entry.body ? entry : { ...entry, body }, 'memory')
    const kept = known ?? this.#add(key, cached, size)
    if (known !== undefined) {
      known.cached = cached
      known.line!.resize(known, size)
      if (known.line === this.#young) this.#young.again(known)
    }
    this.#makeRoom(kept)
    return cached
  }

  delete(key: string): boolean {
    const kept = this.#entries.get(key)
    if (kept === undefined) return false
    this.#remove(kept)
    return true
  }

  /** Those of now. */
  keys(): string[] {
    return [...this.#entries.keys()]
  }

  /** What is held, without a mark of use; what comes while it is walked may be among it. */
  held(): Iterable<Readonly<Pick<Kept, 'cached' | 'size'>>> {
    return this.#entries.values()
  }

  /** What is under the key, without a mark of use. */
  peek(key: string): Cached | undefined {
    return this.#entries.get(key)?.cached
  }

  clear(): void {
    while (this.#young.oldest !== undefined) this.#young.remove(this.#young.oldest)
    while (this.#main.oldest !== undefined) this.#main.remove(this.#main.oldest)
    this.#entries.clear()
  }

  #add(key: string, cached: Cached, size: number): Kept {
    const before = this.#recent?.recall(key)
    // It was asked for before, and is again.
    const uses = before === undefined ? 0 : Math.min(before + 1, MAX_USES)
    const kept = new Kept(key, cached, { size, uses })
    this.#entries.set(key, kept)
    this.#young.push(kept)
    return kept
  }

  #remove(kept: Kept): void {
    this.#entries.delete(kept.key)
    kept.line?.remove(kept)
  }

  #letGo(kept: Kept): void {
    this.#recent ??= new RecentKeys((2 * this.#maxBytes) / OVERHEAD_BYTES)
    this.#recent.remember(kept.key, kept.uses)
    this.#remove(kept)
  }

  #makeRoom(latest: Kept): void {
    while (this.#young.bytes > this.#maxYoungBytes && this.#young.oldest !== latest) {
      this.#grow(this.#young.oldest!, latest)
    }
    // The main line has taken what young ones may have, or an entry has grown or is very large.
    while (this.bytes > this.#maxBytes) this.#letGo(this.#surplus(latest))
  }

  /** What came last goes first, unless it was asked for. */
  #surplus(latest: Kept): Kept {
    const { newest, oldest } = this.#main
    if (newest !== undefined && newest !== latest && newest.uses === 0) return newest
    return (oldest === latest ? oldest.newer : oldest) ?? this.#young.oldest!
  }

  /** Leaves the young line: for the main one if there is room or it can make some, or for good. */
  #grow(kept: Kept, latest: Kept): void {
    let credit = kept.uses
    for (let probe = 0; probe < PROBES && this.bytes > this.#maxBytes;) {
      const other = this.#main.oldest
      if (other === undefined || other === latest) break
      if (this.#isUseless(other.cached)) this.#letGo(other)
      else if (other.uses < credit) {
        // Whoever is large has to be worth all that it takes the place of.
        credit -= other.uses
        this.#letGo(other)
      } else if (kept.uses === 0) break
      else {
        // Nothing stays for ever.
        if (probe++ === 0 && other.uses > 0 && ++this.#contests % AGE_EACH === 0) other.uses--
        this.#main.again(other)
      }
    }
    if (this.bytes > this.#maxBytes) return this.#letGo(kept)
    this.#young.remove(kept)
    this.#main.push(kept)
    if (kept.uses > 0) kept.uses--
  }
}

function isNewer(known: StoredEntry, entry: StoredEntry): boolean {
  return known.epoch === entry.epoch && known.seq > entry.seq
}

/** A small buffer is a window on a big one (a pool, a socket read) that it would keep alive. */
function ownCopy(body: StoredEntry['body']): StoredEntry['body'] {
  if (!(body instanceof Buffer)) return body
  if (body.byteLength === body.buffer.byteLength) return body
  const copy = Buffer.allocUnsafeSlow(body.length)
  body.copy(copy)
  return copy
}
