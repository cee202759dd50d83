import type { LeaseMark, RedisLeases } from './store/redis-lease.ts'

/** What a process that dies while it runs costs the others, in milliseconds. */
const LEASE_MS = 2000
const RENEWALS_PER_LEASE = 3
/** How long a mark holds: about as long as a process remembers by itself. */
const MARK_MS: Readonly<Record<LeaseMark, number>> = { uncacheable: 2000, failed: 1000 }

/** What became of a run: `'over'` lets the next one in, be it to find what was stored. */
export type LeaseOutcome = 'over' | LeaseMark

export interface Holding {
  readonly key: string
  readonly token: string
  /** Milliseconds for which it is renewed at the most. */
  readonly holdMs: number
}

/** For how long a lease is taken at a time, in milliseconds. */
export function leaseLength(holdMs: number): number {
  return Math.min(LEASE_MS, holdMs)
}

/** The right to run for all processes, renewed for as long as it may be held. */
export class FleetLease {
  readonly #leases: RedisLeases
  readonly #held: Holding
  readonly #onEnd: (lease: FleetLease) => void
  readonly #endsAt: number
  #timer: NodeJS.Timeout | undefined
  #settled = false
  #ended = false

  constructor(leases: RedisLeases, held: Holding, onEnd: (lease: FleetLease) => void) {
    this.#leases = leases
    this.#held = held
    this.#onEnd = onEnd
    this.#endsAt = performance.now() + held.holdMs
    this.#renewLater()
  }

  /**
   * Lets the others go on; the first call counts. They look for what is stored, so that must be
   * there first. What could not be stored is no reason for them to run one after the other.
   */
  async settle(outcome: LeaseOutcome, stored?: Promise<boolean>): Promise<void> {
    if (this.#settled) return
    this.#settled = true
    const isLost = (await stored) === false && outcome === 'over'
    this.#ended = true
    clearTimeout(this.#timer)
    this.#onEnd(this)
    const mark = isLost ? 'failed' : outcome
    const end = mark === 'over' ? {} : { mark, ttlMs: MARK_MS[mark] }
    await this.#leases.replace(this.#held.key, this.#held.token, end)
  }

  #renewLater(): void {
    const delayMs = leaseLength(this.#held.holdMs) / RENEWALS_PER_LEASE
    this.#timer = setTimeout(() => void this.#renew(), delayMs).unref()
  }

  async #renew(): Promise<void> {
    const { key, token, holdMs } = this.#held
    const leftMs = this.#endsAt - performance.now()
    // It has run out, be it of a handler that never answers: nothing is held any more.
    if (leftMs <= 0) return this.#onEnd(this)
    const ttlMs = Math.min(leftMs, leaseLength(holdMs))
    const answer = await this.#leases.replace(key, token, { mark: 'mine', ttlMs })
    // Somebody else's by now; what is made here is stored all the same.
    if (answer === false) this.#onEnd(this)
    else if (!this.#ended) this.#renewLater()
  }
}
