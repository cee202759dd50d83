import type { FastifyInstance } from 'fastify'
import type { RedisOptions } from 'ioredis'

import { type CompressionOptions, readCompression } from './compression.ts'
import { type EncryptionOptions, readKeys } from './encryption-keys.ts'
import { InvalidOptionError } from './errors.ts'
import type { Packing } from './frame-packing.ts'
import { CREDENTIAL_FIELDS } from './http/credentials.ts'
import { isFieldName } from './http/fields.ts'
import { type AuditOptions, type CheckedAudit, checkAudit } from './options-audit.ts'
import {
  type CheckedReadYourWrites,
  type ReadYourWritesOptions,
  checkDurability,
  checkReadYourWrites,
} from './options-consistency.ts'
import { MAX_TIMER_MS, OptionsReader } from './options-reader.ts'
import { type CheckedRedis, checkBreaker, checkRedis } from './options-redis.ts'
import type { RouteCacheOptions } from './options-route.ts'
import { type AnnounceOptions, isProcessName } from './presence-record.ts'
import type { Durability } from './invalidation/redis-replicas.ts'
import type { EncryptionKey } from './sealing.ts'
import type { BreakerOptions, RedisClient } from './store/redis-guard.ts'

/** Options of the plugin. */
export interface ResponseCacheOptions {
  /**
   * Where responses are shared: a URL or ioredis options (opened and closed by the plugin through
   * @fastify/redis), an ioredis client or Cluster of yours (never closed by the plugin), or
   * `'shared'` for `app.redis`. Left out: this process's memory only.
   */
  redis?: string | RedisOptions | RedisClient
  /**
   * Goes in front of every key. Processes with the same namespace share responses and
   * invalidations; required with `redis`.
   */
  namespace?: string
  /**
   * The tier in this process; `false` leaves it out (with Redis). Streamed bodies that are on their
   * way to clients may take a quarter of `maxBytes` in addition, all together.
   * @default { maxBytes: 67108864, maxEntryBytes: 1/8 of maxBytes }
   */
  memory?: { maxBytes?: number; maxEntryBytes?: number } | false
  /** Route options for every cached route that does not set its own. */
  defaults?: RouteCacheOptions
  /**
   * Cache every GET route with `defaults`; `config: { cache: false }` opts out.
   * @default false
   */
  global?: boolean
  /** The default of the route option. @default 'eventual' */
  consistency?: 'eventual' | 'strict'
  /**
   * A client that wrote gets nothing from before its write, whichever process it asks next: the
   * answer to its write carries the position in the log, signed, in a cookie or a header.
   * @default false
   */
  readYourWrites?: ReadYourWritesOptions | false
  /**
   * An invalidation is confirmed only when this many replicas of Redis have it, too (WAIT), so that a
   * failover does not lose it. Without: the master alone. `timeoutMs` defaults to 500.
   */
  durability?: { replicas: number; timeoutMs?: number }
  /**
   * Request header fields that are credentials besides Authorization, Cookie and
   * Proxy-Authorization: a request with one of them goes around the cache.
   * @default ['x-api-key', 'x-auth-token']
   */
  credentialHeaders?: readonly string[]
  /** How long one operation on Redis may take before the request goes on without. @default 250 */
  deadlineMs?: number
  /**
   * How long a lookup waits for Redis where this process holds a stale response that may be served
   * (`staleWhileRevalidate`, or after a soft invalidation); at most `deadlineMs`.
   * @default 50, or `deadlineMs` if that is less
   */
  softDeadlineMs?: number
  /**
   * After this many timeouts or lost connections in a row Redis is left alone, and tried again with
   * a single request each `resetMs`. @default { failures: 5, resetMs: 1000 }
   */
  breaker?: Partial<BreakerOptions> | false
  /**
   * `true`: Cache-Status (RFC 9211). `'x-cache'`: that, and X-Cache: HIT, STALE, MISS or BYPASS.
   * @default true
   */
  statusHeader?: boolean | 'x-cache'
  /**
   * Tell caches on the way the tags of stored responses, as Cache-Groups (RFC 9875): they can be
   * invalidated there too, by Cache-Group-Invalidation on the answer to a write. Tags are public then.
   * @default false
   */
  cacheGroups?: boolean
  /**
   * For development and canaries: an answer is not stored when its handler has read header fields,
   * cookies, user, session or address of the request that the key does not cover; the log says what and
   * which option to set. `'warn'`: it is stored all the same.
   * @default false
   */
  inputGuard?: boolean | 'warn'
  /**
   * Computes a share of the fresh hits once more and compares: `stats().audit` and the log name what a
   * write forgot to invalidate. `true`: 1 %, at most one each second; see docs/audit.md. @default false
   */
  audit?: boolean | AuditOptions
  /**
   * Seals what is stored in Redis, names and tags included, with keys that only the application has.
   * What is in this process's memory stays readable. `{ keys: [{ id, secret }] }`; see
   * docs/encryption.md. @default false
   */
  encryption?: EncryptionOptions | false
  /**
   * Bodies that become smaller by it are compressed in Redis, of responses and of values; not in
   * memory, and not what has a Content-Encoding or is an image. Takes place beside the reply.
   * @default false
   */
  compression?: boolean | CompressionOptions
  /**
   * This process tells of itself in Redis every 5 seconds, for `app.cache.processes()` and the
   * dashboard of any process of the namespace: host, pid, where it is in the log, hit rate. `name` is
   * told in the place of the host's name. Without `redis` it does nothing.
   * @default false
   */
  announce?: boolean | AnnounceOptions
  /** Told of trouble that was not allowed to become an error. Rate-limited logging happens anyway. */
  onError?: (error: Error, context: { operation: string }) => void
  /** The name of the cache client on the instance. @default 'cache' */
  decorateAs?: string
}

