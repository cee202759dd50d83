import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import type { RedisClient } from '../store/redis-guard.ts'
import { EPOCH_LENGTH } from '../stored-response.ts'

/** The control keys of one namespace; the hash tag keeps the five in one Cluster slot. */
export interface ControlKeys {
  epoch: string
  seq: string
  log: string
  tags: string
  floor: string
}

export function controlKeys(namespace: string): ControlKeys {
  const slot = `{${namespace}}`
  return {
    epoch: `${slot}:epoch`,
    seq: `${slot}:seq`,
    log: `${slot}:log`,
    tags: `${slot}:tags`,
    floor: `${slot}:floor`,
  }
}

/** The order in which every script takes them. */
export function controlKeyList(keys: ControlKeys): string[] {
  return [keys.epoch, keys.seq, keys.log, keys.tags, keys.floor]
}

/** Thirty days without any process of this namespace, and Redis is as if we had never been there. */
export const CONTROL_TTL_SECONDS: number = 30 * 24 * 3600

/**
 * Shared beginning. KEYS: epoch, seq, log, tags, floor. ARGV[1]: a random epoch to use if needed.
 *
 * If any of the keys that carry state is missing or is not what we wrote (first use, eviction,
 * FLUSHALL, a server that came back empty, somebody else's value), what was invalidated is no longer
 * known, so a new epoch makes everything invalid. The member '' of the sorted set, scored +inf,
 * tells an empty set from an evicted one.
 */
const BEGIN = `
local function text(key, pattern)
  local value = redis.pcall('GET', key)
  return type(value) == 'string' and value:match(pattern)
end
local epoch = text(KEYS[1], '^%x+$')
local seq = text(KEYS[2], '^%d+$')
local floor = text(KEYS[5], '^%d+$')
local sentinel = redis.pcall('ZSCORE', KEYS[4], '')
local kind = redis.call('TYPE', KEYS[3]).ok
if not epoch or #epoch ~= ${EPOCH_LENGTH} or not seq or #seq > 15 or not floor
  or type(sentinel) ~= 'string' or (kind ~= 'stream' and kind ~= 'none') then
  epoch = ARGV[1]
  if not seq or #seq > 15 then seq = '0' end
  floor = seq
  redis.call('UNLINK', unpack(KEYS))
  redis.call('SET', KEYS[1], epoch)
  redis.call('SET', KEYS[2], seq)
  redis.call('ZADD', KEYS[4], 'inf', '')
  redis.call('SET', KEYS[5], floor)
end
`

const REFRESH = `
for i = 1, 5 do redis.call('EXPIRE', KEYS[i], ${CONTROL_TTL_SECONDS}) end
`

/**
 * Opens the log. Returns { epoch, seq, id of the last record }, all of one moment; the caller reads
 * the sorted set after it and the floor last, and merges by maximum, so later records are harmless.
 */
const OPEN = `${BEGIN}${REFRESH}
local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
return { epoch, seq, last[1] and last[1][1] or '0-0' }
`

/**
 * Where the log is: { epoch, seq }. By a script that might write, because a replica, and a master
 * without the replicas that it is told to have, refuse one: what they know may be out of date.
 */
const POSITION = `return redis.call('MGET', KEYS[1], KEYS[2])\n`

/**
 * Appends one invalidation. ARGV: random epoch, mode, most tags kept, most records kept, then the
 * tags; no tags means everything. O(tags), whatever the number of entries. Returns { epoch, seq, id
 * of the record, the last seq before at which one of the tags, or everything, was invalidated }.
 *
 * Harmless when it is applied twice or late: it only ever makes more entries invalid.
 */
