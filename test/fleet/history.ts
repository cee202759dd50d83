// Judges a history of reads and writes from outside, by one clock.
import type { Row, Write } from './database.ts'

/** A read that was behind: an invalidation that had taken effect this long before the read began. */
export interface Stale {
  row: Row
  startedAt: number
  /** What had been promised to everybody: the invalidation had resolved, or was delivered. */
  behindMs: number
  /** What the answering process had been told itself, which it must know at once. */
  behindItselfMs: number
}

type Told = Omit<Write, 'id'>

/** By tag: the versions that nobody may be behind, and since when; both grow. */
class Least {
  readonly #versions = new Map<string, { version: number; at: number }[]>()

  note({ tag, version }: Told, at: number): void {
    let versions = this.#versions.get(tag)
    if (versions === undefined) this.#versions.set(tag, (versions = []))
    const last = versions.at(-1)
    // A later write of the same row says more, and its invalidation may resolve first.
    if (last === undefined || last.version < version) versions.push({ version, at })
  }

  /** How long, when the read began, a newer version had been known; 0 when none had been. */
  behind(row: Row, startedAt: number): number {
    return Math.max(
      this.#behind(`item:${row.id}`, row.version, startedAt),
      this.#behind(`group:${row.group}`, row.groupVersion, startedAt),
    )
  }

  #behind(tag: string, version: number, startedAt: number): number {
    const newer = this.#versions.get(tag)?.find((each) => each.version > version)
    return newer === undefined ? 0 : Math.max(0, startedAt - newer.at)
  }
}

export class History {
  readonly #everybody = new Least()
  readonly #byProcess = new Map<number, Least>()
  readonly stale: Stale[] = []
  reads = 0
  hits = 0
  writes = 0
  /** Invalidations that rejected, and were delivered later. */
  pending = 0

  /** The invalidation after this write has resolved, or was delivered after it had rejected. */
  resolved(write: Told, at: number = performance.now()): void {
    this.writes++
    this.#everybody.note(write, at)
  }

  /** A process has answered the invalidation, resolved or not: it must have forgotten by now. */
  forgotten(write: Told, process: number, at: number = performance.now()): void {
    let least = this.#byProcess.get(process)
    if (least === undefined) this.#byProcess.set(process, (least = new Least()))
    least.note(write, at)
  }

  /** Another process has taken its place, and nobody has told it anything. */
  restarted(process: number): void {
    this.#byProcess.delete(process)
  }

  /** A request that began at the given moment was answered with this row. */
  read(row: Row, startedAt: number, hit: boolean, process?: number): void {
    this.reads++
    if (hit) this.hits++
    const behindMs = this.#everybody.behind(row, startedAt)
    const told = process === undefined ? undefined : this.#byProcess.get(process)
    const behindItselfMs = told?.behind(row, startedAt) ?? 0
    if (behindMs > 0 || behindItselfMs > 0) {
      this.stale.push({ row, startedAt, behindMs, behindItselfMs })
    }
  }

  /** Stale reads, of those that began in time, that began more than this long after it. */
  staleBeyond(milliseconds: number, beganBefore = Infinity): number {
    return this.stale.filter(
      ({ behindMs, startedAt }) => behindMs > milliseconds && startedAt < beganBefore,
    ).length
  }

  /** Reads in which a process was behind what it had been told itself. */
  get forgetful(): number {
    return this.stale.filter(({ behindItselfMs }) => behindItselfMs > 0).length
  }

  get longestMs(): number {
    return this.stale.reduce((longest, { behindMs }) => Math.max(longest, behindMs), 0)
  }

  toString(): string {
    const share = ((100 * this.hits) / this.reads).toFixed(0)
    return (
      `${this.reads} reads (${share} % hits), ${this.writes} writes (${this.pending} delivered ` +
      `later), ${this.stale.length} stale, longest ${this.longestMs.toFixed(1)} ms`
    )
  }
}
