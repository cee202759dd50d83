import type { RedisClient } from '../store/redis-guard.ts'
import type { LogPosition } from '../stored-response.ts'
import { newEpoch } from './local-log.ts'
import { PositionHistory } from './position-history.ts'
import type { LogChange } from './log.ts'
import { LogTable } from './log-table.ts'
import { Proofs } from './proofs.ts'
import {
  Retry,
  ensureConnected,
  nextConnection,
  ownConnection,
  within,
  withReason,
} from './redis-connection.ts'
import { type LogRecord, parseRecords } from './redis-records.ts'
import { CONTROL_TTL_SECONDS, type ControlCalls, controlKeyList } from './redis-scripts.ts'
import { readTags } from './redis-snapshot.ts'
import { SeenRecords } from './seen-records.ts'
import { Waits } from './waits.ts'

export interface FollowerOptions {
  calls: ControlCalls
  maxTags: number
  /** Called before each load; what it rejects with is why there is none. */
  inspect: ((connection: RedisClient) => Promise<void>) | undefined
  /** Called after each load, before the table is trusted again. */
  beforeTrust: () => Promise<void>
  onTrouble: (operation: string, error: Error) => void
  /** May say again what has been said. */
  onChange?: ((change: LogChange) => void) | undefined
}

/** Before the first load nothing can be compared with what others have. */
const UNKNOWN: LogPosition = { epoch: '', seq: 0 }

/** How long a read of the stream waits, and so how often an idle follower asks whether it is right. */
const BLOCK_MS = 500
/** Records in one answer at most. */
const PAGE = 1000
/** On top of what a command may take by itself. */
const PATIENCE_MS = 1500
const REFRESH_TTL_MS = 60_000
const MAX_LEFT = 16

/**
 * Follows the log on its own connection and keeps the table. `verifiedAt` is the moment for which
 * the table is known to have been complete: when the read that proved it was sent.
 */
export class RedisFollower {
  table: LogTable
  position: LogPosition = UNKNOWN
  verifiedAt: number = -Infinity
  readonly proofs: Proofs = new Proofs()
  readonly history: PositionHistory = new PositionHistory()
  readonly seen: SeenRecords = new SeenRecords()
  /** The position is one of the log that is there now: no connection was lost since it was read. */
  inStep = false
  readonly #options: FollowerOptions
  readonly #client: RedisClient
  #connection: RedisClient
  readonly #waits = new Waits()
  #closed = false
  #reloadAsked = false
  #wentBack = false
  /** Epochs that came to their end. One that is back was brought back by a failover. */
  readonly #left: string[] = []
  #lastId = '0-0'
  /** The seq that Redis named when this follower last asked. */
  #checkedSeq = -1
  #ttlRefreshedAt = 0
  #running: Promise<void> | undefined
  #end: (() => void) | undefined
  readonly #retry = new Retry()

