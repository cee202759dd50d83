import './live-tick.ts'
import fp from 'fastify-plugin'

import type { CacheClient } from './client.ts'
import type { CacheStatus } from './http/cache-status.ts'
import type { Conditions } from './http/revalidation.ts'
import type { ResponseCacheOptions } from './options.ts'
import type { RouteCacheOptions } from './options-route.ts'
import { plugin } from './plugin.ts'
import type { CacheReply } from './reply-decorators.ts'
import type { FastifyPluginAsync } from 'fastify'

declare module 'fastify' {
  interface FastifyInstance {
    /** The cache client of fastify-response-cache. */
    cache: CacheClient
  }
  interface FastifyContextConfig {
    /** Options of fastify-response-cache for this route. */
    cache?: boolean | RouteCacheOptions
  }
  interface FastifyRequest {
    /** What the cache did with this request (RFC 9211); undefined until that is decided. */
    readonly cacheStatus: CacheStatus | undefined
    /**
     * While the handler runs to refresh a stored response: the validators of what is stored, which
     * are also in If-None-Match and If-Modified-Since. A handler that finds them unchanged may
     * answer 304; the client gets what it asked for.
     */
    readonly cacheStale: Conditions | undefined
  }
  interface FastifyReply extends CacheReply {}
}

/** A response cache for Fastify 5: memory and Redis, invalidated by tags. */
export const responseCache: FastifyPluginAsync<ResponseCacheOptions> = fp(plugin, {
  fastify: '5.x',
  name: 'fastify-response-cache',
})

export default responseCache

export type { AuditSkip, AuditStats } from './audit.ts'
export type { Difference } from './audit-comparison.ts'
export type { AuditFinding } from './audit-findings.ts'
export type { AuditedWrite } from './audit-writes.ts'
export type { BufferBatch, FlushContext } from './buffer-flusher.ts'
export type { BufferOptions } from './buffers.ts'
export type { CacheClient } from './client.ts'
export type { InvalidateOptions } from './client-invalidate.ts'
export type { InspectTarget } from './client-inspect.ts'
export type { CacheNamespace } from './client-namespace.ts'
export type { PreviewTarget, TagsOptions } from './client-oversight.ts'
export type { KeysOptions } from './client-values.ts'
export type { Duration } from './durations.ts'
export type { CompressionOptions } from './compression.ts'
export type { EncryptionOptions } from './encryption-keys.ts'
export type { EncryptionKey } from './sealing.ts'
export {
  BufferFullError,
  BufferUnconfirmedError,
  ClosedError,
  EventError,
  InvalidArgumentError,
  InvalidOptionError,
  InvalidationPendingError,
  LockLostError,
  LockNotAcquiredError,
  OnlyIfCachedError,
  RedisUnavailableError,
  UnusableValidationError,
  WriteUnconfirmedError,
} from './errors.ts'
export type { Histogram } from './histogram.ts'
export type { ExplainTarget } from './exchange-explain-target.ts'
export type {
  CountedReason,
  Decision,
  ExplainedAudit,
  ExplainedDimension,
  ExplainedFreshness,
  ExplainedKey,
  ExplainedPolicy,
  ExplainedTag,
  Explanation,
} from './explanation.ts'
export type { BypassReason, CacheStatus, ForwardReason } from './http/cache-status.ts'
export type { Conditions } from './http/revalidation.ts'
export type { NotStoredReason } from './http/storability.ts'
export type { ResponseCacheOptions } from './options.ts'
export type { AuditOptions } from './options-audit.ts'
export type { CoalesceOptions } from './options-coalesce.ts'
export type { ReadYourWritesOptions } from './options-consistency.ts'
export type { NormalizeOptions } from './options-http.ts'
export type { CacheRequest, RouteCacheOptions, VaryOptions } from './options-route.ts'
export type { CacheEvents, EventMapping } from './events.ts'
export type { LockContext, LockOptions } from './locks.ts'
export { isRefresh } from './refresh-request.ts'
export type { InspectOptions, Inspection } from './inspection.ts'
export type {
  InvalidationPreview,
  InvalidationSeen,
  NamedTag,
  ProcessState,
  TagState,
} from './oversight.ts'
export type { AnnounceOptions } from './presence-record.ts'
export type { RouteState, Stats, ValueStats } from './stats.ts'
export type { LatencyPath, RouteStats } from './telemetry.ts'
export type { HandlerTrace, InvalidateTrace, LookupTrace, StoreTrace } from './tracing.ts'
export type { Serializer } from './value-codec.ts'
export type { GetOrSetOptions, MadeOptions, ValueOptions } from './value-options.ts'
export type { NamespaceOptions } from './value-space.ts'
export type { WriteBuffer } from './write-behind.ts'
export type { WrapOptions, WrappedFunction } from './wrapped-function.ts'
