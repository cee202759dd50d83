import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import type { Added, BufferDelta, BufferStore, TakenBatch } from './buffer-store.ts'
import { FAILED, type RedisGuard } from './redis-guard.ts'
import { REPLACE_IF_MINE } from './redis-lease.ts'
import { slotPart } from './redis-locks.ts'

/** Of what has not been flushed: so long may all processes be away. */
const TTL_SECONDS = 30 * 24 * 3600
/** Of the number of a process's last delta: a copy of that comes no later than this. */
const MARK_TTL_SECONDS = 24 * 3600
/** Who writes waits for the answer, or does not care. */
const DEADLINE_MS = 1000
/** The field of a batch that has its id; others begin with `+` or `=`. */
const ID = '#'

/**
 * KEYS: what waits, the number of this process's last delta. ARGV: the number of this one, the most
 * fields, seconds for both keys, then names and values. Returns { whether it is in, fields by now }.
 */
const ADD: RedisScript = redisScript(`
local size = redis.call('HLEN', KEYS[1])
local last = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
if last >= tonumber(ARGV[1]) then return { 1, size } end
for i = 5, #ARGV, 2 do size = size + 1 - redis.call('HEXISTS', KEYS[1], ARGV[i]) end
if size > tonumber(ARGV[2]) then return { 0, size } end
for i = 5, #ARGV, 2 do
  local command = ARGV[i]:sub(1, 1) == '+' and 'HINCRBY' or 'HSET'
  redis.call(command, KEYS[1], ARGV[i], ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[4])
return { 1, size }
`)

/**
 * KEYS: what waits, the batch, the lease. ARGV: token, milliseconds, an id for a new batch, seconds.
 * A batch that is there is from somebody who could not flush it: it comes first, under its own id.
 */
const TAKE: RedisScript = redisScript(`
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[1] then return 'busy' end
if redis.call('EXISTS', KEYS[2]) == 0 then
  if redis.call('EXISTS', KEYS[1]) == 0 then return 'empty' end
  redis.call('RENAME', KEYS[1], KEYS[2])
  redis.call('HSET', KEYS[2], '${ID}', ARGV[3])
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return redis.call('HGETALL', KEYS[2])
`)

/** KEYS: the batch, the lease. ARGV: id, token. Late or twice it touches nobody else's. */
const DONE: RedisScript = redisScript(`
if redis.call('HGET', KEYS[1], '${ID}') == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
if redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('UNLINK', KEYS[2]) end
return 1
`)

export interface RedisBufferParts {
  readonly guard: RedisGuard
  readonly namespace: string
  readonly name: string
  /** Of this process, and of no other at any time. */
  readonly writer: string
}

/** A buffer in Redis, for all processes. Its keys share a hash tag, so that a script may use them all. */
export class RedisBuffer implements BufferStore {
  readonly #guard: RedisGuard
  readonly #live: string
  readonly #batch: string
  readonly #lease: string
  readonly #mark: string

  constructor({ guard, namespace, name, writer }: RedisBufferParts) {
    this.#guard = guard
    this.#live = `${namespace}#b:${slotPart(name)}`
    this.#batch = `${this.#live}:batch`
    this.#lease = `${this.#live}:lease`
    this.#mark = `${this.#live}:w:${writer}`
  }

  get lastError(): string {
    return this.#guard.lastError
  }

  async add({ seq, fields }: BufferDelta, maxFields: number): Promise<Added | typeof FAILED> {
    const args = [seq, maxFields, TTL_SECONDS, MARK_TTL_SECONDS, ...[...fields].flat()]
    const answer = await this.#run(ADD, [this.#live, this.#mark], args)
    if (answer === FAILED) return FAILED
    const [isIn, size] = answer as [number, number]
    return isIn === 1 ? { size } : 'full'
  }

  async take(
    token: string,
    leaseMs: number,
    id: string,
  ): Promise<TakenBatch | 'busy' | 'empty' | typeof FAILED> {
    const keys = [this.#live, this.#batch, this.#lease]
    const answer = await this.#run(TAKE, keys, [token, leaseMs, id, TTL_SECONDS])
    if (answer === FAILED || answer === 'busy' || answer === 'empty') return answer
    const flat = answer as string[]
    const fields = new Map<string, string>()
    for (let at = 0; at + 1 < flat.length; at += 2) fields.set(flat[at]!, flat[at + 1]!)
    const own = fields.get(ID)!
    fields.delete(ID)
    return { id: own, fields }
  }

  async extend(token: string, leaseMs: number): Promise<boolean | typeof FAILED> {
    const answer = await this.#run(REPLACE_IF_MINE, [this.#lease], [token, token, leaseMs])
    return answer === FAILED ? FAILED : Number(answer) === 1
  }

  release(token: string): Promise<unknown> {
    return this.#run(REPLACE_IF_MINE, [this.#lease], [token, '', 0])
  }

  done(id: string, token: string): Promise<unknown> {
    return this.#run(DONE, [this.#batch, this.#lease], [id, token])
  }

  #run(script: RedisScript, keys: string[], args: (string | number)[]): Promise<unknown> {
    return this.#guard.attempt(
      'buffer',
      (client) => runScript(client, script, keys, args),
      DEADLINE_MS,
    )
  }
}
