import { FAILED } from './store/redis-guard.ts'

const RENEWALS_PER_TTL = 3
/** What is left of the ttl when it is given up: time to stop before somebody else may begin. */
const MARGIN = 0.1

export interface RenewalParts {
  readonly ttlMs: number
  /** When the command was sent that took it, by `performance.now()`: it holds at least from then on. */
  readonly takenAt: number
  /**
   * False when it is somebody else's by now, or nobody's. Never rejects. Undefined: nobody else could
   * take it.
   */
  readonly extend: (() => Promise<boolean | typeof FAILED>) | undefined
  /** Why it is lost, for the signal. */
  readonly reason: () => Error
}

/**
 * Holds what ends by itself, a lock or a lease, for as long as work goes on. The signal aborts when
 * it is lost, or may be: what Redis does not confirm in time counts as lost.
 */
export class Renewal {
  #isLost = false
  /** By `performance.now()`. */
  #endsAt = Infinity
  readonly #parts: RenewalParts
  readonly #abort = new AbortController()
  #next: NodeJS.Timeout | undefined
  #end: NodeJS.Timeout | undefined
  #isOver = false

  constructor(parts: RenewalParts) {
    this.#parts = parts
    if (parts.extend === undefined) return
    this.#holdsFrom(parts.takenAt)
    this.#renewIn(parts.ttlMs / RENEWALS_PER_TTL)
  }

  /** Also where the process stood still, and no timer could tell. */
  get isLost(): boolean {
    return this.#isLost || performance.now() >= this.#endsAt
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** Asks for the end of the work; it is held until that has come. */
  interrupt(reason: Error): void {
    this.#abort.abort(reason)
  }

  stop(): void {
    this.#isOver = true
    clearTimeout(this.#next)
    clearTimeout(this.#end)
  }

  #holdsFrom(sentAt: number): void {
    clearTimeout(this.#end)
    this.#endsAt = sentAt + this.#parts.ttlMs * (1 - MARGIN)
    const leftMs = Math.max(0, this.#endsAt - performance.now())
    this.#end = setTimeout(() => this.#lose(), leftMs).unref()
  }

  #renewIn(delayMs: number): void {
    this.#next = setTimeout(() => void this.#renew(), delayMs).unref()
  }

  async #renew(): Promise<void> {
    const sentAt = performance.now()
    const answer = await this.#parts.extend!()
    if (this.#isOver) return
    if (answer === false) return this.#lose()
    if (answer === true) this.#holdsFrom(sentAt)
    this.#renewIn(this.#parts.ttlMs / RENEWALS_PER_TTL / (answer === FAILED ? 4 : 1))
  }

  #lose(): void {
    this.#isLost = true
    this.stop()
    this.#abort.abort(this.#parts.reason())
  }
}
