import { LRUCache } from 'lru-cache'

import type { StoredEntry } from '../stored-response.ts'
import { Cached } from './cached.ts'

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

/** The tier in this process: least recently used, bounded by bytes. */
export class MemoryStore {
  readonly #entries: LRUCache<string, Cached>
  /** A larger entry is not kept. */
  readonly maxEntryBytes: number

  constructor(options: MemoryOptions) {
    this.maxEntryBytes = options.maxEntryBytes
    this.#entries = new LRUCache({ maxSize: options.maxBytes, maxEntrySize: options.maxEntryBytes })
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#entries.calculatedSize
  }

  get(key: string): Cached | undefined {
    return this.#entries.get(key)
  }

  /** Keeps the entry unless a newer one is there; returns what is kept, if anything. */
  set(key: string, entry: StoredEntry, size: number = entryBytes(key, entry)): Cached | undefined {
    const known = this.#entries.peek(key)
    if (known && known.entry.epoch === entry.epoch && known.entry.seq > entry.seq) return known
    if (size > this.maxEntryBytes) {
      this.#entries.delete(key)
      return undefined
    }
    const body = ownCopy(entry.body)
    const cached = new Cached(body === entry.body ? entry : { ...entry, body }, 'memory')
    this.#entries.set(key, cached, { size })
    return cached
  }

  delete(key: string): boolean {
    return this.#entries.delete(key)
  }

  /** Those of now. */
  keys(): string[] {
    return [...this.#entries.keys()]
  }

  /** What is under the key, without a mark of use. */
  peek(key: string): Cached | undefined {
    return this.#entries.peek(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}

/** A small buffer is a window on a big one (a pool, a socket read) that it would keep alive. */
function ownCopy(body: StoredEntry['body']): StoredEntry['body'] {
  if (!(body instanceof Buffer)) return body
  if (body.byteLength === body.buffer.byteLength) return body
  const copy = Buffer.allocUnsafeSlow(body.length)
  body.copy(copy)
  return copy
}