  constructor(client: RedisClient, options: FollowerOptions) {
    this.#options = options
    this.table = new LogTable(options.maxTags)
    this.#client = client
    this.#connection = ownConnection(client)
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Makes the table untrusted and loads it again: what it holds may be incomplete. */
  askReload(): void {
    this.verifiedAt = -Infinity
    this.#reloadAsked = true
  }

  /** The epoch is gone: nothing that was computed so far may be used. */
  forgetAll(): void {
    this.#leaveEpoch()
    this.position = UNKNOWN
    this.table.version++
    this.askReload()
  }

  #leaveEpoch(): void {
    const { epoch } = this.position
    if (epoch === '' || this.#left.push(epoch) <= MAX_LEFT) return
    this.#left.shift()
  }

  /** Redis named `seq` in an answer to a question sent at `sentAt`: the lease to be earned. */
  expect(seq: number, sentAt: number): void {
    this.proofs.add(seq, sentAt)
    this.#settle()
  }

  /** Resolves when `condition` holds, at the latest after the given time; says whether it does. */
  until(condition: () => boolean, milliseconds: number): Promise<boolean> {
    return this.#waits.until(condition, milliseconds)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.verifiedAt = -Infinity
    this.#retry.wake()
    this.#waits.close()
    this.#connection.disconnect()
    this.#end?.()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      try {
        await new Promise<void>((resolve, reject) => {
          // A Cluster client that is told to disconnect while it connects may never answer.
          this.#end = resolve
          this.#load()
            .then(() => this.#follow())
            .then(resolve, reject)
        })
      } catch (error) {
        if (this.#closed) return
        this.inStep = false
        this.#options.onTrouble('follow', withReason(this.#connection, error as Error))
        this.#options.onChange?.('log-lost')
        this.#connection = nextConnection(this.#connection, this.#client, this.#retry.failures)
        await this.#retry.pause()
      }
    }
  }

  async #load(): Promise<void> {
    this.#reloadAsked = false
    this.#wentBack = false
    const { keys } = this.#options.calls
    await within(PATIENCE_MS, ensureConnected(this.#connection))
    await this.#options.inspect?.(this.#connection)
    const [sentAt, { highest }] = [performance.now(), this.proofs]
    const [epoch, seq, lastId] = (await this.#open()) as [string, string, string]
    if (this.#left.includes(epoch) || (await this.#isForked(epoch, Number(seq), highest))) {
      await this.#giveUp(epoch)
      throw new Error('the log lost its end in a failover; everything is invalid now')
    }
    const tags = await readTags(this.#connection, keys.tags, PATIENCE_MS)
    const [currentEpoch, floor] = await within(
      PATIENCE_MS,
      this.#connection.mget(keys.epoch, keys.floor),
    )
    const complete = await within(PATIENCE_MS, this.#connection.zscore(keys.tags, ''))
    if (currentEpoch !== epoch || !floor || complete === null) {
      throw new Error('the control keys changed while they were read')
    }
    const table = new LogTable(this.#options.maxTags)
    // A snapshot has no modes. The last may have been the softest, so the hardest is assumed.
    for (const [tag, lastSeq] of tags) table.merge(tag, lastSeq, 'purge')
    table.raiseFloor(Number(floor))
    // What this process has invalidated meanwhile may be in none of this, and is done by now.
    if (epoch === this.position.epoch) table.continue(this.table, Number(seq))
    table.version = this.table.version + 1
    this.table = table
    if (epoch !== this.position.epoch) {
      this.proofs.highest = -1
      this.#leaveEpoch()
      if (this.#left.length > 0) this.#options.onChange?.('epoch-changed')
    }
    this.position = { epoch, seq: Number(seq) }
    this.#lastId = lastId
    this.proofs.restart(Number(seq), sentAt)
    this.#checkedSeq = -1
    await this.#options.beforeTrust()
    this.inStep = true
    this.#retry.succeeded()
    this.#options.onChange?.('log-followed')
    this.#settle()
  }

  #open(): Promise<unknown> {
    return within(PATIENCE_MS, this.#options.calls.run(this.#connection, 'open', [newEpoch()]))
  }

  /**
   * Whether the log is not the one that was followed here so far: its clock went backwards, or has
   * caught up since a failover lost the end, and then the last record known here is none of its own.
   */
  async #isForked(epoch: string, seq: number, highest: number): Promise<boolean> {
    if (epoch !== this.position.epoch) return false
    if (seq < highest) return true
    if (this.#lastId === '0-0') return false
    const answer = await within(
      PATIENCE_MS,
      this.#connection.xrevrange(this.#options.calls.keys.log, this.#lastId, '-', 'COUNT', 1),
    )
    // None so old: trimmed, which takes the oldest first.
    return answer.length > 0 && answer[0]![0] !== this.#lastId
  }

  /** Returns when the table has to be loaded again. */
  async #follow(): Promise<void> {
    let checkedAt = performance.now()
    while (!this.#closed && !this.#reloadAsked) {
      const answer = await within(
        BLOCK_MS + PATIENCE_MS,
        this.#connection.xread(
          ...(['COUNT', PAGE, 'BLOCK', BLOCK_MS, 'STREAMS'] as const),
          ...([this.#options.calls.keys.log, this.#lastId] as const),
        ),
      )
      const records = parseRecords(answer)
      if (records === undefined || !records.every((record) => this.#apply(record))) {
        if (this.#wentBack) await this.#giveUp(this.position.epoch)
        return this.askReload()
      }
      // After a whole page there is more to read, and what was not reached is not missing.
      if (records.length === PAGE) continue
      if (performance.now() - checkedAt >= BLOCK_MS || records.length === 0) {
        checkedAt = performance.now()
        if (!(await this.#check())) return this.askReload()
      }
    }
  }

  /** False when a record is missing before this one, or when it was there in another form before. */
  #apply(record: LogRecord): boolean {
    const { epoch, seq } = this.position
    if (record.epoch !== epoch || record.seq > seq + 1) return false
    if (record.seq <= seq) {
      // New, and yet numbered like one that is known: a failover has lost the end of the log.
      this.#wentBack = true
      return false
    }
    this.table.apply(record, record.seq)
    this.seen.note(record, record)
    this.#lastId = record.id
    this.position = { epoch, seq: record.seq }
    this.proofs.name(record.seq)
    this.#settle()
    return true
  }

  /**
   * Asks for epoch and seq: a stream that was evicted or trimmed under our feet is silent, and a
   * failover may have lost the end of the log. False when the table cannot be right.
   */
  async #check(): Promise<boolean> {
    const behind = this.#checkedSeq > this.position.seq
    const [sentAt, { highest }] = [performance.now(), this.proofs]
    const asked = this.#options.calls.position(this.#connection)
    const [epoch, seq] = await within(PATIENCE_MS, asked)
    if (epoch !== this.position.epoch || seq == null) return false
    if (Number(seq) < highest) {
      await this.#giveUp(epoch)
      return false
    }
    // Named by the check before this one and not in the stream that was read since: records are gone.
    if (behind) return false
    this.#checkedSeq = Number(seq)
    this.expect(this.#checkedSeq, sentAt)
    if (sentAt - this.#ttlRefreshedAt > REFRESH_TTL_MS) await this.#refreshTtl(sentAt)
    return true
  }

  /** The clock went backwards: what was invalidated after its present position is unknown. */
  async #giveUp(epoch: string): Promise<void> {
    await within(PATIENCE_MS, this.#options.calls.run(this.#connection, 'renew', [epoch]))
  }

  async #refreshTtl(now: number): Promise<void> {
    this.#ttlRefreshedAt = now
    for (const key of controlKeyList(this.#options.calls.keys)) {
      await within(PATIENCE_MS, this.#connection.expire(key, CONTROL_TTL_SECONDS))
    }
  }

  #settle(): void {
    if (!this.#reloadAsked && this.position !== UNKNOWN) {
      this.verifiedAt = Math.max(this.verifiedAt, this.proofs.take(this.position.seq))
    }
    this.history.note(this.position, performance.now())
    this.#waits.look()
  }
}
