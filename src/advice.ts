import type { BypassReason, ForwardReason } from './http/cache-status.ts'
import type { NotStoredReason } from './http/storability.ts'

/** What a reason means, and what would change it. */
export interface Advice {
  readonly why: string
  /** The option, or what else to do; undefined where nothing is wrong. */
  readonly change?: string
}

/** Every reason why a request goes around the cache, but the names of credential fields. */
const BYPASSED: Record<BypassReason, Advice> = {
  method: {
    why: 'only GET and HEAD are answered from the cache',
  },
  upgrade: { why: 'the request asks for another protocol (Upgrade)' },
  'request-body': { why: 'the request has a body, and the key does not' },
  precondition: {
    why: 'If-Match and If-Unmodified-Since are for the handler to evaluate (RFC 9111 §4.3.2)',
  },
  'client-certificate': {
    why: 'the connection has a verified client certificate, which is an identity',
    change: 'vary.by: (request) => the identity of the certificate, or public: true',
  },
  'vary-by-failed': {
    why: 'vary.by threw, or returned neither a string nor undefined',
    change: 'vary.by: see the log, operation vary.by',
  },
  user: {
    why: 'request.user is set, and the key does not cover who that is',
    change: 'vary.by: (request) => request.user.id, or public: true',
  },
  session: {
    why: 'the session holds data, and the key does not cover whose it is',
    change: 'vary.by: (request) => an identity out of the session, or public: true',
  },
  'validation-error': { why: 'the request is not valid, and the handler may look at why' },
  option: { why: 'the route option bypass says so', change: 'bypass' },
  'option-failed': { why: 'the route option bypass threw', change: 'bypass: see the log' },
}

/** A reason for a bypass; what is none of the list is the name of a credential field. */
export function adviceOnBypass(reason: string): Advice {
  if (Object.hasOwn(BYPASSED, reason)) return BYPASSED[reason as BypassReason]
  const isCookie = reason === 'cookie'
  const keyed = isCookie ? 'vary.cookies: all cookies it needs' : `vary.headers: ['${reason}']`
  return {
    why: `the request carries ${isCookie ? 'cookies' : reason}, a credential that the key does not cover`,
    change: `public: true where the answer is the same for everyone; else vary.by, or ${keyed}`,
  }
}

const FORWARDED: Record<ForwardReason, Advice> = {
  bypass: { why: 'the request goes around the cache' },
  method: { why: 'only GET and HEAD are answered from the cache' },
  'uri-miss': { why: 'nothing is stored under this key' },
  'vary-miss': {
    why: 'other variants are stored, none for the values of these request fields',
    change: 'vary.normalize: fewer variants',
  },
  miss: {
    why: 'the client has written, and this process has not heard of its write yet',
  },
  request: {
    why: "the client's Cache-Control wants no such answer",
    change: 'requestDirectives: false',
  },
  stale: { why: 'what was stored may not be used any more' },
}

export function adviceOnForward(reason: ForwardReason): Advice {
  return FORWARDED[reason]
}

/** Every reason why an answer is not stored. */
const NOT_STORED: Record<NotStoredReason, Advice> = {
  skipped: {
    why: 'the handler called reply.cacheSkip(), or the option storable did not return true',
    change: 'storable',
  },
  status: {
    why: 'answers with this status are not stored',
    change: "statuses: { 404: '10s' } and the like",
  },
  ttl: {
    why: 'the answer has no lifetime: a ttl of 0, a function that returned undefined, or no header that states one',
    change: 'ttl, or reply.cacheTtl()',
  },
  'set-cookie': {
    why: 'the answer sets a cookie, which would be sent to everybody',
    change:
      "set cookies on other routes; sessions: saveUninitialized: false; gateways: setCookie: 'store'",
  },
  private: {
    why: 'the Cache-Control of the answer says private, or it turned out to be for one client',
    change: 'leave private out, and use clientCacheControl for what clients are to see',
  },
  'no-store': {
    why: 'the Cache-Control of the answer, or of the request, says no-store',
    change: 'leave no-store out, and use clientCacheControl for what clients are to see',
  },
  'no-cache': {
    why: 'the Cache-Control of the answer says no-cache',
    change: 'leave no-cache out, and use clientCacheControl for what clients are to see',
  },
  authorization: {
    why: 'the request carries Authorization, and the answer does not say that it may be shared (RFC 9111 §3.5)',
    change: 'Cache-Control: public or s-maxage in the answer',
  },
  vary: {
    why: 'the answer varies on *, on a credential, or on too many fields',
    change: 'vary.headers, vary.cookies or vary.by for what it depends on',
  },
  query: {
    why: 'the handler read a query parameter, or the URL, that vary.query leaves out of the key',
    change: 'vary.query: count the parameter',
  },
  input: {
    why: 'the handler read something of the request that the key does not cover',
    change: 'vary.headers, vary.cookies or vary.by; the log names what was read',
  },
  'content-encoding': {
    why: 'the handler encoded the answer itself, and accept-encoding is not in the key',
    change:
      "vary.headers: ['accept-encoding'], or reply.header('vary', 'accept-encoding'), or leave it to @fastify/compress",
  },
  'content-type': {
    why: 'an object was serialized and has no Content-Type',
    change: 'reply.type() in the handler',
  },
  origin: {
    why: "the answer echoes the request's Origin in Access-Control-Allow-Origin",
    change: "vary.headers: ['origin'], or leave CORS to @fastify/cors",
  },
  nonce: {
    why: 'a nonce of @fastify/helmet is in the answer: scripts of one response only',
    change: 'hashes in place of nonces on this route',
  },
  'csrf-token': {
    why: 'a CSRF token was made, which belongs to one session',
    change: 'give tokens on a route of their own, with config.cache: false',
  },
  trailer: { why: 'the answer has trailers, which are not stored' },
  fields: {
    why: 'a header field cannot be replayed faithfully',
    change: 'visible ASCII and Latin-1 in values of fields',
  },
  stream: {
    why: 'a stream that cannot be listened to, such as server-sent events',
    change: 'config.cache: false',
  },
  'too-big': {
    why: 'the body is larger than an entry may be',
    change: "maxBytes, and the plugin's memory.maxEntryBytes",
  },
  'too-many-tags': { why: 'an answer may have 256 tags', change: 'tags: fewer, of whole groups' },
  'too-many-variants': {
    why: 'the fields that the answers vary on have too many values',
    change: 'vary.normalize, or another Vary',
  },
  error: {
    why: 'an error handler made the answer, or the handler answered twice',
    change: 'reply.code(404).send(…) in place of throwing, and statuses',
  },
  'not-found-handler': { why: 'the handler called reply.callNotFound()' },
  incomplete: {
    why: 'the body was never seen, or not to its end: hijacked, or written to reply.raw',
    change: 'reply.send(), or return it',
  },
  invalidated: {
    why: 'one of its tags was invalidated while the handler ran: what it had read may be old',
    change: 'fewer invalidations, or tags that say more exactly what the answer depends on',
  },
  settling: {
    why: 'one of its tags was invalidated within settle before the handler started',
    change: 'settle: no longer than replicas lag',
  },
  'option-failed': {
    why: 'a function of the route options (ttl, tags, storable) threw or returned nonsense',
    change: 'ttl, tags, storable: see the log, operation route option',
  },
  unavailable: {
    why: 'the log of invalidations was not known: Redis did not answer',
    change: 'stats().log and stats().redis tell whether that lasts',
  },
}

export function adviceOnStoring(reason: NotStoredReason): Advice {
  return NOT_STORED[reason]
}
