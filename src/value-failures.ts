import type { Fenced, InvalidationLog } from './invalidation/log.ts'

/** An error that is given again for a while, under the fences of the value that it stands for. */
export interface ValueFailure extends Fenced {
  readonly error: unknown
  /** Epoch milliseconds. */
  readonly until: number
}

const MAX_FAILURES = 1000

/**
 * Errors of factories, where `errorTtl` asks for it. Each process keeps its own, as they were thrown:
 * an error is no value, and its class would be lost on the way through Redis.
 */
export class ValueFailures {
  readonly #byName = new Map<string, ValueFailure>()

  find(name: string, now: number, log: InvalidationLog): ValueFailure | undefined {
    const failure = this.#byName.get(name)
    if (failure === undefined) return undefined
    if (now < failure.until && log.allows(failure)) return failure
    this.#byName.delete(name)
    return undefined
  }

  add(name: string, failure: ValueFailure): void {
    this.#byName.delete(name)
    this.#byName.set(name, failure)
    if (this.#byName.size <= MAX_FAILURES) return
    const [oldest] = this.#byName.keys()
    this.#byName.delete(oldest!)
  }
}
