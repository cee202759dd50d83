import createError, { type FastifyErrorConstructor } from '@fastify/error'

type Constructor = FastifyErrorConstructor<{ code: string }>

/** An option is wrong; thrown at registration. The message names the route, the option and the fix. */
export const InvalidOptionError: Constructor = createError(
  'FST_RESPONSE_CACHE_INVALID_OPTION',
  '%s',
  500,
  TypeError,
)

/** A value given to a client method is wrong (a tag, a key, a ttl). Nothing was done. */
export const InvalidArgumentError: Constructor = createError(
  'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
  '%s',
  500,
  TypeError,
)

/**
 * Redis, or as many of its replicas as `durability` asks for, did not confirm an invalidation in
 * time. This process has already forgotten what it names,
 * and the invalidation is delivered to the others as soon as Redis answers again.
 */
export const InvalidationPendingError: Constructor = createError(
  'FST_RESPONSE_CACHE_INVALIDATION_PENDING',
  'The invalidation of %s is not confirmed by Redis (%s). It took effect in this process and is ' +
    'queued for the others.',
  503,
)

const UnconfirmedError: Constructor = createError(
  'FST_RESPONSE_CACHE_WRITE_UNCONFIRMED',
  "The value of '%s' was written, but Redis did not confirm that older copies of it are invalid (%s). " +
    'They are in this process, and the others are told when Redis answers again.',
  503,
)

/**
 * `writeThrough` has written, and Redis did not confirm that older copies are invalid. This process
 * has forgotten them, the others are told as soon as Redis answers again. `value` is what was written.
 */
export class WriteUnconfirmedError<T = unknown> extends UnconfirmedError {
  readonly value: T

  constructor(key: string, value: T, cause: Error) {
    super(key, cause.message, { cause })
    this.value = value
  }
}

/** Redis does not answer, and without it there is no answer to give: a list of keys, above all. */
export const RedisUnavailableError: Constructor = createError(
  'FST_RESPONSE_CACHE_REDIS_UNAVAILABLE',
  '%s needs Redis, which does not answer: %s',
  503,
)

/**
 * An event is mapped to tags by nothing here, or a mapping failed; `cause` says why. What the other
 * mappings named is invalid.
 */
export const EventError: Constructor = createError('FST_RESPONSE_CACHE_EVENT_FAILED', '%s', 500)

/** The buffer has no room for another field; nothing of this write is kept. */
export const BufferFullError: Constructor = createError(
  'FST_RESPONSE_CACHE_BUFFER_FULL',
  "The buffer '%s' is full: %s fields wait in this process and could not be sent. Nothing was written.",
  503,
)

/** A write to a buffer was not confirmed. It is kept in this process and sent again: do not repeat it. */
export const BufferUnconfirmedError: Constructor = createError(
  'FST_RESPONSE_CACHE_BUFFER_UNCONFIRMED',
  "The buffer '%s': %s. What was written is kept in this process and sent again.",
  503,
)

/** Somebody else has the lock, and had it for as long as the caller would wait. Nothing was run. */
export const LockNotAcquiredError: Constructor = createError(
  'FST_RESPONSE_CACHE_LOCK_NOT_ACQUIRED',
  "The lock '%s' is held by somebody else.",
  409,
)

const LostError: Constructor = createError(
  'FST_RESPONSE_CACHE_LOCK_LOST',
  "The lock '%s' was lost while work went on under it: Redis did not confirm it in time, or somebody else has it.",
  503,
)

/**
 * The lock was lost before the work under it had ended. `value` is what that returned all the same,
 * when it did.
 */
export class LockLostError<T = unknown> extends LostError {
  readonly value: T | undefined

  constructor(name: string, value?: T) {
    super(name)
    this.value = value
  }
}

/** The cache was closed, so it can no longer promise anything about invalidations. */
export const ClosedError: Constructor = createError(
  'FST_RESPONSE_CACHE_CLOSED',
  'The response cache is closed; %s is not possible any more.',
  503,
)

/** The client asked for a stored response or none (RFC 9111 §5.2.1.7), and there is none. */
export const OnlyIfCachedError: Constructor = createError(
  'FST_RESPONSE_CACHE_ONLY_IF_CACHED',
  'Nothing that may be used is stored, and the request asks for nothing else.',
  504,
)

/** The handler answered 304 to a question about a stored response, and named another one. */
export const UnusableValidationError: Constructor = createError(
  'FST_RESPONSE_CACHE_UNUSABLE_VALIDATION',
  'The 304 of the handler is about something that is not stored.',
  502,
)

/** The dashboard does not do that for this request: it comes from elsewhere, or nothing may be changed. */
export const DashboardRefusalError: Constructor = createError(
  'FST_RESPONSE_CACHE_DASHBOARD_REFUSED',
  'Refused: %s.',
  403,
)

/** The dashboard shows nothing more now. */
export const DashboardBusyError: Constructor = createError(
  'FST_RESPONSE_CACHE_DASHBOARD_BUSY',
  'Not now: %s.',
  503,
)
