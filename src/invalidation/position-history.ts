import type { LogPosition } from '../stored-response.ts'

interface Moment {
  readonly at: number
  readonly seq: number
}

/** How finely the window is remembered: there are at most two moments for each part, and a few. */
const MOMENTS = 32

/**
 * When this process came to which position of the log, as far back as the longest window. Bounded,
 * so some positions count as reached later than they were, and none as reached earlier.
 */
export class PositionHistory {
  #windowMs = 0
  #epoch = ''
  /** The earliest first; of one epoch. */
  #moments: Moment[] = []

  /** Remembers this far back from now on. */
  cover(windowMs: number): void {
    this.#windowMs = Math.max(this.#windowMs, windowMs)
  }

  note({ epoch, seq }: LogPosition, now: number): void {
    if (this.#windowMs === 0 || epoch === '') return
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#moments = []
    }
    const moments = this.#moments
    const last = moments.at(-1)
    if (last?.seq === seq) return
    const before = moments.at(-2)
    // What came just before is put off until now.
    if (before !== undefined && now - before.at < this.#windowMs / MOMENTS) moments.pop()
    moments.push({ at: now, seq })
    let old = 0
    while (old + 1 < moments.length && moments[old + 1]!.at <= now - this.#windowMs) old++
    if (old > 0) moments.splice(0, old)
  }

  /** The latest position that is known to have been reached by then; -1 when none is. */
  reachedBy(at: number): number {
    let seq = -1
    for (const moment of this.#moments) {
      if (moment.at > at) break
      seq = moment.seq
    }
    return seq
  }

  /** Moments that are remembered. */
  get size(): number {
    return this.#moments.length
  }
}
