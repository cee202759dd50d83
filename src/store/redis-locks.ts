import { digest } from '../http/encoding.ts'
import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import { FAILED, type RedisGuard } from './redis-guard.ts'
import { REPLACE_IF_MINE } from './redis-lease.ts'

/** Longer than any lock is held or any process sleeps. */
const COUNTER_TTL_SECONDS = 30 * 24 * 3600
const MAX_READABLE_LENGTH = 200
/** Who asks for a lock waits for the answer, and has nothing to go on with. */
const DEADLINE_MS = 1000

/**
 * KEYS: the lock, its counter. ARGV: token, milliseconds, seconds for the counter. Returns { 1, the
 * fencing number }, or { 0, milliseconds until the lock ends }. Sent twice it takes the lock once.
 *
 * The number is never below the server's clock: it also grows where the counter was lost, by a
 * failover, an eviction or a restart.
 */
const TAKE: RedisScript = redisScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { 0, redis.call('PTTL', KEYS[1]) } end
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if not holder or last == 0 then
  local time = redis.call('TIME')
  last = math.max(last + 1, time[1] * 1000 + math.floor(time[2] / 1000))
end
local fencing = string.format('%.0f', last)
redis.call('SET', KEYS[2], fencing, 'EX', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { 1, fencing }
`)

export type LockAnswer =
  | { readonly fencing: number; readonly heldForMs?: undefined }
  | { readonly fencing?: undefined; readonly heldForMs: number }

/**
 * Locks in Redis: a token that ends by itself, and a number that only grows. Both keys of a lock
 * have its name as their hash tag, so that one script may touch both in a Cluster.
 */
export class RedisLocks {
  readonly #guard: RedisGuard
  readonly #prefix: string

  constructor(guard: RedisGuard, namespace: string) {
    this.#guard = guard
    this.#prefix = `${namespace}#x:`
  }

  get lastError(): string {
    return this.#guard.lastError
  }

  /** Never rejects. */
  async take(name: string, token: string, ttlMs: number): Promise<LockAnswer | typeof FAILED> {
    const key = this.#keyOf(name)
    return this.#guard.attempt(
      'lock',
      async (client) => {
        const args = [token, Math.ceil(ttlMs), COUNTER_TTL_SECONDS]
        const answer = await runScript(client, TAKE, [key, `${key}:n`], args)
        const [isTaken, number] = answer as [number, number | string]
        return isTaken === 1 ? { fencing: Number(number) } : { heldForMs: Number(number) }
      },
      DEADLINE_MS,
    )
  }

  /** A new lifetime for who still holds it. False: it does not any more. Never rejects. */
  extend(name: string, token: string, ttlMs: number): Promise<boolean | typeof FAILED> {
    return this.#replace(name, [token, token, Math.ceil(ttlMs)])
  }

  /** Removes the lock of this holder and of no other. Never rejects. */
  release(name: string, token: string): Promise<boolean | typeof FAILED> {
    return this.#replace(name, [token, '', 0])
  }

  async #replace(name: string, args: (string | number)[]): Promise<boolean | typeof FAILED> {
    const key = this.#keyOf(name)
    const answer = await this.#guard.attempt(
      'lock',
      (client) => runScript(client, REPLACE_IF_MINE, [key], args),
      DEADLINE_MS,
    )
    return answer === FAILED ? FAILED : Number(answer) === 1
  }

  #keyOf(name: string): string {
    return this.#prefix + slotPart(name)
  }
}

/** A name in braces, which make it the hash tag; what would not fit there is digested. */
export function slotPart(name: string): string {
  const isPlain = name.length <= MAX_READABLE_LENGTH && !/[{}]/.test(name)
  return isPlain ? `{${name}}` : `{#${digest(name)}}`
}
