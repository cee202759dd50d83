import type { IncomingHttpHeaders } from 'node:http'

import type { FastifyRequest } from 'fastify'

import { InvalidArgumentError } from './errors.ts'
import type { RequestDraft } from './request-capture.ts'

/** A request to explain; a FastifyRequest is one. */
export interface ExplainTarget {
  /** A URL, of which scheme and host count, or a path. */
  url: string
  /** @default 'GET' */
  method?: string
  /** Request header fields; without a Host field and a URL that names one, the host is `localhost`. */
  headers?: Readonly<Record<string, string | string[] | undefined>>
  /** As hooks would leave `request.user`. */
  user?: unknown
  /** As hooks would leave `request.session`. */
  session?: unknown
  /** The address of the client. @default '127.0.0.1' */
  ip?: string
}

const ABSOLUTE = /^(https?):\/\/([^/?#]*)([^#]*)/i

/** Checks what was given, and makes of it what would arrive. */
export function draftOf(target: ExplainTarget): RequestDraft {
  const { url, method = 'GET' } = Object(target) as Partial<ExplainTarget>
  if (typeof url !== 'string' || url === '' || typeof method !== 'string') {
    throw new InvalidArgumentError(
      "explain takes a request: { url: '/products/1', method: 'GET', headers: {} }",
    )
  }
  // Of a request at hand what it was before `rewriteUrl` and hooks.
  const { raw, originalUrl = url } = target as Partial<FastifyRequest>
  const [, scheme, host, rest] = ABSOLUTE.exec(originalUrl) ?? []
  const path = rest ?? originalUrl.split('#', 1)[0]!
  const { encrypted, remoteAddress = target.ip } = Object(raw?.socket) as {
    encrypted?: boolean
    remoteAddress?: string
  }
  return {
    method: method.toUpperCase(),
    url: path.startsWith('/') ? path : `/${path}`,
    protocol: protocolOf(scheme, encrypted),
    headers: fieldsOf(raw?.headers ?? target.headers, host),
    remoteAddress: remoteAddress ?? '127.0.0.1',
  }
}

function protocolOf(scheme: string | undefined, encrypted: boolean | undefined): string {
  return scheme?.toLowerCase() ?? (encrypted === true ? 'https' : 'http')
}

function fieldsOf(given: ExplainTarget['headers'], host: string | undefined): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  for (const [name, value] of Object.entries(given ?? {})) {
    if (value !== undefined) fields[name.toLowerCase()] = value
  }
  if (fields[':authority'] === undefined) fields.host ??= host ?? 'localhost'
  return fields
}

/** What hooks would have left on the request. */
export function addIdentity(request: FastifyRequest, target: ExplainTarget): void {
  for (const name of ['user', 'session'] as const) {
    if (target[name] === undefined) continue
    Object.defineProperty(request, name, { value: target[name], configurable: true })
  }
}

/** What hooks would have known. */
export function unknownOf(target: ExplainTarget): string[] {
  const unknown = ['what hooks do: none has run, so cookies are not parsed and nobody is logged in']
  if (target.user === undefined) unknown.push('request.user, unless given: explain({ …, user })')
  if (target.session === undefined) {
    unknown.push('request.session, unless given: explain({ …, session })')
  }
  return unknown
}
