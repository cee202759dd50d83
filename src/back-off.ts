import { LRUCache } from 'lru-cache'

export interface BackOffOptions {
  /** Keys whose failures are remembered; of more, those asked for longest ago are forgotten. */
  maxKeys: number
  /** Milliseconds without another try after the first failure; each further one doubles them. */
  firstMs: number
  maxMs: number
}

interface Failure {
  readonly at: number
  readonly delayMs: number
}

/** Which keys are better left alone for a while, as what was tried for them has failed. */
export class BackOff {
  readonly #failures: LRUCache<string, Failure>
  readonly #firstMs: number
  readonly #maxMs: number

  constructor({ maxKeys, firstMs, maxMs }: BackOffOptions) {
    this.#failures = new LRUCache({ max: maxKeys })
    this.#firstMs = firstMs
    this.#maxMs = maxMs
  }

  /** Whether it is too early to try this key again. */
  holds(key: string, now: number): boolean {
    const failure = this.#failures.get(key)
    if (failure === undefined) return false
    const passedMs = now - failure.at
    // A clock that was set back must not hold a key for as long as it went back.
    return passedMs >= 0 && passedMs < failure.delayMs
  }

  /** Returns how long the key is left alone, in milliseconds. */
  failed(key: string, now: number): number {
    const before = this.#failures.peek(key)
    const delayMs = before === undefined ? this.#firstMs : Math.min(2 * before.delayMs, this.#maxMs)
    this.#failures.set(key, { at: now, delayMs })
    return delayMs
  }

  succeeded(key: string): void {
    this.#failures.delete(key)
  }
}
