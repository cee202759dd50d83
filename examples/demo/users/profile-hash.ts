import type { RedisClient } from '../redis-pattern.ts'
import { KEYS, replies } from '../redis-pattern.ts'
import type { Profile } from './schemas.ts'

/** A profile as PostgreSQL has it. */
export interface StoredProfile extends Profile {
  /** Of two states of one profile the later has the larger. */
  version: number
}

/** What the hash in Redis says. */
export interface FoundProfile {
  /** Undefined where the profile is known to be removed. */
  profile: Profile | undefined
  ttl: number
}

export const LIFETIME_S = 60

// A reader that was slow must not put back what a writer has replaced meanwhile. What a removal
// leaves is a hash with nothing but its version.
const PUT_UNLESS_OLDER = `
  local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
  if version > tonumber(ARGV[1]) then return 0 end
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'version', ARGV[1], unpack(ARGV, 3))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  return 1
`

const keyOf = (id: string): string => `${KEYS}user:${id}`

export async function putProfile(
  redis: RedisClient,
  id: string,
  { version, ...fields }: Partial<StoredProfile> & { version: number },
): Promise<void> {
  const pairs = Object.entries(fields).flat()
  await redis.eval(PUT_UNLESS_OLDER, 1, keyOf(id), version, LIFETIME_S, ...pairs)
}

export async function findProfile(
  redis: RedisClient,
  id: string,
  slide: boolean,
): Promise<FoundProfile | undefined> {
  const key = keyOf(id)
  const work = redis.multi().hgetall(key)
  if (slide) work.expire(key, LIFETIME_S)
  const list = replies(await work.ttl(key).exec())
  const { version, ...fields } = list[0] as Record<string, string>
  if (version === undefined) return undefined
  const profile = fields.name === undefined ? undefined : (fields as unknown as Profile)
  return { profile, ttl: Number(list.at(-1)) }
}

/** Reads one field, however large the profile is. */
export async function findField(
  redis: RedisClient,
  id: string,
  field: string,
): Promise<{ value: string; ttl: number } | undefined> {
  const key = keyOf(id)
  const [value, ttl] = replies(await redis.multi().hget(key, field).ttl(key).exec())
  return typeof value === 'string' ? { value, ttl: Number(ttl) } : undefined
}
