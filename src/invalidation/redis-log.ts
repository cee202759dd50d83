import { InvalidationPendingError, ClosedError } from '../errors.ts'
import { runScript } from '../redis-script.ts'
import { FAILED, type RedisGuard } from '../store/redis-guard.ts'
import type { LogPosition } from '../stored-response.ts'
import { newEpoch } from './local-log.ts'
import type { Fenced, Invalidation, InvalidationLog, LogState, Verdict } from './log.ts'
import { PendingInvalidations } from './pending-invalidations.ts'
import { type LogChange, RedisFollower } from './redis-follower.ts'
import { type ControlKeys, controlKeyList, controlKeys } from './redis-scripts.ts'

export interface RedisLogOptions {
  namespace: string
  maxTags: number
  deadlineMs: number
  onTrouble: (operation: string, error: Error) => void
  onChange?: (change: LogChange) => void
}

/** How long the table may be trusted after the moment for which it was proven complete. */
const LEASE_MS = 2000
/** Records kept in the stream for processes that lag; who lags more loads the table again. */
const MAX_RECORDS = 10_000
/** A write waits for its invalidation, so it gets more time than a read that can go around. */
const MIN_INVALIDATION_DEADLINE_MS = 1000
const START_MS = 1000
const RETRY_MS = 1000
/** Tags per script call: Lua's stack limits what one record can hold. */
const MAX_TAGS_PER_RECORD = 1000

/** The log shared by all processes of a namespace, kept in Redis. */
export class RedisLog implements InvalidationLog {
  readonly #guard: RedisGuard
  readonly #options: RedisLogOptions
  readonly #keys: ControlKeys
  readonly #follower: RedisFollower
  readonly #pending = new PendingInvalidations()
  /** Forgotten here, and not confirmed by Redis so far. */
  readonly #underWay = new Set<Invalidation>()
  #confirming: Promise<boolean> | undefined
  #delivery: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(guard: RedisGuard, options: RedisLogOptions) {
    this.#guard = guard
    this.#options = options
    this.#keys = controlKeys(options.namespace)
    this.#follower = new RedisFollower(guard.client, {
      keys: this.#keys,
      maxTags: options.maxTags,
      beforeTrust: () => this.#beforeTrust(),
      onTrouble: options.onTrouble,
      onChange: options.onChange,
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
    return entry.epoch === position.epoch && table.allows(entry)
  }

  verdict(entry: Fenced): Verdict {
    const { position, table } = this.#follower
    return entry.epoch === position.epoch ? table.verdict(entry) : 'purged'
  }

  verified(): boolean {
    return performance.now() - this.#follower.verifiedAt <= LEASE_MS
  }

  async start(): Promise<void> {
    this.#follower.start()
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
    const known = this.position
    const answer = await this.#guard.attempt('confirm', (client) =>
      client.mget(this.#keys.epoch, this.#keys.seq),
    )
    if (answer === FAILED) return false
    const [epoch, seq] = answer
    const wentBack = epoch === known.epoch && Number(seq) < known.seq
    if (epoch !== this.position.epoch || seq == null || wentBack) {
      this.#follower.askReload()
      return false
    }
    const target = Number(seq)
    this.#follower.expect(target, sentAt)
    return this.#follower.until(
      () => this.#hasReached(epoch, target) && this.verified(),
      this.#options.deadlineMs,
    )
  }

  /** Two logs that a failover made of one have the same numbers, so those alone are not enough. */
  #hasReached(epoch: string | null, seq: number): boolean {
    const { position, inStep } = this.#follower
    return inStep && position.epoch === epoch && position.seq >= seq
  }

  async invalidate(invalidation: Invalidation): Promise<void> {
    if (this.#closed) throw new ClosedError('an invalidation')
    this.#forget(invalidation)
    this.#underWay.add(invalidation)
    try {
      for (const part of partsOf(invalidation)) {
        const outcome = await this.#append(part)
        if (outcome === true) continue
        this.#pending.add(invalidation)
        this.#scheduleRetry()
        throw new InvalidationPendingError(describe(invalidation), outcome)
      }
    } finally {
      this.#underWay.delete(invalidation)
    }
  }

  /** At once and in this process: half a step after everything computed so far. */
  #forget(invalidation: Invalidation): void {
    const { table, position } = this.#follower
    table.apply(invalidation, position.seq + 0.5)
  }

  /** True when Redis has it and this process has caught up with it; otherwise what went wrong. */
  async #append(part: Invalidation): Promise<true | string> {
    const answer = await this.#send(part)
    if (answer === FAILED) return this.#guard.lastError
    const [epoch, seqText] = answer as [string, string]
    const seq = Number(seqText)
    const { table, position } = this.#follower
    if (epoch !== position.epoch) this.#follower.askReload()
    else table.apply(part, seq)
    // What is computed from now on should carry a position after this one, or it could not be kept.
    await this.#follower.until(
      () => this.position.epoch === epoch && this.position.seq >= seq,
      this.#options.deadlineMs,
    )
    return true
  }

  #send({ tags, mode }: Invalidation): Promise<unknown> {
    return this.#guard.attempt(
      'invalidate',
      (client) =>
        runScript(client, this.#follower.scripts.invalidate, controlKeyList(this.#keys), [
          newEpoch(),
          mode,
          this.#options.maxTags,
          MAX_RECORDS,
          ...(tags === 'all' ? [] : tags),
        ]),
      Math.max(MIN_INVALIDATION_DEADLINE_MS, this.#options.deadlineMs),
    )
  }

  /** A table that was just loaded does not know what Redis has not been told yet. */
  async #beforeTrust(): Promise<void> {
    for (const invalidation of this.#underWay) this.#forget(invalidation)
    await this.#deliverPending()
  }

  /** One delivery at a time; what comes meanwhile is for the next. */
  #deliverPending(): Promise<void> {
    for (const invalidation of this.#pending.all()) this.#forget(invalidation)
    this.#delivery ??= this.#deliver().finally(() => {
      this.#delivery = undefined
      if (this.#pending.size > 0) this.#scheduleRetry()
    })
    return this.#delivery
  }

  async #deliver(): Promise<void> {
    this.#pending.end(await this.#sendAll(this.#pending.begin()))
  }

  /** The outcome of a call that seemed to fail is unknown; to send it twice is harmless. */
  async #sendAll(invalidations: readonly Invalidation[]): Promise<boolean> {
    for (const invalidation of invalidations) {
      for (const part of partsOf(invalidation)) {
        if ((await this.#send(part)) === FAILED) return false
      }
    }
    return true
  }

  #scheduleRetry(): void {
    if (this.#retry !== undefined || this.#closed) return
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      void this.#deliverPending()
    }, RETRY_MS)
    this.#retry.unref()
  }

  state(): LogState {
    return {
      epoch: this.position.epoch,
      seq: this.position.seq,
      tags: this.#follower.table.size,
      floor: this.#follower.table.floor,
      verified: this.verified(),
      pendingInvalidations: this.#pending.size,
      stalenessBoundMs: LEASE_MS,
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#follower.close()
  }
}

function* partsOf(invalidation: Invalidation): Generator<Invalidation> {
  const { tags, mode } = invalidation
  if (tags === 'all') return yield invalidation
  for (let at = 0; at < tags.length; at += MAX_TAGS_PER_RECORD) {
    yield { tags: tags.slice(at, at + MAX_TAGS_PER_RECORD), mode }
  }
}

function describe({ tags }: Invalidation): string {
  if (tags === 'all') return 'everything'
  return tags.length === 1 ? 'one tag' : `${tags.length} tags`
}
