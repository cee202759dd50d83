import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'

type Keep = (key: string, tag: string, make: () => Promise<unknown>) => Promise<unknown>

/** What a peer does for the pages. What it cannot do is left out. */
export interface Adapter {
  /** Options of the route of a page. */
  route?: (page: string) => RouteShorthandOptions
  /** Called in the handler, before it answers. */
  answering?: (request: FastifyRequest, reply: FastifyReply, tag: string | undefined) => void
  /** The value under this key: kept, or made. Only what keeps values. */
  value?: Keep
  /** The same where entries are to be invalidated by tag, if that takes another way. */
  taggedValue?: Keep
  /** One page or value is no longer true. */
  invalidate: (tag: string, key: string) => Promise<unknown>
  invalidateTag?: (tag: string) => Promise<unknown>
}

export interface Place {
  redisUrl: string
  /** There are other processes on this Redis, and it is told so where it can be. */
  several: boolean
  /** Of the client for Redis, where that is ioredis. */
  client: { commandTimeout?: number }
}

/** Sets the peer up, before there are routes. */
export type SetUp = (app: FastifyInstance, place: Place) => Promise<Adapter>

export const TTL_SECONDS = 3600
