import { KEYS, type RedisClient } from '../redis-pattern.ts'

export const CAPACITY = 5
const TOKENS_PER_SECOND = 0.5

// Reading, reckoning and writing in one script: between a GET and a SET another process would take
// the same token. The time is that of Redis, so that clocks of processes do not matter.
const TAKE = `
  local capacity, rate = tonumber(ARGV[1]), tonumber(ARGV[2])
  local time = redis.call('TIME')
  local now = time[1] + time[2] / 1e6
  local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
  local tokens = tonumber(state[1]) or capacity
  local since = math.max(0, now - (tonumber(state[2]) or now))
  tokens = math.min(capacity, tokens + since * rate)
  local allowed = tokens >= 1
  if allowed then tokens = tokens - 1 end
  redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate))
  return { allowed and 1 or 0, tostring(tokens) }
`

/** Takes a token out of a client's bucket, which fills up steadily. */
export async function takeToken(
  redis: RedisClient,
  client: string,
): Promise<{ allowed: boolean; tokens: number; retryAfterSeconds: number }> {
  const key = `${KEYS}bucket:${client}`
  const taken = await redis.eval(TAKE, 1, key, CAPACITY, TOKENS_PER_SECOND)
  const [allowed, left] = taken as [allowed: number, left: string]
  const tokens = Number(left)
  return {
    allowed: allowed === 1,
    tokens: Math.round(tokens * 100) / 100,
    retryAfterSeconds: Math.max(1, Math.ceil((1 - tokens) / TOKENS_PER_SECOND)),
  }
}
