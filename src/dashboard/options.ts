import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { CacheClient } from '../client.ts'
import { InvalidOptionError } from '../errors.ts'
import { OptionsReader } from '../options-reader.ts'
import { figuresOf } from '../stats.ts'

/** A hook onRequest that lets through whoever may see the dashboard. */
export type DashboardGuard = (
  this: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
) => unknown

export interface DashboardOptions {
  /**
   * Where the dashboard is, as of every plugin of Fastify.
   * @default '/'
   */
  prefix?: string
  /**
   * The hooks that guard everything below the prefix, such as `app.basicAuth`. Without one the
   * dashboard does not start, unless `unprotected` says that it may.
   */
  onRequest?: DashboardGuard | readonly DashboardGuard[]
  /**
   * Whoever reaches the server may see what is cached and invalidate it. For hosts that are names
   * and not addresses, `origins` has to list them.
   * @default false
   */
  unprotected?: boolean
  /**
   * What is shown: a cache client, or several by name.
   * @default app.cache
   */
  caches?: CacheClient | Record<string, CacheClient>
  /**
   * Origins from which the page may be used besides that of the request: where a proxy changes Host,
   * or takes TLS away and the application has no `trustProxy`.
   * @default []
   */
  origins?: readonly string[]
  /**
   * Nothing can be invalidated from the dashboard.
   * @default false
   */
  readOnly?: boolean
  /**
   * Milliseconds from one update of the page to the next, from 250 to 60,000.
   * @default 1000
   */
  intervalMs?: number
}

export interface CheckedDashboardOptions {
  guards: readonly DashboardGuard[]
  /** By name; never empty. */
  caches: ReadonlyMap<string, CacheClient>
  /** Those of the options. */
  origins: ReadonlySet<string>
  /** Hosts that nobody else can point here; undefined where a guard decides. */
  hosts: ReadonlySet<string> | undefined
  readOnly: boolean
  intervalMs: number
}

const WHERE = 'dashboard'
const OWN = ['onRequest', 'unprotected', 'caches', 'origins', 'readOnly', 'intervalMs']
/** Of every plugin. */
const OF_FASTIFY = ['prefix', 'logLevel', 'logSerializers']
const DEFAULT_INTERVAL_MS = 1000
const SHORTEST_INTERVAL_MS = 250
const LONGEST_INTERVAL_MS = 60_000

export function checkDashboardOptions(
  options: DashboardOptions,
  app: FastifyInstance,
): CheckedDashboardOptions {
  const reader = new OptionsReader(WHERE, options, [...OWN, ...OF_FASTIFY])
  const guards = readGuards(reader)
  const origins = readOrigins(reader)
  const hosts = [...origins].map((origin) => new URL(origin).host)
  return {
    guards,
    caches: readCaches(reader, app),
    origins,
    hosts: guards.length === 0 ? new Set(hosts) : undefined,
    readOnly: reader.flag('readOnly') ?? false,
    intervalMs:
      reader.integer('intervalMs', SHORTEST_INTERVAL_MS, LONGEST_INTERVAL_MS) ??
      DEFAULT_INTERVAL_MS,
  }
}

function readGuards(reader: OptionsReader): DashboardGuard[] {
  const unprotected = reader.flag('unprotected') ?? false
  const given = reader.value('onRequest')
  const guards = (Array.isArray(given) ? given : [given]).filter((guard) => guard !== undefined)
  if (!guards.every((guard) => typeof guard === 'function')) {
    reader.fail('onRequest', 'a hook or a list of hooks, such as app.basicAuth')
  }
  if (guards.length > 0 && unprotected) {
    throw new InvalidOptionError(
      `${reader.path('unprotected')} is true and ${reader.path('onRequest')} is given; ` +
        'leave one of them out: with hooks the dashboard is protected',
    )
  }
  if (guards.length === 0 && !unprotected) {
    throw new InvalidOptionError(
      `${reader.path('onRequest')} is missing: whoever reaches the dashboard sees what is cached, ` +
        'and can invalidate it. Give the hook that guards it, such as onRequest: app.basicAuth ' +
        '(await the plugin that brings it first), or say unprotected: true',
    )
  }
  return guards as DashboardGuard[]
}

function readOrigins(reader: OptionsReader): ReadonlySet<string> {
  const origins = reader.strings('origins') ?? []
  if (!origins.every(isOrigin)) {
    reader.fail('origins', "a list of origins such as 'https://ops.example', without a path")
  }
  return new Set(origins)
}

function isOrigin(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url !== undefined && url.protocol.startsWith('http') && url.origin === text
}

function readCaches(reader: OptionsReader, app: FastifyInstance): Map<string, CacheClient> {
  const given = reader.value('caches') ?? (app as { cache?: unknown }).cache
  if (given === undefined) {
    throw new InvalidOptionError(
      `${reader.path('caches')} is missing, and there is no app.cache: await the registration of ` +
        'fastify-response-cache first, or give the client',
    )
  }
  if (isClient(given)) return new Map([['cache', given]])
  const named = Object.entries(Object(given) as object)
  if (named.length === 0 || !named.every(([, client]) => isClient(client))) {
    reader.fail('caches', 'a cache client, such as app.cache, or clients by name')
  }
  return new Map(named)
}

function isClient(value: unknown): value is CacheClient {
  return figuresOf(Object(value) as object) !== undefined
}

/** Nobody can make a name of their own lead to what is called like this. */
export function isFixedHost(host: string): boolean {
  const name = host.replace(/:\d*$/, '')
  if (name.startsWith('[')) return true
  return isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')
}
