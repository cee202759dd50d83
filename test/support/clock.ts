// Time for tests: a clock that stands still until it is told otherwise, and waiting for a condition
// where only real time will do.
import { setTimeout as pause } from 'node:timers/promises'

/** An injected `now`; epoch milliseconds. */
export class TestClock {
  #now: number

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  readonly now = (): number => this.#now

  /** Forward, or back with a negative number. */
  advance(milliseconds: number): void {
    this.#now += milliseconds
  }
}

const POLL_MS = 5

/**
 * Waits until the condition holds, or fails with `what`. The time is a bound for a slow machine and
 * no expectation.
 */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 20_000,
): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not reached within ${withinMs} ms: ${what}`)
    await pause(POLL_MS)
  }
}

/** Rejects when the promise is not settled in time: for what must never hang. */
export async function inTime<T>(what: string, promise: Promise<T>, withinMs = 10_000): Promise<T> {
  const timer = new AbortController()
  try {
    const late = pause(withinMs, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`still waiting after ${withinMs} ms: ${what}`)
    })
    return await Promise.race([promise, late])
  } finally {
    timer.abort()
  }
}
