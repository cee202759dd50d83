import { randomBytes } from 'node:crypto'

import { ClosedError } from '../errors.ts'
import { EPOCH_LENGTH, type LogPosition } from '../stored-response.ts'
import { PositionHistory } from './position-history.ts'
import { LogTable } from './log-table.ts'
import type {
  Fenced,
  Invalidation,
  InvalidationLog,
  LogState,
  Receipt,
  SeenRecord,
  Verdict,
} from './log.ts'
import { SeenRecords } from './seen-records.ts'

export function newEpoch(): string {
  return randomBytes(EPOCH_LENGTH / 2).toString('hex')
}

/** The log of a process that caches for itself alone: same rules, no lease, nothing to wait for. */
export class LocalLog implements InvalidationLog {
  position: LogPosition = { epoch: newEpoch(), seq: 0 }
  readonly #table: LogTable
  readonly #history = new PositionHistory()
  readonly #seen = new SeenRecords()
  #closed = false

  constructor(maxTags: number) {
    this.#table = new LogTable(maxTags)
  }

  get version(): number {
    return this.#table.version
  }

  allows(entry: Fenced): boolean {
    return entry.epoch === this.position.epoch && this.#table.allows(entry)
  }

  verdict(entry: Fenced): Verdict {
    return entry.epoch === this.position.epoch ? this.#table.verdict(entry) : 'purged'
  }

  lastInvalidated(tag: string): number {
    return this.#table.lastOf([tag])
  }

  verified(): boolean {
    return true
  }

  confirm(): Promise<boolean> {
    return Promise.resolve(true)
  }

  rememberFor(windowMs: number): void {
    this.#history.cover(windowMs)
    this.#history.note(this.position, performance.now())
  }

  reachedBefore(milliseconds: number): number {
    return this.#history.reachedBy(performance.now() - milliseconds)
  }

  hasReached(): boolean {
    return true
  }

  reach(): Promise<boolean> {
    return Promise.resolve(true)
  }

  invalidate(invalidation: Invalidation): Promise<Receipt> {
    if (this.#closed) return Promise.reject(new ClosedError('an invalidation'))
    const { tags } = invalidation
    const before = this.#table.lastOf(tags === 'all' ? [] : tags)
    const seq = this.position.seq + 1
    this.position = { epoch: this.position.epoch, seq }
    this.#table.apply(invalidation, seq)
    this.#seen.note(invalidation, this.position)
    this.#history.note(this.position, performance.now())
    return Promise.resolve({ ...this.position, before })
  }

  state(): LogState {
    return {
      epoch: this.position.epoch,
      seq: this.position.seq,
      tags: this.#table.size,
      floor: this.#table.floor,
      verified: true,
      sinceVerifiedMs: 0,
      pendingInvalidations: 0,
      stalenessBoundMs: 0,
    }
  }

  seen(): SeenRecord[] {
    return this.#seen.newestFirst()
  }

  tags(): Iterable<[tag: string, seq: number]> {
    return this.#table.tags()
  }

  namesOf(tag: string): readonly string[] {
    return [tag]
  }

  remembered(): ReadonlyMap<string, string> {
    return new Map()
  }

  start(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }
}
