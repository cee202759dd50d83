import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { RedisOptions } from 'ioredis'
import type { Logger } from 'pino'

import { CacheClient, type ClientSettings } from './client.ts'
import { InvalidOptionError } from './errors.ts'
import { EXCHANGE } from './exchange.ts'
import { FleetFlights } from './fleet-flight.ts'
import type { CacheStatus } from './http/cache-status.ts'
import type { Conditions } from './http/revalidation.ts'
import { InputGuard } from './input-guard.ts'
import { LocalLog } from './invalidation/local-log.ts'
import type { InvalidationLog } from './invalidation/log.ts'
import { RedisLog } from './invalidation/redis-log.ts'
import { SealedLog } from './invalidation/sealed-log.ts'
import { type CheckedOptions, type ResponseCacheOptions, checkOptions } from './options.ts'
import { isRedisClient } from './options-redis.ts'
import { checkRouteOptions } from './options-route.ts'
import { missedRouteWarner } from './missed-routes.ts'
import { ReadYourWrites } from './read-your-writes.ts'
import { replyDecorators } from './reply-decorators.ts'
import { ResponseCache } from './response-cache.ts'
import { RequestCapture } from './request-capture.ts'
import { Revalidator } from './revalidator.ts'
import { RedisFitness, withAdvice } from './redis-fitness.ts'
import { attachRoutes } from './routes.ts'
import { Sealing } from './sealing.ts'
import { EntryFrames } from './store/entry-frames.ts'
import { MemoryStore } from './store/memory-store.ts'
import { type RedisClient, RedisGuard } from './store/redis-guard.ts'
import { RedisLeases } from './store/redis-lease.ts'
import { RedisStore } from './store/redis-store.ts'
import { TieredCache } from './store/tiered-cache.ts'
import { Trouble } from './telemetry.ts'

/** Tags of which each process knows the last invalidation; beyond it the oldest raise the floor. */
const MAX_TABLE_TAGS = 100_000

/** Registers the response cache. See ResponseCacheOptions. */
export const plugin: FastifyPluginAsync<ResponseCacheOptions> = async (app, options) => {
  const checked = checkOptions(options, app)
  const hadRoutes = !app.printRoutes().includes('(empty tree)')
  checkRouteOptions('fastify-response-cache.defaults', checked.defaults, checked.maxEntryBytes)
  if (Object.hasOwn(app, checked.decorateAs)) {
    throw new InvalidOptionError(
      `fastify-response-cache.decorateAs: the instance already has '${checked.decorateAs}'; ` +
        'choose another name for this registration',
    )
  }
  const log = app.log.child({ cache: checked.namespace }) as unknown as Logger
  const trouble = new Trouble(log, checked.onError)
  const guard = await openGuard(app, checked, trouble)
  const sealing = checked.encryption && new Sealing(checked.namespace, checked.encryption)
  const frames = guard && buildFrames(checked, sealing, trouble)
  const tiers = buildTiers(checked, { guard, frames, sealing }, trouble)
  const cache = new ResponseCache({
    namespace: checked.namespace,
    tiers,
    trouble,
    credentialFields: checked.credentialHeaders,
    statusHeader: checked.statusHeader,
    xCache: checked.xCache,
    emitsGroups: checked.cacheGroups,
    maxEntryBytes: checked.maxEntryBytes,
    maxRecordedBytes: checked.maxRecordedBytes,
    revalidator: newRevalidator(app, trouble),
    fleet: guard && new FleetFlights(new RedisLeases(guard, checked.namespace, frames)),
    readYourWrites: guard && ownWrites(checked, tiers),
    inputGuard:
      checked.inputGuard && new InputGuard(checked.inputGuard, (line) => trouble.note(line)),
    audit: checked.audit,
    requests: new RequestCapture(app, (raw, response) => app.routing(raw, response), 'cacheStatus'),
    readQuery: (target) => app.findRoute({ method: 'GET', url: target })?.searchParams,
  })
  const client = new CacheClient(cache, guard, clientSettings(checked, sealing))
  app.decorate(checked.decorateAs, client)
  decorate(app)
  attachRoutes(app, cache, checked)
  app.addHook('onReady', () => start(cache, client, checked))
  closeWith(app, cache, client)
  if (hadRoutes) warnOfMissedRoutes(app, log)
}

async function start(
  { warnings, trouble, log }: ResponseCache,
  client: CacheClient,
  { redis, memory, announce }: CheckedOptions,
): Promise<void> {
  const maxEntryBytes = redis === undefined ? memory?.maxEntryBytes : undefined
  for (const warning of warnings.take({ maxEntryBytes })) trouble.note(warning)
  await log.start()
  if (announce !== undefined) client.announce()
}

