import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import { type StoredEntry, decodeEntry, encodeEntry } from '../stored-response.ts'
import { FAILED, type RedisGuard } from './redis-guard.ts'

/**
 * Compare and set on the entry's own key. KEYS[1]: the entry. ARGV: frame, ttl in milliseconds,
 * epoch, seq. A slow writer must not replace what was computed after a later invalidation, so the
 * frame's epoch and seq stand where this script can read them. Anything else at the key is replaced.
 */
const SET_IF_NEWER: RedisScript = redisScript(`
local head = redis.pcall('GETRANGE', KEYS[1], 8, 39)
if type(head) == 'string' and #head == 32 and head:sub(1, 16) == ARGV[3] then
  local seq = tonumber(head:sub(17))
  if seq and seq > tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/** The shared tier: one key per entry, spread over all slots, always with a ttl. */
export class RedisStore {
  readonly #guard: RedisGuard
  readonly #prefix: string
  readonly #onDamaged: () => void

  constructor(guard: RedisGuard, namespace: string, onDamaged: () => void) {
    this.#guard = guard
    // A sign that no namespace contains: of two, one may be the beginning of the other.
    this.#prefix = `${namespace}#`
    this.#onDamaged = onDamaged
  }

  /** One round trip; undefined when there is nothing usable or Redis is no help. Never rejects. */
  async get(key: string): Promise<StoredEntry | undefined> {
    const name = this.#prefix + key
    const frame = await this.#guard.attempt('get', (client) => client.getBuffer(name))
    if (frame === FAILED || frame === null) return undefined
    const entry = decodeEntry(name, frame)
    if (entry === undefined) this.#onDamaged()
    return entry
  }

  /** Resolves with whether Redis has it (or something newer). Never rejects. */
  async set(key: string, entry: StoredEntry, ttlMs: number): Promise<boolean> {
    const name = this.#prefix + key
    const frame = encodeEntry(name, entry)
    const answer = await this.#guard.attempt('set', (client) =>
      runScript(
        client,
        SET_IF_NEWER,
        [name],
        [frame, Math.max(1, Math.ceil(ttlMs)), entry.epoch, entry.seq],
      ),
    )
    return answer !== FAILED
  }

  async delete(key: string): Promise<void> {
    await this.#guard.attempt('delete', (client) => client.unlink(this.#prefix + key))
  }
}
