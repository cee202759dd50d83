import { performance } from 'node:perf_hooks'

import {
  type AuditAnswer,
  type Compared,
  type IgnoredParts,
  differenceOf,
  steadyPart,
} from './audit-comparison.ts'
import { type AuditFinding, AuditFindings } from './audit-findings.ts'
import { RecentWrites } from './audit-writes.ts'
import { splitTarget } from './http/cache-key.ts'
import { currentAge, isFresh } from './http/freshness.ts'
import { plainTags } from './invalidation/tags.ts'
import { Pauses } from './pauses.ts'
import type { RefreshRequest } from './refresh-request.ts'
import type { Revalidator } from './revalidator.ts'
import type { TieredCache } from './store/tiered-cache.ts'
import type { StoredEntry } from './stored-response.ts'
import { increment } from './telemetry.ts'

/**
 * Why a drawn hit was not compared. `rate`: one was under way, or too many began in this second. `busy`:
 * the event loop has no time. `identity`: the request had credentials, or the repeated one came to
 * another key. `not-stored`: what the handler answered now would not be stored. `overtaken`: what was
 * served was invalidated, replaced or has expired meanwhile, or a write was under way. `unverified`:
 * Redis could not confirm that. `unsteady`: the answer changes from one run to the next.
 */
export type AuditSkip =
  | 'rate'
  | 'busy'
  | 'identity'
  | 'not-stored'
  | 'overtaken'
  | 'unverified'
  | 'unsteady'

/** What the staleness audit has seen in this process. */
export interface AuditStats {
  /** Hits whose answer was computed once more and compared: `same` and `different`. */
  checked: number
  same: number
  different: number
  /** The handler, or what guards it, refused the repeated request or failed. */
  failed: number
  skipped: Partial<Record<AuditSkip, number>>
  /** The newest first, at most 50. */
  findings: AuditFinding[]
}

/** What was served. */
export interface AuditSubject {
  readonly key: string
  readonly primaryKey: string
  readonly route: string
  readonly entry: StoredEntry
}

export interface AuditorOptions {
  sample: number
  maxPerSecond: number
  recheckMs: number
  ignored: IgnoredParts
}

export interface AuditorParts extends AuditorOptions {
  tiers: TieredCache
  revalidator: Revalidator
  note: (message: string) => void
  /** Whether the process has better things to do. */
  isBusy: () => boolean
}

type Result = 'same' | 'different' | 'failed' | AuditSkip

/** They say something of who asks and how often, and nothing of what is asked for. */
const REFUSALS = new Set([401, 403, 407, 408, 421, 425, 429, 431])

/**
 * Computes a share of what was served once more, in the background and one at a time, and compares. A
 * difference counts only if it is there in two runs some time apart, and what was served was valid and
 * stored after both: then a write has changed what the answer is made of and invalidated none of its tags.
 */
export class Auditor {
  readonly sample: number
  readonly writes: RecentWrites = new RecentWrites()
  readonly #parts: AuditorParts
  readonly #findings: AuditFindings
  readonly #counts = { same: 0, different: 0, failed: 0 }
  readonly #skipped: AuditStats['skipped'] = {}
  readonly #pauses = new Pauses()
  #nextAt = 0
  #isRunning = false
  #isClosed = false

  constructor(parts: AuditorParts) {
    this.#parts = parts
    this.sample = parts.sample
    this.#findings = new AuditFindings(parts.note)
  }

  get options(): AuditorOptions {
    return this.#parts
  }

