import { InvalidationPendingError, ClosedError } from '../errors.ts'
import { FAILED, type RedisClient, type RedisGuard } from '../store/redis-guard.ts'
import type { LogPosition } from '../stored-response.ts'
import {
  type Fenced,
  type Invalidation,
  type InvalidationLog,
  type LogChange,
  type LogState,
  type Receipt,
  type SeenRecord,
  type Verdict,
  harder,
} from './log.ts'
import { LogTable } from './log-table.ts'
import { type Appended, RedisAppender } from './redis-appender.ts'
import { RedisDelivery } from './redis-delivery.ts'
import { RedisFollower } from './redis-follower.ts'
import { type Durability, Replicas } from './redis-replicas.ts'
import { ControlCalls, controlKeys } from './redis-scripts.ts'

export interface RedisLogOptions {
  namespace: string
  maxTags: number
  deadlineMs: number
  /** Looks at the server before each load; rejects when it cannot be used. */
  inspect?: (connection: RedisClient) => Promise<void>
  durability?: Durability | undefined
  onTrouble: (operation: string, error: Error) => void
  onChange?: (change: LogChange) => void
}

/** How long the table may be trusted after the moment for which it was proven complete. */
const LEASE_MS = 2000
const START_MS = 1000
const LOST = 'a failover has lost the end of the log'
/** What is computed before a position is known. */
const NOWHERE: LogPosition = { epoch: '', seq: 0 }

/** The log shared by all processes of a namespace, kept in Redis. */
export class RedisLog implements InvalidationLog {
  readonly #guard: RedisGuard
  readonly #options: RedisLogOptions
  readonly #calls: ControlCalls
  readonly #follower: RedisFollower
  readonly #replicas: Replicas | undefined
  readonly #appender: RedisAppender
  readonly #delivery: RedisDelivery
  /** Forgotten here, and not confirmed by Redis so far. */
  readonly #underWay = new Set<Invalidation>()
  /** What had no number yet when the table was loaded last, half a step after that. */
  #unnumbered: LogTable | undefined
  #confirming: Promise<boolean> | undefined
  #closed = false

