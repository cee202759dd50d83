import type { Cached } from './cached.ts'

/** An entry in memory, with its place in line. */
export class Kept {
  readonly key: string
  cached: Cached
  size: number
  /** How often it was asked for, up to a few: more would only take longer to be forgotten. */
  uses: number
  line: Line | undefined = undefined
  older: Kept | undefined = undefined
  newer: Kept | undefined = undefined

  constructor(key: string, cached: Cached, { size, uses }: { size: number; uses: number }) {
    this.key = key
    this.cached = cached
    this.size = size
    this.uses = uses
  }
}

/** Entries in the order in which they came. A hit changes nothing here. */
export class Line {
  bytes = 0
  oldest: Kept | undefined = undefined
  newest: Kept | undefined = undefined

  push(kept: Kept): void {
    kept.line = this
    kept.older = this.newest
    if (this.newest === undefined) this.oldest = kept
    else this.newest.newer = kept
    this.newest = kept
    this.bytes += kept.size
  }

  remove(kept: Kept): void {
    const { older, newer } = kept
    if (older === undefined) this.oldest = newer
    else older.newer = newer
    if (newer === undefined) this.newest = older
    else newer.older = older
    kept.older = kept.newer = kept.line = undefined
    this.bytes -= kept.size
  }

  /** To the end of the line. */
  again(kept: Kept): void {
    this.remove(kept)
    this.push(kept)
  }

  resize(kept: Kept, size: number): void {
    this.bytes += size - kept.size
    kept.size = size
  }
}
