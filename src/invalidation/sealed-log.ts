import type { Sealing } from '../sealing.ts'
import type { LogPosition } from '../stored-response.ts'
import type {
  Fenced,
  Invalidation,
  InvalidationLog,
  LogState,
  Receipt,
  SeenRecord,
  Verdict,
} from './log.ts'
import { globOf } from './tags.ts'

/** Tags whose names are remembered: those of entries that are in use. */
const MAX_REMEMBERED = 20_000

/**
 * A log in which tags have names that say nothing, one for each key. An invalidation is appended
 * under all of them and an entry is put to the test under all of them, so processes that have one
 * key in common tell each other everything, whatever else they have.
 */
export class SealedLog implements InvalidationLog {
  readonly #log: InvalidationLog
  readonly #sealing: Sealing
  readonly #byTag = new Map<string, readonly string[]>()
  readonly #byEntry = new WeakMap<Fenced, Fenced>()

  constructor(log: InvalidationLog, sealing: Sealing) {
    this.#log = log
    this.#sealing = sealing
  }

  get position(): LogPosition {
    return this.#log.position
  }

  get version(): number {
    return this.#log.version
  }

  allows(entry: Fenced): boolean {
    return this.#log.allows(this.#named(entry))
  }

  verdict(entry: Fenced): Verdict {
    return this.#log.verdict(this.#named(entry))
  }

  lastInvalidated(tag: string): number {
    return Math.max(...[tag, ...this.#namesOf(tag)].map((name) => this.#log.lastInvalidated(name)))
  }

  invalidate({ tags, mode }: Invalidation): Promise<Receipt> {
    if (tags === 'all') return this.#log.invalidate({ tags, mode })
    return this.#log.invalidate({ tags: tags.flatMap((tag) => this.#namesOf(tag)), mode })
  }

  /** The same object for the same entry: a log may remember what it found out. */
  #named(entry: Fenced): Fenced {
    let named = this.#byEntry.get(entry)
    if (named === undefined) {
      const { epoch, seq, tags } = entry
      // The tags as they are, too: processes that do not encrypt yet invalidate by those.
      named = { epoch, seq, tags: [...tags.flatMap((tag) => this.#namesOf(tag)), ...tags] }
      this.#byEntry.set(entry, named)
    }
    return named
  }

  #namesOf(tag: string): readonly string[] {
    // What is compared with names has to be read by all.
    if (globOf(tag) !== undefined) return [tag]
    let names = this.#byTag.get(tag)
    if (names === undefined) {
      if (this.#byTag.size >= MAX_REMEMBERED) this.#byTag.clear()
      this.#byTag.set(tag, (names = this.#sealing.tagNames(tag)))
    }
    return names
  }

  verified(): boolean {
    return this.#log.verified()
  }

  confirm(): Promise<boolean> {
    return this.#log.confirm()
  }

  rememberFor(windowMs: number): void {
    this.#log.rememberFor(windowMs)
  }

  reachedBefore(milliseconds: number): number {
    return this.#log.reachedBefore(milliseconds)
  }

  hasReached(position: LogPosition): boolean {
    return this.#log.hasReached(position)
  }

  reach(position: LogPosition, maxWaitMs: number): Promise<boolean> {
    return this.#log.reach(position, maxWaitMs)
  }

  state(): LogState {
    return this.#log.state()
  }

  seen(): SeenRecord[] {
    return this.#log.seen()
  }

  tags(): Iterable<[tag: string, seq: number]> {
    return this.#log.tags()
  }

  /** Not remembered: who looks at all tags must not make room for them in the place of those in use. */
  namesOf(tag: string): readonly string[] {
    if (globOf(tag) !== undefined) return [tag]
    return [tag, ...(this.#byTag.get(tag) ?? this.#sealing.tagNames(tag))]
  }

  remembered(): ReadonlyMap<string, string> {
    const tags = new Map<string, string>()
    for (const [tag, names] of this.#byTag) for (const name of names) tags.set(name, tag)
    return tags
  }

  start(): Promise<void> {
    return this.#log.start()
  }

  close(): Promise<void> {
    return this.#log.close()
  }
}
