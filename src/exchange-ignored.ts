import type { FastifyReply } from 'fastify'

import type { Exchange } from './exchange.ts'
import type { QueryPredicate } from './http/query.ts'

/**
 * `vary.query` leaves parameters out of the key, so an answer in which one of them shows must not be
 * kept: it would be everybody's. Whether it shows cannot be told from the answer, but whether
 * somebody looked can. From here until the answer is captured, looking at such a parameter, at all
 * names, or at the URL is noted; what is seen is not changed.
 */
export function watchIgnored(
  exchange: Exchange,
  reply: FastifyReply,
  counts: QueryPredicate,
): void {
  const { request } = reply
  const { query, raw } = request
  const { url, originalUrl } = exchange.target!
  // The key has all of a target that was rewritten.
  if (originalUrl !== url) return
  if (query === null || typeof query !== 'object') return
  if (Reflect.ownKeys(query).every((name) => isCounted(name, counts))) return
  const note = (): void => {
    const { fill } = exchange
    const isMade = fill?.complete && (fill.flow === undefined || fill.flow.outcome !== undefined)
    if (!isMade) exchange.sawIgnored = true
  }
  request.query = watchedQuery(query, counts, note)
  watchText(raw, 'url', note)
  watchText(request, 'originalUrl', note)
}

function isCounted(name: string | symbol, counts: QueryPredicate): boolean {
  return typeof name === 'symbol' || counts(name)
}

function watchedQuery(query: object, counts: QueryPredicate, note: () => void): object {
  const noteOf = (name: string | symbol): void => {
    if (!isCounted(name, counts)) note()
  }
  return new Proxy(query, {
    get: (target, name) => {
      noteOf(name)
      return Reflect.get(target, name) as unknown
    },
    has: (target, name) => {
      noteOf(name)
      return Reflect.has(target, name)
    },
    getOwnPropertyDescriptor: (target, name) => {
      noteOf(name)
      return Reflect.getOwnPropertyDescriptor(target, name)
    },
    ownKeys: (target) => {
      note()
      return Reflect.ownKeys(target)
    },
  })
}

/** A property of this one message that can be read and written as before. */
function watchText<Name extends string>(
  message: { [name in Name]?: string | undefined },
  name: Name,
  note: () => void,
): void {
  let text = message[name]
  Object.defineProperty(message, name, {
    configurable: true,
    enumerable: true,
    get: () => {
      note()
      return text
    },
    set: (value: string) => {
      text = value
    },
  })
}
