import { isFieldName } from './http/fields.ts'
import type { Durability } from './invalidation/redis-replicas.ts'
import { MAX_TIMER_MS, type OptionsReader } from './options-reader.ts'

/** How a client sees its own writes at once, whichever process answers it. */
export interface ReadYourWritesOptions {
  /**
   * Signs what the client carries; at least 32 characters, the same in all processes. Of several the
   * first signs, and all are accepted: to change it put the new one in front.
   */
  secret: string | readonly string[]
  /** The cookie that carries it. @default the plugin's `decorateAs`, and `-position` */
  cookie?: string
  /**
   * A response header field in place of the cookie, for clients that send it back by themselves as
   * a request header field of the same name.
   */
  header?: string
  /**
   * How long a request waits for a process to hear of the write; then the handler runs.
   * @default the plugin's `deadlineMs`
   */
  maxWaitMs?: number
}

/** After validation: with a cookie or a header. */
export interface CheckedReadYourWrites {
  secrets: readonly [string, ...string[]]
  cookie: string | undefined
  header: string | undefined
  maxWaitMs: number
}

const MIN_SECRET_LENGTH = 32
const DEFAULT_TIMEOUT_MS = 500

export function checkReadYourWrites(
  reader: OptionsReader,
  { decorateAs, deadlineMs }: { decorateAs: string; deadlineMs: number },
): CheckedReadYourWrites | undefined {
  const value = reader.value('readYourWrites')
  if (value === undefined || value === false) return undefined
  if (value === null || typeof value !== 'object') {
    reader.fail(
      'readYourWrites',
      'an object such as { secret: process.env.CACHE_SECRET }, because what clients carry is signed',
    )
  }
  const inner = reader.object('readYourWrites', ['secret', 'cookie', 'header', 'maxWaitMs'])!
  const header = nameIn(inner, 'header')?.toLowerCase()
  if (header !== undefined && inner.has('cookie')) {
    inner.fail('cookie', 'left out when `header` is given')
  }
  return {
    secrets: checkSecrets(inner),
    cookie:
      header === undefined ? (nameIn(inner, 'cookie') ?? defaultCookie(decorateAs)) : undefined,
    header,
    maxWaitMs: inner.integer('maxWaitMs', 1, MAX_TIMER_MS) ?? deadlineMs,
  }
}

function nameIn(inner: OptionsReader, option: 'cookie' | 'header'): string | undefined {
  const name = inner.text(option)
  // RFC 6265 §4.1.1: cookies have names of the same kind as fields.
  return name === undefined || isFieldName(name.toLowerCase())
    ? name
    : inner.fail(option, 'a name of letters, digits and -')
}

/** Each registration has its own. */
function defaultCookie(decorateAs: string): string {
  return `${decorateAs.replace(/[^\w-]/g, '_')}-position`
}

function isSecret(value: unknown): boolean {
  return typeof value === 'string' && value.length >= MIN_SECRET_LENGTH
}

function checkSecrets(inner: OptionsReader): CheckedReadYourWrites['secrets'] {
  const value = inner.value('secret')
  const secrets: unknown[] = Array.isArray(value) ? value : [value]
  if (secrets.length === 0 || !secrets.every(isSecret)) {
    // The value is no matter for logs.
    inner.failUnseen('secret', `at least ${MIN_SECRET_LENGTH} characters, or a list of such texts`)
  }
  return secrets as [string, ...string[]]
}

export function checkDurability(reader: OptionsReader, withRedis: boolean): Durability | undefined {
  const durability = reader.object('durability', ['replicas', 'timeoutMs'])
  if (durability === undefined) return undefined
  if (!withRedis) {
    reader.fail('durability', 'left out without redis: there are no replicas of this memory')
  }
  return {
    replicas:
      durability.integer('replicas', 1, 100) ??
      durability.fail('replicas', 'how many replicas must have an invalidation, 1 or more'),
    timeoutMs: durability.integer('timeoutMs', 1, MAX_TIMER_MS) ?? DEFAULT_TIMEOUT_MS,
  }
}
