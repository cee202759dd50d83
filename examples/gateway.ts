// A caching reverse proxy: @fastify/reply-from behind the cache, which keeps what the upstream's own
// Cache-Control and Expires allow (`ttl: 'headers'`).
//
//   UPSTREAM=http://localhost:8080 node build/examples/gateway.js
//   node build/examples/gateway.js http://localhost:8080 --all-options
import { AsyncLocalStorage } from 'node:async_hooks'
import { METHODS } from 'node:http'
import { fileURLToPath } from 'node:url'

import replyFrom from '@fastify/reply-from'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import responseCache, { type ResponseCacheOptions } from 'fastify-response-cache'
import { type Dispatcher, Pool } from 'undici'

export interface GatewaySettings {
  /** Where requests go: `http://host:port`, perhaps with a path to put in front of every target. */
  upstream: string
  /** Turns on every option of the cache that a gateway has a use for. @default false */
  allOptions?: boolean
  /** How long the upstream may take until its header section is there. @default 30000 */
  timeoutMs?: number
}

type HeaderFields = Record<string, string | string[] | undefined>

const BY_DEFAULT: ResponseCacheOptions = { defaults: { ttl: 'headers' } }

const ALL_OPTIONS: ResponseCacheOptions = {
  statusHeader: 'x-cache',
  defaults: {
    ttl: 'headers',
    public: true,
    staleIfError: '1h',
    heuristicFreshness: true,
    requestDirectives: true,
    etag: true,
    ranges: true,
    targets: ['CDN-Cache-Control'],
    setCookie: 'store',
    vary: { normalize: { acceptLanguage: ['de', 'en', 'fr'] } },
  },
}

/** Builds the gateway; `listen` is the caller's. */
export async function buildGateway(settings: GatewaySettings): Promise<FastifyInstance> {
  const { upstream, allOptions = false, timeoutMs = 30_000 } = settings
  const app = Fastify({ exposeHeadRoutes: false })
  await app.register(responseCache, allOptions ? ALL_OPTIONS : BY_DEFAULT)
  await app.register(replyFrom, {
    base: new URL(upstream).origin,
    undici: openUpstream(app, new URL(upstream), timeoutMs),
    // One request of a client is one request to the upstream: trying again is the client's to decide.
    retryMethods: [],
    disableRequestLogging: true,
  })

  // The cache's own hook comes after this one: what it makes the key of is what the upstream gets.
  app.addHook('onRequest', (request, _reply, done) => {
    removeHopByHop(request.raw.headers)
    removeForwarded(request.raw.headers)
    done()
  })
  // CONNECT asks for a tunnel and never comes this far.
  const methods = METHODS.filter((method) => method !== 'CONNECT')
  for (const method of methods) {
    // No body is read here: it flows to the upstream as it comes, whatever its type.
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  }
  app.route({ method: methods, url: '/*', config: { cache: true }, handler: forward })
  return app
}

/** The reply that a request to the upstream is made for. */
const current = new AsyncLocalStorage<FastifyReply>()

function forward(_request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // The target goes to the upstream byte by byte, see `openUpstream`; a URL made of it would not.
  return current.run(reply, () => reply.from('/', HOOKS))
}

const HOOKS: Parameters<FastifyReply['from']>[1] = {
  rewriteRequestHeaders: (request) => requestFields(request as FastifyRequest),
  rewriteHeaders(headers) {
    const fields = { ...headers } as HeaderFields
    removeHopByHop(fields)
    fields['via'] = withVia(fields['via'], '1.1')
    return fields
  },
  onResponse(_request, reply, { statusCode, stream }) {
    if (statusCode !== 204 && statusCode !== 304) return void reply.send(stream)
    // There is no body, whatever Content-Length says of the one there would have been.
    stream.on('error', () => {}).resume()
    reply.send()
  },
  onError(reply, { error }) {
    const cause = (error.cause ?? error) as NodeJS.ErrnoException
    const [statusCode, message] = TIMEOUTS.has(cause.code)
      ? [504, 'The upstream did not answer in time']
      : [502, 'The upstream did not answer']
    reply.send(Object.assign(new Error(message, { cause }), { statusCode }))
  },
}

const TIMEOUTS = new Set<string | undefined>([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
])