/** Plugin options after validation, defaults filled in. */
export interface CheckedOptions {
  redis: CheckedRedis
  namespace: string
  memory: { maxBytes: number; maxEntryBytes: number } | undefined
  maxEntryBytes: number
  maxRecordedBytes: number
  defaults: RouteCacheOptions
  global: boolean
  credentialHeaders: readonly string[]
  deadlineMs: number
  softDeadlineMs: number
  readYourWrites: CheckedReadYourWrites | undefined
  durability: Durability | undefined
  breaker: BreakerOptions | false
  statusHeader: boolean
  xCache: boolean
  cacheGroups: boolean
  inputGuard: true | 'warn' | undefined
  audit: CheckedAudit | undefined
  encryption: readonly EncryptionKey[] | undefined
  packing: Packing | false
  announce: AnnounceOptions | undefined
  onError: ResponseCacheOptions['onError']
  decorateAs: string
}

const WHERE = 'fastify-response-cache'
const KNOWN = [
  ...['redis', 'namespace', 'memory', 'defaults', 'global', 'consistency', 'credentialHeaders'],
  ...['deadlineMs', 'softDeadlineMs', 'breaker', 'statusHeader', 'cacheGroups', 'onError'],
  ...['decorateAs', 'readYourWrites', 'durability', 'inputGuard', 'audit'],
  ...['encryption', 'compression', 'announce'],
]
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024

/** Checks the plugin's options; throws InvalidOptionError with the option's name and the fix. */
export function checkOptions(options: ResponseCacheOptions, app: FastifyInstance): CheckedOptions {
  const { prefix: _prefix, ...own } = options as Record<string, unknown>
  const reader = new OptionsReader(WHERE, own, KNOWN)
  const redis = checkRedis(reader, app)
  const memory = checkMemory(reader, redis !== undefined)
  const statusHeader = reader.value('statusHeader') ?? true
  if (typeof statusHeader !== 'boolean' && statusHeader !== 'x-cache') {
    reader.fail('statusHeader', "true, false or 'x-cache'")
  }
  const deadlines = checkDeadlines(reader)
  const decorateAs = reader.text('decorateAs') ?? 'cache'
  return {
    redis,
    namespace: checkNamespace(reader, redis !== undefined),
    memory,
    maxEntryBytes: memory?.maxEntryBytes ?? DEFAULT_MAX_BYTES / 8,
    // One of the largest fits in any case.
    maxRecordedBytes: Math.max(
      (memory?.maxBytes ?? DEFAULT_MAX_BYTES) / 4,
      memory?.maxEntryBytes ?? 0,
    ),
    defaults: checkDefaults(reader),
    global: reader.flag('global') ?? false,
    credentialHeaders: checkCredentialHeaders(reader),
    ...deadlines,
    readYourWrites: checkReadYourWrites(reader, { decorateAs, ...deadlines }),
    durability: checkDurability(reader, redis !== undefined),
    breaker: checkBreaker(reader),
    statusHeader: statusHeader !== false,
    xCache: statusHeader === 'x-cache',
    cacheGroups: reader.flag('cacheGroups') ?? false,
    inputGuard: checkInputGuard(reader),
    audit: checkAudit(reader),
    encryption: checkEncryption(reader),
    packing: checkCompression(reader),
    announce: checkAnnounce(reader),
    onError: reader.function<NonNullable<ResponseCacheOptions['onError']>>('onError'),
    decorateAs,
  }
}

