// Judges a history of reads and writes from outside, by one clock.
import type { Row, Write } from './database.ts'

/** A read that was behind: an invalidation that had resolved this long before the read began. */
export interface Stale {
  row: Row
  behindMs: number
}

export class History {
  /** By tag: the versions whose invalidation has resolved, and when; both grow. */
  readonly #resolved = new Map<string, { version: number; at: number }[]>()
  readonly stale: Stale[] = []
  reads = 0
  hits = 0
  writes = 0

  /** The invalidation after this write has resolved, now. */
  resolved({ tag, version }: Omit<Write, 'id'>, at: number = performance.now()): void {
    this.writes++
    let versions = this.#resolved.get(tag)
    if (versions === undefined) this.#resolved.set(tag, (versions = []))
    const last = versions.at(-1)
    // A later write of the same row says more, and its invalidation may resolve first.
    if (last === undefined || last.version < version) versions.push({ version, at })
  }

  /** A request that began at the given moment was answered with this row. */
  read(row: Row, startedAt: number, hit: boolean): void {
    this.reads++
    if (hit) this.hits++
    const behindMs = Math.max(
      this.#behind(`item:${row.id}`, row.version, startedAt),
      this.#behind(`group:${row.group}`, row.groupVersion, startedAt),
    )
    if (behindMs > 0) this.stale.push({ row, behindMs })
  }

  /** How long, when the read began, a newer version had been everybody's; 0 when none had been. */
  #behind(tag: string, version: number, startedAt: number): number {
    const newer = this.#resolved.get(tag)?.find((each) => each.version > version)
    return newer === undefined ? 0 : Math.max(0, startedAt - newer.at)
  }

  /** Stale reads that began more than this long after the invalidation had resolved. */
  staleBeyond(milliseconds: number): number {
    return this.stale.filter(({ behindMs }) => behindMs > milliseconds).length
  }

  get longestMs(): number {
    return this.stale.reduce((longest, { behindMs }) => Math.max(longest, behindMs), 0)
  }

  toString(): string {
    const share = ((100 * this.hits) / this.reads).toFixed(0)
    return (
      `${this.reads} reads (${share} % hits), ${this.writes} writes, ${this.stale.length} stale, ` +
      `longest ${this.longestMs.toFixed(1)} ms`
    )
  }
}