  constructor(guard: RedisGuard, options: RedisLogOptions) {
    this.#guard = guard
    this.#options = options
    const calls = new ControlCalls(controlKeys(options.namespace))
    this.#calls = calls
    const { maxTags, deadlineMs, durability, onTrouble } = options
    this.#follower = new RedisFollower(guard.client, {
      calls,
      maxTags,
      inspect: options.inspect,
      beforeTrust: () => this.#beforeTrust(),
      onTrouble,
      onChange: options.onChange,
    })
    const key = calls.keys.seq
    this.#replicas =
      durability && new Replicas(guard.client, { ...durability, key, deadlineMs, onTrouble })
    const replicas = this.#replicas
    this.#appender = new RedisAppender(guard, { calls, maxTags, deadlineMs, replicas, onTrouble })
    this.#delivery = new RedisDelivery(this.#appender, replicas, (invalidation, record) => {
      if (record === 'everything') this.#follower.forgetAll()
      // What is computed from there on is after it, so the mark is no higher.
      else this.#note(invalidation, record)
    })
  }

  get position(): LogPosition {
    return this.#follower.position
  }

  get version(): number {
    return this.#follower.table.version
  }

  allows(entry: Fenced): boolean {
    const { position, table } = this.#follower
    if (entry.epoch !== position.epoch || !table.allows(entry)) return false
    return this.#isSettled() || this.#byUnsettled(entry) === 'valid'
  }

  verdict(entry: Fenced): Verdict {
    const { position, table } = this.#follower
    if (entry.epoch !== position.epoch) return 'purged'
    const verdict = table.verdict(entry)
    return this.#isSettled() ? verdict : harder(verdict, this.#byUnsettled(entry))
  }

  lastInvalidated(tag: string): number {
    return this.#follower.table.lastOf([tag])
  }

  /** Whether the table tells all: every invalidation of this process is in it under its number. */
  #isSettled(): boolean {
    if (this.#delivery.size > 0) return false
    return this.#unnumbered === undefined || this.#underWay.size === 0
  }

  #byUnsettled(entry: Fenced): Verdict {
    const verdict = this.#unnumbered?.verdict(entry) ?? 'valid'
    return this.#delivery.size === 0 ? verdict : harder(verdict, this.#byPending(entry))
  }

  /** What is pending has no number yet that others who are ahead of this process could be behind. */
  #byPending(entry: Fenced): Verdict {
    return entry.seq > this.#follower.position.seq ? 'purged' : this.#delivery.verdict(entry)
  }

  verified(): boolean {
    return performance.now() - this.#follower.verifiedAt <= LEASE_MS
  }

  async start(): Promise<void> {
    this.#follower.start()
    this.#replicas?.start()
    await this.#follower.until(() => this.verified(), START_MS)
  }

  /** Requests of the same moment share one question. */
  confirm(): Promise<boolean> {
    this.#confirming ??= new Promise<void>((resolve) => process.nextTick(resolve)).then(() => {
      this.#confirming = undefined
      return this.#confirm()
    })
    return this.#confirming
  }

  async #confirm(): Promise<boolean> {
    const sentAt = performance.now()
    // A record may overtake the answer; only a number below what was known before is one too low.
    const [known, { highest }] = [this.position, this.#follower.proofs]
    const answer = await this.#guard.attempt('confirm', (client) => this.#calls.position(client))
    if (answer === FAILED) return false
    const [epoch, seq] = answer
    const wentBack = epoch === known.epoch && Number(seq) < highest
    if (epoch !== this.position.epoch || seq == null || wentBack) {
      this.#follower.askReload()
      return false
    }
    const target = Number(seq)
    this.#follower.expect(target, sentAt)
    return this.#follower.until(
      () => epoch !== null && this.hasReached({ epoch, seq: target }) && this.verified(),
      this.#options.deadlineMs,
    )
  }

  rememberFor(windowMs: number): void {
    this.#follower.history.cover(windowMs)
  }

  reachedBefore(milliseconds: number): number {
    return this.#follower.history.reachedBy(performance.now() - milliseconds)
  }

  /** Two logs that a failover made of one have the same numbers, so those alone are not enough. */
  hasReached({ epoch, seq }: LogPosition): boolean {
    const { position, inStep } = this.#follower
    return inStep && epoch !== '' && position.epoch === epoch && position.seq >= seq
  }

  async reach(position: LogPosition, maxWaitMs: number): Promise<boolean> {
    // Of another epoch nothing tells which is the later one, but Redis.
    if (position.epoch !== this.position.epoch && (await this.confirm())) return true
    return this.#follower.until(() => this.hasReached(position), maxWaitMs)
  }

  async invalidate(invalidation: Invalidation): Promise<Receipt> {
    if (this.#closed) throw new ClosedError('an invalidation')
    if (this.#isSettled()) this.#unnumbered = undefined
    this.#forget(invalidation)
    this.#underWay.add(invalidation)
    const known = this.position
    try {
      const outcome = await this.#appender.append(invalidation)
      if (outcome === 'everything') {
        this.#follower.forgetAll()
        return { ...NOWHERE, before: Infinity }
      }
      if ('why' in outcome) {
        this.#delivery.add(invalidation, outcome.isWritten)
        this.#forget(invalidation)
        // Pending, it holds for more than what it is marked above.
        this.#follower.table.version++
        throw new InvalidationPendingError(describe(invalidation), outcome.why)
      }
      const { epoch, seq, before } = outcome
      if (epoch === known.epoch && seq <= known.seq) {
        // Another process may have used what was computed here under a later number.
        this.#follower.askReload()
        this.#delivery.add(invalidation, false)
        throw new InvalidationPendingError(describe(invalidation), LOST)
      }
      await this.#catchUp(invalidation, outcome)
      return { epoch, seq, before }
    } finally {
      this.#underWay.delete(invalidation)
    }
  }

  /** At once and in this process: half a step after everything computed so far. */
  #forget(invalidation: Invalidation): void {
    const { table, position } = this.#follower
    table.apply(invalidation, position.seq + 0.5)
  }

  /** Redis has it, under this number. */
  #note(invalidation: Invalidation, { epoch, seq }: LogPosition): void {
    const { table, position, proofs } = this.#follower
    if (epoch !== position.epoch) return this.#follower.askReload()
    proofs.name(seq)
    table.apply(invalidation, seq)
  }

  async #catchUp(invalidation: Invalidation, { epoch, seq }: Appended): Promise<void> {
    this.#note(invalidation, { epoch, seq })
    // What is computed from now on should carry a position after this one, or it could not be kept.
    await this.#follower.until(
      () => this.position.epoch === epoch && this.position.seq >= seq,
      this.#options.deadlineMs,
    )
  }

  /**
   * A table that was just loaded does not know what Redis has not been told yet; and has, perhaps,
   * what Redis was told and this process not. So it is kept apart, until its number is known: in the
   * table it would stand half a step after a log that need never go on.
   */
  async #beforeTrust(): Promise<void> {
    const { position, table } = this.#follower
    this.#unnumbered = undefined
    if (this.#underWay.size === 0 && this.#delivery.size === 0) return
    this.#unnumbered = new LogTable(this.#options.maxTags)
    for (const each of [...this.#underWay, ...this.#delivery.all()]) {
      this.#unnumbered.apply(each, position.seq + 0.5)
    }
    table.version++
    if (this.#delivery.size > 0) await this.#delivery.deliver()
  }

  state(): LogState {
    const sinceVerifiedMs = performance.now() - this.#follower.verifiedAt
    return {
      epoch: this.position.epoch,
      seq: this.position.seq,
      tags: this.#follower.table.size,
      floor: this.#follower.table.floor,
      verified: this.verified(),
      pendingInvalidations: this.#delivery.size,
      sinceVerifiedMs: Number.isFinite(sinceVerifiedMs) ? sinceVerifiedMs : undefined,
      stalenessBoundMs: LEASE_MS,
    }
  }

  seen(): SeenRecord[] {
    return this.#follower.seen.newestFirst()
  }

  tags(): Iterable<[tag: string, seq: number]> {
    return this.#follower.table.tags()
  }

  namesOf(tag: string): readonly string[] {
    return [tag]
  }

  remembered(): ReadonlyMap<string, string> {
    return new Map()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#delivery.close()
    this.#replicas?.close()
    await this.#follower.close()
  }
}

function describe({ tags }: Invalidation): string {
  if (tags === 'all') return 'everything'
  return tags.length === 1 ? 'one tag' : `${tags.length} tags`
}