function checkNamespace(reader: OptionsReader, required: boolean): string {
  const namespace = reader.text('namespace')
  if (namespace === undefined) {
    if (required)
      reader.fail('namespace', "set with redis, for example 'shop': it goes before every key")
    return 'memory'
  }
  // Braces would move the control keys to other Cluster slots; the rest is for readable keys.
  if (!/^[\w.:/@-]{1,100}$/.test(namespace)) {
    reader.fail('namespace', 'up to 100 letters, digits and . _ : / @ -')
  }
  return namespace
}

function checkMemory(reader: OptionsReader, withRedis: boolean): CheckedOptions['memory'] {
  if (reader.value('memory') === false) {
    if (!withRedis) reader.fail('memory', 'left on without redis: there would be no place to store')
    return undefined
  }
  const memory = reader.object('memory', ['maxBytes', 'maxEntryBytes'])
  const maxBytes = memory?.integer('maxBytes', 1) ?? DEFAULT_MAX_BYTES
  const maxEntryBytes = memory?.integer('maxEntryBytes', 1) ?? Math.ceil(maxBytes / 8)
  if (maxEntryBytes > maxBytes) memory!.fail('maxEntryBytes', `at most maxBytes (${maxBytes})`)
  return { maxBytes, maxEntryBytes }
}

function checkEncryption(reader: OptionsReader): CheckedOptions['encryption'] {
  const encryption = reader.value('encryption')
  if (encryption === undefined || encryption === false) return undefined
  const keys = readKeys(encryption)
  if ('path' in keys) reader.failUnseen(`encryption${keys.path}`, keys.expected)
  return keys
}

function checkCompression(reader: OptionsReader): Packing | false {
  const packing = readCompression(reader.value('compression') ?? false)
  if (packing && 'path' in packing) {
    reader.failUnseen(`compression${packing.path}`, packing.expected)
  }
  return packing
}

function checkDefaults(reader: OptionsReader): RouteCacheOptions {
  const defaults: unknown = reader.value('defaults') ?? {}
  if (reader.value('defaults') === null || typeof defaults !== 'object') {
    reader.fail('defaults', 'an object of route options')
  }
  const consistency = reader.oneOf('consistency', ['eventual', 'strict'])
  return consistency === undefined ? (defaults as RouteCacheOptions) : { consistency, ...defaults }
}

function checkCredentialHeaders(reader: OptionsReader): readonly string[] {
  const names = reader.strings('credentialHeaders') ?? ['x-api-key', 'x-auth-token']
  const own = names.map((name) => name.toLowerCase())
  const bad = own.find((name: string) => !isFieldName(name)) as string | undefined
  if (bad !== undefined) {
    throw new InvalidOptionError(`${reader.path('credentialHeaders')}: '${bad}' is no header name`)
  }
  return [...new Set([...CREDENTIAL_FIELDS, ...own])]
}

function checkDeadlines(
  reader: OptionsReader,
): Pick<CheckedOptions, 'deadlineMs' | 'softDeadlineMs'> {
  const deadlineMs = reader.integer('deadlineMs', 1, MAX_TIMER_MS) ?? 250
  const softDeadlineMs = reader.integer('softDeadlineMs', 1, deadlineMs) ?? Math.min(50, deadlineMs)
  return { deadlineMs, softDeadlineMs }
}

function checkInputGuard(reader: OptionsReader): CheckedOptions['inputGuard'] {
  const value = reader.value('inputGuard') ?? false
  if (value === true || value === 'warn') return value
  return value === false ? undefined : reader.fail('inputGuard', "true, false or 'warn'")
}

function checkAnnounce(reader: OptionsReader): CheckedOptions['announce'] {
  const value = reader.value('announce')
  if (value === undefined || value === false) return undefined
  if (value === true) return {}
  if (value === null || typeof value !== 'object')
    reader.fail('announce', 'true, false or { name }')
  const announce = reader.object('announce', ['name'])!
  const name = announce.value('name')
  if (name === undefined) return {}
  return isProcessName(name) ? { name } : announce.fail('name', 'a text of 1 to 100 characters')
}