  /** Whether one may begin. */
  admits(now: number): boolean {
    if (this.#isClosed) return false
    if (this.#isRunning || now < this.#nextAt) {
      this.skip('rate')
      return false
    }
    if (this.#parts.isBusy()) {
      this.skip('busy')
      return false
    }
    this.#nextAt = now + 1000 / this.#parts.maxPerSecond
    return true
  }

  skip(reason: AuditSkip): void {
    increment(this.#skipped, reason)
  }

  /** Never rejects, and nobody waits for it. */
  async begin(subject: AuditSubject, request: RefreshRequest): Promise<void> {
    this.#isRunning = true
    const result = await this.#examine(subject, request).catch((): Result => 'failed')
    this.#isRunning = false
    if (this.#isClosed) return
    if (result === 'same' || result === 'different' || result === 'failed') this.#counts[result]++
    else this.skip(result)
  }

  state(): AuditStats {
    const { same, different, failed } = this.#counts
    const skipped = { ...this.#skipped }
    const findings = this.#findings.list()
    return { checked: same + different, same, different, failed, skipped, findings }
  }

  /** At once: what is under way is of no use to anybody any more. */
  close(): void {
    this.#isClosed = true
    this.#pauses.end()
    this.#parts.revalidator.endAside()
  }

  async #examine(subject: AuditSubject, request: RefreshRequest): Promise<Result> {
    const { ignored } = this.#parts
    const { entry } = subject
    const first = await this.#answer(subject, request)
    if (typeof first === 'string') return first
    if (differenceOf(entry, first, ignored) === undefined) return 'same'
    const writing = this.writes.underWay()
    await this.#pauses.pause(this.#parts.recheckMs)
    if (this.#isClosed) return 'overtaken'
    const second = await this.#answer(subject, request)
    if (typeof second === 'string') return second
    const lasting = steadyPart(
      differenceOf(entry, second, ignored),
      differenceOf(first, second, ignored),
    )
    if (lasting === undefined) return 'unsteady'
    // Whatever began before the first run has told by now what it invalidates.
    for (const write of writing) if (this.writes.isUnderWay(write)) return 'overtaken'
    // Asked last: what was overtaken once stays so.
    const overtaken = await this.#isOvertaken(subject)
    if (overtaken !== undefined) return overtaken
    this.#find(subject, request.url, lasting)
    return 'different'
  }

  #find(
    { route, entry }: AuditSubject,
    url: string,
    differs: NonNullable<ReturnType<typeof differenceOf>>,
  ): void {
    const now = this.#parts.tiers.now()
    const { path } = splitTarget(url)
    const tags = plainTags(entry.tags)
    const found = { route, path, tags, at: now, age: currentAge(entry, now), differs }
    this.#findings.add(found, this.writes.since(entry.storedAt - (entry.computeMs ?? 0)))
  }

  /** What the handler answers now, or why that cannot be said. */
  #answer(subject: AuditSubject, request: RefreshRequest): Promise<Compared | Result> {
    return new Promise((resolve) => {
      let told: AuditAnswer | undefined
      const audit = (answer: AuditAnswer): void => {
        told ??= answer
      }
      const { key } = subject
      const isRunning = this.#parts.revalidator.aside(request, { key, audit }, (outcome) => {
        resolve('error' in outcome ? 'failed' : read(subject, told, outcome.status))
      })
      if (!isRunning) resolve('busy')
    })
  }

  /** Whether what was served would not be served any more. */
  async #isOvertaken({ key, entry }: AuditSubject): Promise<Result | undefined> {
    const { log, memory, now } = this.#parts.tiers
    // Another process may have invalidated what this one does not know of yet.
    if (!(await log.confirm())) return 'unverified'
    if (!isFresh(entry, now()) || !log.allows(entry)) return 'overtaken'
    const kept = memory?.peek(key)?.entry
    return kept === undefined || isSame(kept, entry) ? undefined : 'overtaken'
  }
}

function read(
  { key, primaryKey, entry }: AuditSubject,
  told: AuditAnswer | undefined,
  status: number,
): Compared | Result {
  if (status >= 500 || REFUSALS.has(status)) return 'failed'
  // It has not come to the cache, or has gone around it.
  if (told === undefined) return status >= 400 ? 'failed' : 'identity'
  if (told.overtaken) return 'overtaken'
  if (told.entry !== undefined) return told.key === key ? told.entry : 'identity'
  if (told.primaryKey !== primaryKey) return 'identity'
  if (told.status === entry.status) return 'not-stored'
  return { status: told.status, headers: [], body: undefined }
}

/** Copies of one entry. */
function isSame(one: StoredEntry, other: StoredEntry): boolean {
  return (
    one.epoch === other.epoch &&
    one.seq === other.seq &&
    one.storedAt === other.storedAt &&
    one.freshUntil === other.freshUntil
  )
}

const MAX_UTILIZATION = 0.9
/** What is shorter than that is busy by nature: it is asked while a request is answered. */
const WATCHED_MS = 1000

/** Whether the event loop has hardly been idle of late. */
export function loopWatcher(): () => boolean {
  let last = performance.eventLoopUtilization()
  let lookedAt = performance.now()
  let isBusy = false
  return () => {
    if (performance.now() - lookedAt >= WATCHED_MS) {
      const now = performance.eventLoopUtilization()
      isBusy = performance.eventLoopUtilization(now, last).utilization > MAX_UTILIZATION
      last = now
      lookedAt = performance.now()
    }
    return isBusy
  }
}
