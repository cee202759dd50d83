import { type IncomingMessage, type RequestListener, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Writable, finished } from 'node:stream'

import inject from 'light-my-request'

import type { AuditAnswer } from './audit-comparison.ts'
import type { FleetLease } from './fleet-lease.ts'
import { type KeyedCredentials, type RequestFields, cookiePairs } from './http/credentials.ts'

/** The request that a refresh makes: as the client's, without what is the client's own. */
export interface RefreshRequest {
  /** The target as it was received, before `rewriteUrl`. */
  readonly url: string
  /** The Host field, not what a proxy said in another; empty without one. */
  readonly host: string
  /** Of the connection: `https` makes `request.protocol` say so, where no trusted field overrules. */
  readonly protocol: string
  readonly remoteAddress: string | undefined
  /** Lower-case names. Those that the key covers; those that client, host and route were read from. */
  readonly headers: Readonly<Record<string, string | string[]>>
}

/** What a refresh is for, and what became of it. */
export interface RefreshContext {
  readonly key: string
  /** What is fresh still and to be replaced was stored at this instant; epoch milliseconds. */
  readonly replaces?: number | undefined
  /** The right to refresh for all processes, where it takes one. */
  lease?: FleetLease
  /** Set where the answer was stored, or has freshened what was: only then the refresh succeeded. */
  stored?: boolean
  /** Set where an invalidation came between: nothing has failed, and the next one may follow. */
  overtaken?: boolean
  /** No refresh at all: the answer is for this alone, which compares it with what is stored. */
  readonly audit?: (answer: AuditAnswer) => void
}

/** Set on the raw request: no client can send a symbol, and requests that a handler makes lack it. */
const REFRESH: unique symbol = Symbol('fastify-response-cache.refresh')

/** The refresh that a raw request makes; undefined for every other request. */
export function refreshOf(raw: object): RefreshContext | undefined {
  return (raw as { [REFRESH]?: RefreshContext })[REFRESH]
}

/**
 * Whether this request, raw or Fastify's, is one that the cache makes in the background, a refresh or
 * an audit: for hooks, `genReqId`, `childLoggerFactory` and whatever else should tell it from a client's.
 */
export function isRefresh(request: object): boolean {
  return refreshOf((request as { raw?: object }).raw ?? request) !== undefined
}

/** What a refresh takes over. Every FastifyRequest is one. */
export interface RefreshSource {
  readonly raw: { readonly headers: RequestFields; readonly socket: object | null }
  readonly originalUrl: string
  /** As `trustProxy` has it. */
  readonly host: string
  /** As `trustProxy` has it. */
  readonly protocol: string
  /** The addresses from the connection's on, as far as they are trusted; undefined if none is. */
  readonly ips?: readonly (string | undefined)[] | undefined
  /** The version that was asked for, where routes have versions. */
  readonly routeOptions?: { readonly version?: string | undefined }
}

/**
 * The request that refreshes what was answered to this one. Host, protocol, addresses and version
 * will be read from it as they were read here; of all other fields and cookies only the keyed ones
 * are left.
 */
export function refreshRequestOf(source: RefreshSource, keyed: KeyedCredentials): RefreshRequest {
  const fields = source.raw.headers
  const { encrypted, remoteAddress } = (source.raw.socket ?? {}) as {
    encrypted?: boolean
    remoteAddress?: string
  }
  const protocol = encrypted === true ? 'https' : 'http'
  // HTTP/2 has the host in a field that HTTP/1.1 does not know.
  const host = String(fields.host ?? fields[':authority'] ?? '')
  const names = [...keyed.headers, ...namesRead(source, host, protocol)]
  const headers: Record<string, string | string[]> = {}
  for (const name of names) {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (value !== undefined) headers[name] = value
  }
  const cookies = keptCookies(fields.cookie, keyed)
  if (cookies !== undefined) headers.cookie = cookies
  return { url: source.originalUrl, host, protocol, remoteAddress, headers }
}

