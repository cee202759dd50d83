import { within } from './invalidation/redis-connection.ts'
import { redisScript, runScript } from './redis-script.ts'
import type { RedisClient } from './store/redis-guard.ts'

const PATIENCE_MS = 1500
const OLDEST = [6, 2] as const

/**
 * What the server says of itself, and what this user may not do. KEYS[1] has the slot of the control
 * keys, KEYS[2] the name of an entry in the same slot; neither ever exists, and no command here
 * leaves anything. Whoever runs a script needs the rights to all that it calls.
 */
const LOOK = `
local refused = {}
local function may(name, ...)
  local answer = redis.pcall(name, ...)
  local message = type(answer) == 'table' and answer.err
  if message and (message:find('permission') or message:find('executing the script')) then
    refused[#refused + 1] = string.lower(name)
    return false
  end
  return answer
end
local info = may('INFO')
if may('UNLINK', KEYS[1]) and may('INCR', KEYS[1]) then redis.call('UNLINK', KEYS[1]) end
may('EXPIRE', KEYS[1], '1')
may('MGET', KEYS[1])
may('TYPE', KEYS[1])
may('ZADD', KEYS[1], 'XX', 'GT', '1', 'm')
may('ZCARD', KEYS[1])
may('ZSCORE', KEYS[1], 'm')
may('ZSCAN', KEYS[1], '0')
may('ZRANGE', KEYS[1], '0', '0')
may('ZREMRANGEBYRANK', KEYS[1], '0', '0')
may('XADD', KEYS[1], 'NOMKSTREAM', '*', 'f', 'v')
may('XREAD', 'COUNT', '1', 'STREAMS', KEYS[1], '0')
may('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')
may('GET', KEYS[2])
may('GETRANGE', KEYS[2], '0', '0')
may('SET', KEYS[2], '', 'XX', 'PX', '1')
return { type(info) == 'string' and info or '', unpack(refused) }
`
const LOOK_SCRIPT = redisScript(LOOK)

/** The commands that the script tries; the rest of what is documented is needed to run it at all. */
export const PROBED_COMMANDS: readonly string[] = [...LOOK.matchAll(/may\('([A-Z]+)'/g)].map(
  ([, name]) => name!.toLowerCase(),
)

/** Looks at a server before its log is loaded. */
export class RedisFitness {
  readonly #namespace: string
  readonly #note: (message: string) => void
  readonly #noted = new Set<string>()

  /** @param note Is told once of what works and will surprise. */
  constructor(namespace: string, note: (message: string) => void) {
    this.#namespace = namespace
    this.#note = note
  }

  /** Rejects with the reason and the fix where the cache cannot work with what is at the other end. */
  async inspect(connection: RedisClient): Promise<void> {
    const answer = await within(PATIENCE_MS, this.#look(connection))
    const [text, ...refused] = answer as string[]
    const info = parseInfo(text ?? '')
    if (refused.length > 0) throw new Error(this.#rights(connection, refused))
    const version = info.get('redis_version') ?? ''
    if (isOlder(version)) throw new Error(`Redis ${version} is too old: 6.2 or later is needed`)
    if (info.get('role') === 'slave') throw new Error(REPLICA)
    this.#surprises(connection, info)
  }

  async #look(connection: RedisClient): Promise<unknown> {
    const control = `{${this.#namespace}}:rights`
    // After a brace that is never closed no entry could be in the slot of the control keys.
    const isOpen = /^[^{]*\{[^}]*$/.test(connection.options.keyPrefix ?? '')
    const entry = isOpen ? control : `${this.#namespace}#{${this.#namespace}}`
    try {
      return await runScript(connection, LOOK_SCRIPT, [control, entry], [])
    } catch (error) {
      // Memory that is full, a script that runs too long: no matter of fitness.
      if (/^(OOM|NOREPLICAS|MISCONF)/.test((error as Error).message)) return []
      throw error
    }
  }

  #surprises({ isCluster, options }: RedisClient, info: ReadonlyMap<string, string>): void {
    const policy = info.get('maxmemory_policy') ?? ''
    if (policy.startsWith('allkeys-') && info.get('maxmemory') !== '0') {
      this.#noteOnce(
        `maxmemory-policy ${policy} may evict the control keys of namespace '${this.#namespace}', ` +
          'and then everything that is stored becomes invalid; set it to volatile-ttl',
      )
    }
    const slot = isCluster ? slotOfPrefix(options.keyPrefix) : undefined
    if (slot !== undefined) {
      this.#noteOnce(
        `keyPrefix '${options.keyPrefix}' puts all keys into the Cluster slot of '${slot}', so one ` +
          'node has to bear everything; leave the braces out of it',
      )
    }
  }

  #noteOnce(message: string): void {
    if (this.#noted.has(message)) return
    this.#noted.add(message)
    this.#note(message)
  }

  #rights({ options }: RedisClient, commands: readonly string[]): string {
    const user = ('username' in options && options.username) || 'default'
    const rights = commands.map((name) => `+${name}`).join(' ')
    return `the user '${user}' of Redis lacks ${rights}; ACL SETUSER ${user} ${rights}`
  }
}

/** `[^{]*`: Redis takes the first '{' and the first '}' after it. */
function slotOfPrefix(keyPrefix: string | undefined): string | undefined {
  return /^[^{]*\{([^}]+)\}/.exec(keyPrefix ?? '')?.[1]
}

function parseInfo(text: string): Map<string, string> {
  const lines = text.split('\r\n').map((line) => line.split(':', 2))
  return new Map(lines.filter((pair): pair is [string, string] => pair.length === 2))
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return version !== '' && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
}

const REPLICA =
  'this Redis is a replica, which takes no writes and may lag; give the address of the master, or ' +
  'Sentinels, which know it: { sentinels: [{ host }], name }'

/** What to do about a reply, where its text alone does not tell. The first that fits. */
const ADVICE: readonly [message: RegExp, advice: string][] = [
  [/\bREADONLY\b/, REPLICA],
  [/\bMOVED\b/, 'this Redis is a node of a Cluster; give a Cluster of ioredis: new Cluster([…])'],
  [/cluster support disabled/, 'this Redis is no Cluster; give a single client, or a URL'],
  [/access one of the keys/, 'the user of Redis lacks the key patterns of docs/redis.md, ACL'],
  [/\bNOPERM\b/, 'the user of Redis lacks a right; docs/redis.md, ACL, has them all'],
  [/\b(NOAUTH|WRONGPASS)\b/, 'give username and password of a user that Redis knows'],
  [
    /unknown command.*eval/i,
    'is it a Sentinel? Its address goes into { sentinels: [{ host }], name }',
  ],
  [/not connected \(end\)/, 'the client was closed or gave up; it works again after connect()'],
  [/SELF_SIGNED|self-signed|unable to verify/, 'give its authority: { tls: { ca } }'],
]

/** The same error with what to do about it. */
export function withAdvice(error: Error): Error {
  const advice = ADVICE.find(([message]) => message.test(error.message))?.[1]
  return advice === undefined ? error : new Error(`${error.message} – ${advice}`, { cause: error })
}
