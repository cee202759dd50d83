import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import { type QueryPredicate, isPlain } from './http/query.ts'

/** Names of parameters as they are given; others can only be meant for whoever shows them. */
const COMMON_NAME = /^[\w.:[\]-]+$/

/**
 * `vary.query` leaves parameters out of the key, so an answer in which one of them shows must not be
 * kept: it would be everybody's. Whether it shows cannot be told from the answer, but whether
 * somebody looked can. From here until the answer is captured, reading such a parameter or the URL
 * is noted; what is read is not changed. Names alone are not watched: that takes a Proxy, which no
 * handler could clone or post to a worker.
 */
export function watchIgnored(
  exchange: Exchange,
  reply: FastifyReply,
  counts: QueryPredicate,
): void {
  const { request } = reply
  const { query, raw } = request
  const { url, originalUrl } = exchange.target!
  // The key has all of a target that was rewritten, and of a query that cannot be compared.
  if (originalUrl !== url || query === null || typeof query !== 'object' || !isPlain(query)) return
  const ignored = Object.keys(query).filter((name) => !counts(name))
  if (ignored.length === 0) return
  const note = (): void => {
    const { fill } = exchange
    const isMade = fill?.complete && (fill.flow === undefined || fill.flow.outcome !== undefined)
    if (!isMade) exchange.sawIgnored = true
  }
  for (const name of ignored) {
    if (!COMMON_NAME.test(name) || !watch(query, name, note)) note()
  }
  watch(raw, 'url', note)
  watch(request, 'originalUrl', note)
}

/** A property that is read and written as before. */
function watch(owner: object, name: string, note: () => void): boolean {
  let value = Reflect.get(owner, name) as unknown
  return Reflect.defineProperty(owner, name, {
    configurable: true,
    enumerable: true,
    get: () => {
      note()
      return value
    },
    set: (written: unknown) => {
      value = written
    },
  })
}
