import type { FastifyReply } from 'fastify'

import { type Duration, DURATION_HELP, seconds } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import { type CacheNotes, NOTES } from './exchange.ts'
import { encodeTag, tagProblem } from './invalidation/tags.ts'

/** What a handler can say about the answer it is making. Without effect where nothing is stored. */
export interface CacheReply {
  /** Adds tags; for those that are known only after the work is done. */
  cacheTags(...tags: string[]): FastifyReply
  /** Sets the lifetime of this answer, over the route's `ttl`. */
  cacheTtl(ttl: Duration): FastifyReply
  /** Keeps this answer out of the cache; the reason is shown in Cache-Status. */
  cacheSkip(reason?: string): FastifyReply
}

const MAX_REASON_LENGTH = 100

export const replyDecorators: ThisType<FastifyReply> & CacheReply = {
  cacheTags(...tags) {
    const encoded = tags.map((tag) => {
      const problem = tagProblem(tag)
      if (problem !== undefined) throw new InvalidArgumentError(`reply.cacheTags: ${problem}`)
      return encodeTag('tag', tag)
    })
    const notes = notesOf(this)
    notes.tags = notes.tags === undefined ? encoded : [...notes.tags, ...encoded]
    return this
  },

  cacheTtl(ttl) {
    const length = seconds(ttl)
    if (length === undefined) {
      throw new InvalidArgumentError(`reply.cacheTtl takes ${DURATION_HELP}`)
    }
    notesOf(this).ttl = length
    return this
  },

  cacheSkip(reason) {
    notesOf(this).skip ??= { reason: reason?.slice(0, MAX_REASON_LENGTH) }
    return this
  },
}

function notesOf({ request }: FastifyReply): CacheNotes {
  return (request[NOTES] ??= {})
}