const INVALIDATE = `${BEGIN}
local mode, most = ARGV[2], tonumber(ARGV[3])
local n = redis.call('INCR', KEYS[2])
local id = string.format('%.0f', n)
local record = { 's', id, 'e', epoch, 'm', mode }
if #ARGV == 4 then
  redis.call('SET', KEYS[5], id)
  record[#record + 1] = 'all'
  record[#record + 1] = '1'
end
local before = tonumber(floor)
for i = 5, #ARGV do
  before = math.max(before, tonumber(redis.call('ZSCORE', KEYS[4], ARGV[i]) or '0'))
  redis.call('ZADD', KEYS[4], 'GT', id, ARGV[i])
  record[#record + 1] = 't'
  record[#record + 1] = ARGV[i]
end
local over = redis.call('ZCARD', KEYS[4]) - 1 - most
if over > 0 then
  local drop = over + math.floor(most / 10)
  local highest = redis.call('ZRANGE', KEYS[4], drop - 1, drop - 1, 'WITHSCORES')[2]
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, drop - 1)
  if tonumber(highest) > tonumber(redis.call('GET', KEYS[5])) then
    redis.call('SET', KEYS[5], highest)
  end
end
local recordId = redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[4], '*', unpack(record))
${REFRESH}
return { epoch, id, recordId, string.format('%.0f', before) }
`

/**
 * Gives up an epoch whose clock went backwards (a failover lost the tail of the log): what the lost
 * records invalidated is unknown. ARGV[1]: the epoch to give up. The next script makes a new one.
 */
const RENEW = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 1
`

// Redis 7 refuses writes of a script when memory is full, unless the script says otherwise; an
// invalidation must run then above all. To Redis 6.2 the line is a syntax error.
const ALLOW_OOM = '#!lua flags=allow-oom\n'

// Redis 6.2 refuses a script's first write when memory is full, and never a later one, nor a write
// that needs no memory.
const FIRST_WRITE = `redis.call('EXPIRE', KEYS[1], ${CONTROL_TTL_SECONDS})\n`

// A script is refused for what it may do only from Redis 7 on; here it writes, and changes nothing.
const NO_CHANGE = `redis.call('ZREMRANGEBYRANK', KEYS[4], 1, 0)\n`

export interface ControlScripts {
  open: RedisScript
  position: RedisScript
  invalidate: RedisScript
  renew: RedisScript
}

export const CONTROL_SCRIPTS: ControlScripts = {
  open: redisScript(ALLOW_OOM + OPEN),
  position: redisScript(ALLOW_OOM + POSITION),
  invalidate: redisScript(ALLOW_OOM + INVALIDATE),
  renew: redisScript(ALLOW_OOM + RENEW),
}

export const CONTROL_SCRIPTS_REDIS_6: ControlScripts = {
  open: redisScript(FIRST_WRITE + OPEN),
  position: redisScript(NO_CHANGE + POSITION),
  invalidate: redisScript(FIRST_WRITE + INVALIDATE),
  renew: redisScript(RENEW),
}

/** Runs the scripts of one log, in the form that its server understands. */
export class ControlCalls {
  readonly keys: ControlKeys
  #scripts = CONTROL_SCRIPTS

  constructor(keys: ControlKeys) {
    this.keys = keys
  }

  /** The epoch and the number of the last invalidation, by the word of a master; else it rejects. */
  async position(client: RedisClient): Promise<[epoch: string | null, seq: string | null]> {
    return (await this.run(client, 'position', [])) as [string | null, string | null]
  }

  async run(
    client: RedisClient,
    name: keyof ControlScripts,
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const used = this.#scripts
    const keys = controlKeyList(this.keys)
    try {
      return await runScript(client, used[name], keys, args)
    } catch (error) {
      // Before Redis 7 the first line of the script is a syntax error.
      const isOther = used === CONTROL_SCRIPTS && /compiling script/i.test(String(error))
      if (!isOther) throw error
      this.#scripts = CONTROL_SCRIPTS_REDIS_6
      return runScript(client, CONTROL_SCRIPTS_REDIS_6[name], keys, args)
    }
  }
}