/** What reply-from uses to send: a pool of this gateway's own, told what reply-from leaves out. */
function openUpstream(app: FastifyInstance, upstream: URL, timeoutMs: number) {
  const pool = new Pool(upstream.origin, {
    connectTimeout: Math.min(timeoutMs, 5_000),
    headersTimeout: timeoutMs,
  })
  app.addHook('onClose', () => pool.close())
  const prefix = upstream.pathname.replace(/\/$/, '')
  type Callback = (error: Error | null, response?: Dispatcher.ResponseData) => void

  return {
    request(options: Dispatcher.RequestOptions, callback: Callback): void {
      const reply = current.getStore()!
      const { raw } = reply.request
      const request: Dispatcher.RequestOptions = {
        ...options,
        path: prefix + originForm(raw.url!),
        body: hasBody(reply.request) ? raw : null,
        onInfo: (interim) => passOn(reply, interim),
      }
      pool.request(request, (error, response) => {
        if (error !== null) return callback(error)
        // RFC 9110 §15: statuses outside 100 to 599 are invalid.
        if (response.statusCode <= 599) return callback(null, response)
        response.body.on('error', () => {}).destroy()
        callback(new Error(`The upstream answered with status ${response.statusCode}`))
      })
    },
  } as { request: Dispatcher['request'] }
}

/** RFC 9112 §3.2.2: a client may name the whole URL; the upstream gets path and query. */
function originForm(target: string): string {
  if (target.startsWith('/')) return target
  const path = target.replace(/^https?:\/\/[^/?#]*/i, '')
  return path.startsWith('/') ? path : `/${path}`
}

// RFC 9110 §9.3.1: content of a GET means nothing, and no cache makes a key of it.
const WITHOUT_BODY = new Set(['GET', 'HEAD', 'TRACE'])

function hasBody({ method, headers }: FastifyRequest): boolean {
  if (WITHOUT_BODY.has(method)) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

function requestFields(request: FastifyRequest): HeaderFields {
  const fields: HeaderFields = { ...request.headers }
  delete fields['transfer-encoding']
  if (WITHOUT_BODY.has(request.method)) delete fields['content-length']
  delete fields['host'] // the upstream's own takes its place
  fields['x-forwarded-host'] = request.host
  fields['x-forwarded-proto'] = request.protocol
  fields['via'] = withVia(fields['via'], request.raw.httpVersion)
  return fields
}

/** RFC 9110 §7.6.3: who passed a message on, and in which version it came. */
function withVia(value: string | string[] | undefined, version: string): string {
  const own = `${version} fastify-response-cache`
  return value === undefined ? own : `${String(value)}, ${own}`
}

// RFC 9110 §7.6.1: fields for one connection. Trailers and 100 Continue end here as well; how the
// body of a request is framed is still of use to whoever reads it.
const HOP_BY_HOP = [
  ...['connection', 'expect', 'http2-settings', 'keep-alive', 'proxy-authenticate'],
  ...['proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  'upgrade',
]
/** What a message cannot do without, whoever lists it in Connection. */
const FRAMING = new Set(['content-length', 'host', 'transfer-encoding'])

function removeHopByHop(fields: HeaderFields): void {
  const listed = String(fields['connection'] ?? '').toLowerCase()
  for (const name of listed.split(',').map((member) => member.trim())) {
    if (!FRAMING.has(name)) delete fields[name]
  }
  for (const name of HOP_BY_HOP) delete fields[name]
}

/**
 * What a client claims about its way here would reach the upstream and not the key. Host and protocol
 * are in the key, so these two are told.
 */
function removeForwarded(fields: HeaderFields): void {
  for (const name of Object.keys(fields)) {
    if (name === 'forwarded' || name.startsWith('x-forwarded-')) delete fields[name]
  }
}

/** Interim responses go to the client whose request is under way, and into no cache. */
function passOn(
  { raw, request }: FastifyReply,
  { statusCode, headers }: { statusCode: number; headers: HeaderFields },
): void {
  // RFC 9110 §15.2: none for HTTP/1.0.
  if (raw.headersSent || request.raw.httpVersion === '1.0') return
  try {
    if (statusCode === 102) raw.writeProcessing()
    if (statusCode === 103) {
      removeHopByHop(headers)
      raw.writeEarlyHints(headers as Record<string, string | string[]>)
    }
  } catch {
    // Node refuses a Link that it finds malformed: a hint less, and the answer is still to come.
  }
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  const upstream = args.find((arg) => !arg.startsWith('--')) ?? process.env.UPSTREAM
  if (upstream === undefined || !URL.canParse(upstream)) {
    process.stderr.write('Usage: UPSTREAM=http://localhost:8080 node build/examples/gateway.js\n')
    process.exitCode = 1
    return
  }
  const allOptions = args.includes('--all-options') || process.env.GATEWAY_OPTIONS === 'full'
  const app = await buildGateway({ upstream, allOptions })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.close())
  const url = await app.listen({
    port: Number(process.env.PORT ?? 3000),
    host: process.env.HOST ?? '127.0.0.1',
  })
  process.stdout.write(`Gateway to ${upstream}: ${url} (${allOptions ? 'all' : 'default'} options)

Ask twice and look at Cache-Status and Age:
  curl -i ${url}/
A write forgets what was stored for its target:
  curl -i -X PUT -d new ${url}/
`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