/** The fields that say more than connection and Host field, where they were listened to. */
function namesRead(source: RefreshSource, host: string, protocol: string): string[] {
  const names: string[] = []
  if (source.host !== host) names.push('x-forwarded-host')
  if (source.protocol !== protocol) names.push('x-forwarded-proto')
  if ((source.ips?.length ?? 0) > 1) names.push('x-forwarded-for')
  if (source.routeOptions?.version !== undefined) names.push('accept-version')
  return names
}

function keptCookies(field: RequestFields[string], keyed: KeyedCredentials): string | undefined {
  if (field === undefined || keyed.cookies.size === 0 || keyed.headers.has('cookie')) {
    return undefined
  }
  const kept = cookiePairs(field).filter(([name]) => keyed.cookies.has(name))
  return kept.length === 0 ? undefined : kept.map((pair) => pair.join('=')).join('; ')
}

/** A refresh has no body, no connection of its own, and does not change the protocol. */
const OF_THE_CONNECTION = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Called once or more; the first call counts. */
export type WhenAnswered = (outcome: { status: number } | { error: Error }) => void

/**
 * Makes the request, as `app.inject()` would, and drops the answer's body. Returns what ends it
 * early: as if the client had gone.
 */
export function sendRefresh(
  dispatch: RequestListener,
  request: RefreshRequest,
  context: RefreshContext,
  done: WhenAnswered,
): () => void {
  let exchange: readonly [IncomingMessage, ServerResponse] | undefined
  const listener: RequestListener = (raw, response) => {
    exchange = [raw, response]
    disguise(raw, request)
    Object.defineProperty(raw, REFRESH, { value: context })
    paced(response)
    dispatch(raw, response)
  }
  try {
    // Target and fields are set afterwards: what is given here would be read as a WHATWG URL.
    const options = { url: '/', validate: false, payloadAsStream: true }
    inject(listener, options, (error, answer) => {
      if (error) return done({ error })
      const { statusCode: status } = answer!
      // Nothing but its end is to come, see `paced`.
      const end = answer!.stream().resume()
      finished(end, (broken) => done(broken ? { error: broken } : { status }))
    })
  } catch (error) {
    done({ error: error as Error })
  }
  return () => {
    if (exchange !== undefined) abort(...exchange)
  }
}

/** Makes the mock request what Node would have made of the original. */
function disguise(raw: IncomingMessage, { url, host, headers, ...request }: RefreshRequest): void {
  raw.url = url
  raw.headers = {}
  raw.rawHeaders = []
  if (host !== '') addField(raw, 'host', host)
  for (const [name, value] of Object.entries(headers)) {
    if (!OF_THE_CONNECTION.has(name) && !name.startsWith(':')) addField(raw, name, value)
  }
  const { remoteAddress } = request
  Object.assign(raw.socket, { remoteAddress, encrypted: request.protocol === 'https' })
}

/** A hook may have made something else of a field than a text. */
function addField(raw: IncomingMessage, name: string, value: unknown): void {
  const lines = Array.isArray(value) ? value.map(String) : [String(value)]
  raw.headers[name] = Array.isArray(value) ? lines : lines[0]
  for (const line of lines) raw.rawHeaders.push(name, line)
}

/**
 * Gives the answer a connection that takes whatever is written, at the pace of the event loop, and
 * says when it wants more. With the mock one, a large answer would be in memory as a whole.
 */
function paced(response: ServerResponse): void {
  const socket = new Writable({
    write: (_chunk, _encoding, next) => void setImmediate(next),
    writev: (_chunks, next) => void setImmediate(next),
  })
  socket.on('drain', () => response.emit('drain'))
  response.detachSocket(response.socket!)
  response.assignSocket(socket as unknown as Socket)
  // The mock's own keeps a copy for whoever made the request.
  Object.assign(response, { write: Reflect.get(ServerResponse.prototype, 'write') as unknown })
}

/** What the application sees of a client that goes away. */
function abort(raw: IncomingMessage, response: ServerResponse): void {
  Object.assign(raw, { aborted: true })
  raw.destroy()
  // Where something has read the body that is not there, the mock request does not close any more.
  if (!raw.destroyed) raw.emit('close')
  response.destroy()
}
