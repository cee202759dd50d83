import { controlKeys } from '../invalidation/redis-scripts.ts'
import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import type { LogPosition } from '../stored-response.ts'
import { FAILED, type RedisGuard } from './redis-guard.ts'

/** What a process told of itself, and what Redis knew when it did. */
export interface ToldRecord {
  readonly id: string
  readonly toldAgoMs: number
  /** Records in the log that it had not seen. */
  readonly behind: number
  readonly payload: string
}

export interface Told {
  /** Where the log is now; of epoch `''` where there is none. */
  readonly position: LogPosition
  readonly records: ToldRecord[]
}

/** Without news for so long a process is gone. */
export const GONE_MS = 30_000
const TTL_SECONDS = 60
const MAX_PROCESSES = 1000
const MAX_PAYLOAD_LENGTH = 2048

/** KEYS: processes, epoch, seq. Ours is replaced where it is no hash, or one that nobody here filled. */
const BEGIN = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function text(key, pattern)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value:match(pattern) or ''
end
local epoch, seq = text(KEYS[2], '^%x+$'), text(KEYS[3], '^%d+$')
`

/**
 * ARGV: id, how often it has told, its epoch and seq, what it tells, ttl in seconds, milliseconds
 * until a process is gone, most processes. A value is the time, the count, how many records it is
 * behind, what it tells.
 *
 * What comes late does not take the place of what was told since. Only a new process looks at the
 * others: the rest is the same work however many there are.
 */
const TELL: RedisScript = redisScript(`${BEGIN}
local key, id = KEYS[1], ARGV[1]
local kind = redis.call('TYPE', key).ok
if kind ~= 'hash' and kind ~= 'none' or kind == 'hash' and redis.call('HLEN', key) > 2 * ARGV[8] then
  redis.call('UNLINK', key)
end
local known = redis.call('HGET', key, id)
if known then
  local count = known:match('^%d+ (%d+) ')
  if count and tonumber(count) > tonumber(ARGV[2]) then return 0 end
else
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local at = tonumber(all[i + 1]:match('^(%d+) ') or '')
    if not at or math.abs(now - at) > tonumber(ARGV[7]) then redis.call('HDEL', key, all[i]) end
  end
  if redis.call('HLEN', key) >= tonumber(ARGV[8]) then return 0 end
end
local behind = tonumber(seq) or 0
if epoch == ARGV[3] then behind = math.max(0, behind - ARGV[4]) end
local value = string.format('%.0f %s %.0f %s', now, ARGV[2], behind, ARGV[5])
redis.call('HSET', key, id, value)
redis.call('EXPIRE', key, ARGV[6])
return 1
`)

/** ARGV: most processes, longest value. { now, epoch, seq, then field and value of each process }. */
const LIST: RedisScript = redisScript(`${BEGIN}
local answer = { string.format('%.0f', now), epoch, seq }
if redis.call('HLEN', KEYS[1]) > 2 * ARGV[1] then return answer end
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  if #all[i] + #all[i + 1] <= tonumber(ARGV[2]) then
    answer[#answer + 1] = all[i]
    answer[#answer + 1] = all[i + 1]
  end
end
return answer
`)

const ID = /^[\w-]{1,32}$/
const VALUE = /^(\d{1,15}) \d{1,15} (\d{1,15}) (.*)$/s

/** Processes of a namespace as they tell of themselves: one hash, beside the log. */
export class RedisPresence {
  readonly #guard: RedisGuard
  readonly #keys: string[]

  constructor(guard: RedisGuard, namespace: string) {
    this.#guard = guard
    const { epoch, seq } = controlKeys(namespace)
    this.#keys = [`{${namespace}}:processes`, epoch, seq]
  }

  /** Never rejects. */
  async tell(
    { id, count }: { id: string; count: number },
    { epoch, seq }: LogPosition,
    payload: string,
  ): Promise<void> {
    const bounds = [TTL_SECONDS, GONE_MS, MAX_PROCESSES]
    const args = [id, count, epoch, seq, payload, ...bounds]
    await this.#guard.attempt('announce', (client) => runScript(client, TELL, this.#keys, args))
  }

  /** Never rejects; without it the record goes by itself. */
  async leave(id: string): Promise<void> {
    await this.#guard.attempt('announce', (client) => client.hdel(this.#keys[0]!, id))
  }

  /** Who has told of itself lately. Never rejects. */
  async list(): Promise<Told | typeof FAILED> {
    const args = [MAX_PROCESSES, MAX_PAYLOAD_LENGTH]
    const answer = await this.#guard.attempt('processes', (client) =>
      runScript(client, LIST, this.#keys, args),
    )
    return answer === FAILED ? FAILED : parseTold(answer)
  }
}

/** Leaves out whatever is not as it should be. */
export function parseTold(answer: unknown): Told {
  const [now, epoch, seq, ...fields] = Array.isArray(answer) ? (answer as unknown[]) : []
  const records: ToldRecord[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [id, value] = [fields[at], fields[at + 1]]
    if (typeof id !== 'string' || typeof value !== 'string' || !ID.test(id)) continue
    const [, told, behind, payload] = VALUE.exec(value) ?? []
    const toldAgoMs = Math.max(0, Number(now) - Number(told))
    if (payload === undefined || !(toldAgoMs <= GONE_MS)) continue
    records.push({ id, toldAgoMs, behind: Number(behind), payload })
  }
  return { position: positionOf(epoch, seq), records }
}

function positionOf(epoch: unknown, seq: unknown): LogPosition {
  const isKnown = typeof epoch === 'string' && Number.isSafeInteger(Number(seq))
  return isKnown ? { epoch, seq: Number(seq) } : { epoch: '', seq: 0 }
}
