import { FAILED, type RedisClient, type RedisGuard, isReply } from '../store/redis-guard.ts'
import { newEpoch } from './local-log.ts'
import type { Invalidation, Receipt } from './log.ts'
import type { Replicas } from './redis-replicas.ts'
import type { ControlCalls } from './redis-scripts.ts'

export interface AppenderOptions {
  calls: ControlCalls
  maxTags: number
  deadlineMs: number
  /** Who else must have it; undefined: the server that answers is enough. */
  replicas: Replicas | undefined
  onTrouble: (operation: string, error: Error) => void
}

/** A record of the log, with its id in the stream. */
export interface Appended extends Receipt {
  readonly id: string
}

/** What went wrong, in words; and whether the log of the master has it all the same. */
export interface NotAppended {
  readonly why: string
  readonly isWritten: boolean
}

/** Records kept in the stream for processes that lag; who lags more loads the table again. */
const MAX_RECORDS = 10_000
/** Tags per script call: Lua's stack limits what one record can hold. */
const MAX_TAGS_PER_RECORD = 1000
/** A write waits for its invalidation, so it gets more time than a read that can go around. */
const MIN_DEADLINE_MS = 1000

/** Tells Redis of an invalidation, by the narrowest means that it accepts. */
export class RedisAppender {
  readonly #guard: RedisGuard
  readonly #options: AppenderOptions

  constructor(guard: RedisGuard, options: AppenderOptions) {
    this.#guard = guard
    this.#options = options
  }

  /**
   * The last record that was made of it; or `'everything'`, when the script was refused and the epoch
   * is gone. In bounded time; never rejects.
   */
  async append(invalidation: Invalidation): Promise<Appended | 'everything' | NotAppended> {
    const { replicas } = this.#options
    const records: Appended[] = []
    let isAll = false
    for (const part of partsOf(invalidation)) {
      const answer = await this.#send(part)
      if (answer === FAILED) return { why: this.#guard.lastError, isWritten: false }
      isAll = answer === 'everything'
      if (isAll) break
      records.push(answer as Appended)
    }
    if (replicas !== undefined) {
      const why =
        (await replicas.acknowledge()) ?? (isAll ? undefined : await this.#missing(records))
      if (why !== undefined) return { why, isWritten: true }
    }
    if (isAll) return 'everything'
    return { ...records.at(-1)!, before: Math.max(...records.map(({ before }) => before)) }
  }

  async #send({ tags, mode }: Invalidation): Promise<Appended | 'everything' | typeof FAILED> {
    const { calls, maxTags, deadlineMs } = this.#options
    const args = [newEpoch(), mode, maxTags, MAX_RECORDS, ...(tags === 'all' ? [] : tags)]
    let isAwaited = true
    const answer = await this.#guard.attempt(
      'invalidate',
      async (client) => {
        try {
          return appended(await calls.run(client, 'invalidate', args))
        } catch (error) {
          if (!isAwaited || !isRefusal(error)) throw error
          return await this.#removeEpoch(client, error as Error)
        }
      },
      Math.max(MIN_DEADLINE_MS, deadlineMs),
    )
    isAwaited = false
    return answer
  }

  /**
   * The server takes writes and not this script. Without the epoch nothing is valid anywhere: a
   * process notices with its next look at the log, or asks because its lease is over. A full server
   * accepts this always.
   */
  async #removeEpoch(client: RedisClient, refusal: Error): Promise<'everything'> {
    const { calls, onTrouble } = this.#options
    onTrouble('invalidate', refusal)
    await client.unlink(calls.keys.epoch)
    return 'everything'
  }

  /**
   * Why the replicas may have acknowledged a log without these records: a failover came between, and
   * they are those of another master.
   */
  async #missing(records: readonly Appended[]): Promise<string | undefined> {
    const { log } = this.#options.calls.keys
    const found = await this.#guard.attempt('confirm', (client) =>
      Promise.all(records.map(({ id }) => client.xrevrange(log, id, id))),
    )
    if (found === FAILED) return this.#guard.lastError
    const areThere = found.every((each) => each.length === 1)
    return areThere ? undefined : 'a failover has lost the record'
  }
}

function* partsOf(invalidation: Invalidation): Generator<Invalidation> {
  const { tags, mode } = invalidation
  if (tags === 'all') return yield invalidation
  for (let at = 0; at < tags.length; at += MAX_TAGS_PER_RECORD) {
    yield { tags: tags.slice(at, at + MAX_TAGS_PER_RECORD), mode }
  }
}

function appended(answer: unknown): Appended {
  const [epoch, seq, id, before] = Array.isArray(answer) ? (answer as unknown[]) : []
  if (typeof epoch !== 'string' || !/^\d+$/.test(String(seq)) || typeof id !== 'string') {
    throw new Error('the answer to the script is none of ours')
  }
  return { epoch, seq: Number(seq), id, before: Number(before) }
}

/** What passes, and meanwhile stands in the way of any other write as well; Redis 6.2 quotes it. */
const PASSING =
  /(?:^|[-\s])(?:BUSY|LOADING|READONLY|MISCONF|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOAUTH|UNKILLABLE)\b/

/** The server has answered that it does not run this script: not now, and not a moment later. */
function isRefusal(error: unknown): boolean {
  return isReply(error) && !PASSING.test(error.message)
}
