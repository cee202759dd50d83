import type { FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify'

import type { Auditor } from './audit.ts'
import type { Exchange } from './exchange.ts'
import { backgroundRequest, isForBackground } from './exchange-background.ts'
import type { Storable } from './exchange-judge.ts'
import { isSafeMethod } from './http/cache-groups.ts'
import { splitTarget } from './http/cache-key.ts'
import { isFresh } from './http/freshness.ts'
import type { Cached } from './store/cached.ts'

/** Draws a share of the hits on a route that is audited, and has what they served computed once more. */
export function auditHit(
  exchange: Exchange,
  request: FastifyRequest,
  { entry }: Cached,
  now: number,
): void {
  const { cache, policy, key, primaryKey } = exchange
  const audit = cache.audit!
  if (cache.random() >= audit.sample) return
  if (request.method === 'HEAD' || exchange.refresh !== undefined || !isFresh(entry, now)) return
  if (!isForBackground(exchange, request)) return audit.skip('identity')
  if (!audit.admits(now)) return
  const subject = { key, primaryKey, route: policy.route, entry }
  void audit.begin(subject, backgroundRequest(exchange, request))
}

/** The answer that was computed for an audit: it is not stored, not counted, and nobody waits for it. */
export function tellAudit(
  exchange: Exchange,
  reply: FastifyReply,
  { storable, overtaken }: { storable: Storable | undefined; overtaken: boolean },
): void {
  const { refresh, key, primaryKey, fill } = exchange
  const flow = fill!.flow
  const tell = (entry: Storable['entry'] | undefined): void => {
    refresh!.audit!({
      key: storable?.variant?.key ?? key,
      primaryKey,
      status: reply.raw.statusCode,
      entry,
      overtaken: overtaken || storable?.settles === true,
    })
  }
  if (flow === undefined || storable === undefined) {
    if (flow !== undefined) flow.settle = undefined
    return tell(storable?.entry)
  }
  flow.settle = () => {
    flow.settle = undefined
    const { body } = flow.outcome!
    tell(body && { ...storable.entry, body })
  }
  if (flow.outcome !== undefined) flow.settle()
}

/** A preHandler hook: the body has been read by then, and what follows is done for this write. */
export function noteWrites(audit: Auditor, now: () => number): preHandlerHookHandler {
  return (request, reply, done) => {
    if (isSafeMethod(request.method)) return done()
    const { path } = splitTarget(request.originalUrl)
    const route = request.routeOptions.url ?? path
    const write = { method: request.method, route, path, tags: new Set<string>() }
    reply.raw.once('close', () => audit.writes.end(write, reply.statusCode, now()))
    audit.writes.run(write, done)
  }
}
