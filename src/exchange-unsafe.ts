import type { FastifyReply, FastifyRequest } from 'fastify'

import { tellPosition } from './exchange-own-writes.ts'
import { isResponse } from './exchange-stream.ts'
import { groupTags } from './group-tags.ts'
import { isSafeMethod } from './http/cache-groups.ts'
import type { FieldValue } from './http/fields.ts'
import { sameOriginTarget } from './http/uri-reference.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'
import type { Policy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import type { LogPosition } from './stored-response.ts'
import { syncResult } from './sync-result.ts'
import { originForm, pathTag } from './url-tags.ts'

/** What one registration does after an unsafe request. */
export interface UnsafeRoute {
  readonly cache: ResponseCache
  /** The route's own; undefined where it says nothing of this registration. */
  readonly policy: Policy | undefined
  /** Whether the target URI is invalidated, with those that the answer names. */
  readonly invalidatesTarget: boolean
}

/**
 * The onSend step of an unsafe request: what its answer makes invalid is so before the client has it
 * (RFC 9111 §4.4). The write is done, so trouble is reported and the answer stands: this process has
 * forgotten, the others are told when Redis is back. Never rejects.
 */
export async function invalidateAfter(
  route: UnsafeRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<void> {
  if (isSafeMethod(request.method)) return
  const { cache } = route
  let isAny = false
  let receipt: LogPosition | undefined
  try {
    const answer = answerOf(reply, payload)
    // RFC 9875 §3 asks for no success: who names groups knows what was changed.
    const tags = new Set(groupTags(answer.field('cache-group-invalidation')))
    if (answer.status >= 200 && answer.status < 400) {
      for (const tag of declaredTags(route, request, reply)) tags.add(tag)
      if (route.invalidatesTarget) for (const tag of uriTags(request, reply, answer)) tags.add(tag)
    }
    isAny = tags.size > 0
    receipt = await cache.invalidate({ tags: [...tags], mode: 'expire' })
  } catch (error) {
    cache.trouble.report('invalidates', error)
  }
  if (isAny) tellPosition(cache, request, reply, receipt)
}

/** The tags of the option `invalidates`. When it fails, the target is invalidated all the same. */
function declaredTags(
  { cache, policy }: UnsafeRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): string[] {
  const invalidates = policy?.invalidates
  if (invalidates === undefined) return []
  try {
    const tags = syncResult(
      'invalidates',
      typeof invalidates === 'function' ? invalidates(request, reply) : invalidates,
    )
    const problem = tags.map(tagProblem).find((each) => each !== undefined)
    if (problem !== undefined) throw new TypeError(`invalidates gave a wrong tag: ${problem}`)
    return tags.map((tag) => encodeTag('tag', tag))
  } catch (error) {
    cache.trouble.report('invalidates', error)
    return []
  }
}

/** Status and fields, as they will be sent. */
interface Answer {
  status: number
  field: (name: string) => FieldValue | undefined
}

/** A web `Response` brings its own, and Fastify takes them over only after this. */
function answerOf(reply: FastifyReply, payload: unknown): Answer {
  if (!isResponse(payload)) {
    return { status: reply.statusCode, field: (name) => reply.getHeader(name) }
  }
  const fields = new Map(payload.headers)
  return { status: payload.status, field: (name) => fields.get(name) ?? reply.getHeader(name) }
}

/** The target URI with all its queries, and what Location and Content-Location name. */
function uriTags(request: FastifyRequest, reply: FastifyReply, { field }: Answer): string[] {
  const url = originForm(request.originalUrl)
  const tags = [pathTag(originForm(request.raw.url!)), pathTag(url)]
  const { host } = request
  // A client library that has read the body to its end may take the socket from the request.
  const protocol = request.protocol ?? (isEncrypted(reply.raw.socket) ? 'https' : 'http')
  for (const name of ['location', 'content-location']) {
    const reference = field(name)
    if (typeof reference !== 'string') continue
    const target = sameOriginTarget(reference, { protocol, host, url })
    if (target !== undefined) tags.push(pathTag(target))
  }
  return tags
}

function isEncrypted(socket: object | null): boolean {
  return socket !== null && 'encrypted' in socket && socket.encrypted === true
}
