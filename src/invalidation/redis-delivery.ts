import type { Fenced, Invalidation, Verdict } from './log.ts'
import { PendingInvalidations } from './pending-invalidations.ts'
import type { Appended, RedisAppender } from './redis-appender.ts'
import type { Replicas } from './redis-replicas.ts'

const RETRY_MS = 1000

/** Told of the number under which it is in the log now; or that the epoch is gone in its place. */
type WhenDelivered = (invalidation: Invalidation, record: Appended | 'everything') => void

/** Sends again, until it has arrived, what was not confirmed. One delivery at a time. */
export class RedisDelivery {
  readonly #appender: RedisAppender
  readonly #replicas: Replicas | undefined
  readonly #onDelivered: WhenDelivered
  readonly #pending = new PendingInvalidations()
  /** In the master's log, and not known to be in those of enough replicas. */
  readonly #unproven = new PendingInvalidations()
  #delivery: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(appender: RedisAppender, replicas: Replicas | undefined, onDelivered: WhenDelivered) {
    this.#appender = appender
    this.#replicas = replicas
    this.#onDelivered = onDelivered
  }

  /** What becomes of an entry by those that have no number in the log yet. */
  verdict(entry: Fenced): Verdict {
    return this.#pending.verdict(entry)
  }

  get size(): number {
    return this.#pending.size + this.#unproven.size
  }

  all(): Invalidation[] {
    return [...this.#pending.all(), ...this.#unproven.all()]
  }

  add(invalidation: Invalidation, isWritten: boolean): void {
    const queue = isWritten ? this.#unproven : this.#pending
    queue.add(invalidation)
    this.#scheduleRetry()
  }

  /** What comes while one is under way is for the next. */
  deliver(): Promise<void> {
    this.#delivery ??= this.#deliver().finally(() => {
      this.#delivery = undefined
      if (this.size > 0) this.#scheduleRetry()
    })
    return this.#delivery
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
  }

  async #deliver(): Promise<void> {
    if (this.#pending.size > 0) await this.#send(this.#pending)
    if (this.#unproven.size === 0) return
    // To write it again makes invalid again what was computed since: once, when it is of use.
    if ((await this.#replicas!.acknowledge()) === undefined) await this.#send(this.#unproven)
  }

  /** The outcome of a call that seemed to fail is unknown; to send it twice is harmless. */
  async #send(queue: PendingInvalidations): Promise<void> {
    queue.end(await this.#sendAll(queue.begin()))
  }

  async #sendAll(invalidations: readonly Invalidation[]): Promise<boolean> {
    for (const invalidation of invalidations) {
      const outcome = await this.#appender.append(invalidation)
      if (outcome === 'everything' || !('why' in outcome)) this.#onDelivered(invalidation, outcome)
      else if (outcome.isWritten) this.#unproven.add(invalidation)
      else return false
      if (outcome === 'everything') break
    }
    return true
  }

  #scheduleRetry(): void {
    if (this.#retry !== undefined || this.#closed) return
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      void this.deliver()
    }, RETRY_MS)
    this.#retry.unref()
  }
}
