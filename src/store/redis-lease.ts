import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import { EntryFrames } from './entry-frames.ts'
import { FAILED, type RedisGuard } from './redis-guard.ts'

/**
 * What the last holder says to those who come, for a moment: that what it made is for nobody else,
 * or that it made nothing.
 */
export type LeaseMark = 'uncacheable' | 'failed'

export type LeaseState = 'mine' | 'held' | 'free' | LeaseMark | typeof FAILED

/** What a lease is replaced by: nothing, a mark, or itself with a new lifetime. */
export type LeaseEnd =
  | { readonly mark?: never }
  | { readonly mark: LeaseMark | 'mine'; readonly ttlMs: number }

/**
 * KEYS[1]: the lease. ARGV: the token, what takes its place (nothing to remove it), milliseconds.
 * Whoever holds it by now is not touched: this may come late, and more than once.
 */
export const REPLACE_IF_MINE: RedisScript = redisScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('UNLINK', KEYS[1])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
`)

/** Tokens begin with it, and marks do not. */
const HELD = 't:'

/**
 * Leases in Redis: one key each, with the token of its holder, that ends by itself. They keep
 * processes from doing the same work at the same time; nothing goes wrong when they fail to.
 */
export class RedisLeases {
  readonly #guard: RedisGuard
  readonly #frames: EntryFrames

  constructor(
    guard: RedisGuard,
    namespace: string,
    frames: EntryFrames = new EntryFrames({ namespace }),
  ) {
    this.#guard = guard
    this.#frames = frames
  }

  /** Takes the lease if nobody holds it. Never rejects. */
  async take(key: string, token: string, ttlMs: number): Promise<LeaseState> {
    const answer = await this.#guard.attempt('lease', (client) =>
      client.set(this.#frames.leaseNameOf(key), HELD + token, 'PX', atLeastOne(ttlMs), 'NX'),
    )
    if (answer === FAILED) return FAILED
    return answer === null ? this.look(key, token) : 'mine'
  }

  /** `'mine'` is what a command says that was sent twice, as a client does after a lost connection. */
  async look(key: string, token: string): Promise<LeaseState> {
    const value = await this.#guard.attempt('lease', (client) =>
      client.get(this.#frames.leaseNameOf(key)),
    )
    if (value === FAILED) return FAILED
    if (value === null) return 'free'
    if (value === HELD + token) return 'mine'
    if (value.startsWith(HELD)) return 'held'
    // What is no token and no mark is for nobody to wait for.
    return value === 'uncacheable' ? value : 'failed'
  }

  /** Removes, marks or prolongs the lease; false when it is somebody else's by now. Never rejects. */
  async replace(key: string, token: string, end: LeaseEnd): Promise<boolean | typeof FAILED> {
    const value = end.mark === 'mine' ? HELD + token : (end.mark ?? '')
    const ttlMs = end.mark === undefined ? 0 : atLeastOne(end.ttlMs)
    const answer = await this.#guard.attempt('lease', (client) =>
      runScript(
        client,
        REPLACE_IF_MINE,
        [this.#frames.leaseNameOf(key)],
        [HELD + token, value, ttlMs],
      ),
    )
    return answer === FAILED ? FAILED : Number(answer) === 1
  }
}

function atLeastOne(milliseconds: number): number {
  return Math.max(1, Math.ceil(milliseconds))
}