async function openGuard(
  app: FastifyInstance,
  checked: CheckedOptions,
  trouble: Trouble,
): Promise<RedisGuard | undefined> {
  const { redis } = checked
  if (redis === undefined) return undefined
  const ownsClient = !isRedisClient(redis)
  const client = ownsClient ? await open(app, checked.decorateAs, redis, trouble) : redis
  // No error: it may have given up on a Redis that is down, which must not keep anyone from starting.
  if (client.status === 'end')
    trouble.report('connect', withAdvice(new Error('not connected (end)')))
  return new RedisGuard(client, {
    deadlineMs: checked.deadlineMs,
    breaker: checked.breaker,
    ownsClient,
    onTrouble: (operation, error) => trouble.report(operation, withAdvice(error)),
    onChange: (change) => trouble.change(change),
  })
}

function newRevalidator(app: FastifyInstance, trouble: Trouble): Revalidator {
  return new Revalidator({
    dispatch: (request, response) => app.routing(request, response),
    now: Date.now,
    onTrouble: (operation, error) => trouble.report(operation, error),
  })
}

/** Without Redis there is one process, and it knows at once. */
function ownWrites(
  { readYourWrites, namespace }: CheckedOptions,
  { log, now }: TieredCache,
): ReadYourWrites | undefined {
  return readYourWrites && new ReadYourWrites({ ...readYourWrites, namespace, log, now })
}

/** Loaded only when needed: an application that caches in memory does not load a Redis client. */
async function open(
  app: FastifyInstance,
  name: string,
  redis: string | RedisOptions,
  trouble: Trouble,
): Promise<RedisClient> {
  const { openRedis } = await import('./redis-open.ts')
  return openRedis(app, name, redis, (error) => trouble.report('connect', withAdvice(error)))
}

function buildFrames(
  { namespace, packing }: CheckedOptions,
  sealing: Sealing | undefined,
  trouble: Trouble,
): EntryFrames {
  const error = new Error('a stored entry is damaged, not encrypted, or of another key')
  const onUnopened = (): void => trouble.report('decrypt', error)
  return new EntryFrames({ namespace, sealing, packing, onUnopened })
}

interface RedisParts {
  guard: RedisGuard | undefined
  frames: EntryFrames | undefined
  sealing: Sealing | undefined
}

function buildTiers(
  checked: CheckedOptions,
  { guard, frames, sealing }: RedisParts,
  trouble: Trouble,
): TieredCache {
  const fitness = new RedisFitness(checked.namespace, (message) => trouble.note(message))
  const log: InvalidationLog = guard
    ? new RedisLog(guard, {
        namespace: checked.namespace,
        maxTags: MAX_TABLE_TAGS,
        deadlineMs: checked.deadlineMs,
        durability: checked.durability,
        inspect: (connection) => fitness.inspect(connection),
        onTrouble: (operation, error) => trouble.report(operation, withAdvice(error)),
        onChange: (change) => trouble.change(change),
      })
    : new LocalLog(MAX_TABLE_TAGS)
  const onDamaged = (): void =>
    trouble.report('decode', new Error('a stored entry is damaged or of another format'))
  return new TieredCache({
    memory: checked.memory && new MemoryStore(checked.memory),
    redis: guard && new RedisStore(guard, checked.namespace, onDamaged, frames),
    log: guard && sealing ? new SealedLog(log, sealing) : log,
    now: Date.now,
    softDeadlineMs: checked.softDeadlineMs,
  })
}

function clientSettings(
  { defaults: { ttl }, announce }: CheckedOptions,
  sealing: Sealing | undefined,
): ClientSettings {
  const isTtl = typeof ttl === 'number' || (typeof ttl === 'string' && ttl !== 'headers')
  return { defaultTtl: isTtl ? ttl : undefined, sealing, announce }
}

function closeWith(app: FastifyInstance, { audit }: ResponseCache, client: CacheClient): void {
  // While connections are being closed requests are answered, and they are to begin nothing.
  if (audit !== undefined) app.addHook('preClose', async () => audit.close())
  app.addHook('onClose', () => client.close())
}

/** Only where it can have happened: every hook of an instance costs all its routes. */
function warnOfMissedRoutes(app: FastifyInstance, log: Logger): void {
  const warn = missedRouteWarner(log)
  app.addHook('preHandler', (request, _reply, done) => {
    warn(request, EXCHANGE in request)
    done()
  })
}

/** Shared by all registrations: what they do is decided by the exchange of the request. */
function decorate(app: FastifyInstance): void {
  if (!app.hasRequestDecorator('cacheStatus')) {
    app.decorateRequest('cacheStatus', {
      getter(this: FastifyRequest): CacheStatus | undefined {
        return this[EXCHANGE]?.status
      },
    })
  }
  if (!app.hasRequestDecorator('cacheStale')) {
    app.decorateRequest('cacheStale', {
      getter(this: FastifyRequest): Conditions | undefined {
        return this[EXCHANGE]?.conditions
      },
    })
  }
  for (const [name, method] of Object.entries(replyDecorators)) {
    if (!app.hasReplyDecorator(name))
      app.decorateReply(name, method as (this: FastifyReply) => unknown)
  }
}
