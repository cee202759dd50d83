import { Readable } from 'node:stream'

import type { FastifyReply, FastifyRequest } from 'fastify'

/** What is true now under this name; the checks count who asks, and let answers wait. */
export type Read = (name: string) => Promise<string>

export interface Page {
  name: string
  url: string
  /** Asks for x-pass in a preHandler. */
  guarded?: boolean
  /** By which it is invalidated. */
  tag?: (request: FastifyRequest) => string
  /** What depends on nothing but the URL: that is what keeps values keeps. */
  value?: (request: FastifyRequest, read: Read) => Promise<unknown>
  /** Of a route that answers by more than its URL, or with more than a body. */
  answer?: (request: FastifyRequest, reply: FastifyReply, read: Read) => Promise<unknown>
}

export const BYTES = Buffer.from([0, 1, 2, 253, 254, 255, 0xc3, 0x28])
let sessions = 0

export const PAGES: readonly Page[] = [
  {
    name: 'item',
    url: '/item/:id',
    tag: (request) => request.url,
    value: async (request, read) => ({ url: request.url, version: await read(request.url) }),
  },
  {
    name: 'tagged',
    url: '/tagged/:id',
    tag: () => 'tagged',
    value: async (request) => ({ url: request.url, run: (sessions += 1) }),
  },
  {
    name: 'buffer',
    url: '/buffer',
    tag: () => 'buffer',
    value: async (_request, read) => {
      await read('/buffer')
      return BYTES
    },
  },
  {
    name: 'me',
    url: '/me',
    answer: async (request, _reply, read) => {
      await read('/me')
      return { for: request.headers.authorization ?? request.headers.cookie }
    },
  },
  {
    name: 'guarded',
    url: '/guarded',
    guarded: true,
    answer: async (_request, _reply, read) => ({ version: await read('/guarded') }),
  },
  {
    name: 'set-cookie',
    url: '/set-cookie',
    answer: async (_request, reply, read) => {
      reply.header('set-cookie', `sid=${(sessions += 1)}`)
      return { version: await read('/set-cookie') }
    },
  },
  {
    name: 'host',
    url: '/host',
    answer: async (request, _reply, read) => {
      await read('/host')
      return { for: request.host }
    },
  },
  {
    name: 'language',
    url: '/language',
    answer: async (request, reply, read) => {
      reply.header('vary', 'accept-language')
      await read('/language')
      return { for: request.headers['accept-language'] }
    },
  },
  {
    name: 'private',
    url: '/private',
    answer: async (_request, reply, read) => {
      reply.header('cache-control', 'private, no-store')
      return { version: await read('/private') }
    },
  },
  {
    name: 'failing',
    url: '/failing',
    answer: async (_request, reply, read) => {
      const version = await read('/failing')
      reply.code(500)
      return { version }
    },
  },
  {
    name: 'fields',
    url: '/fields',
    answer: async (_request, reply, read) => {
      reply.code(203).type('text/csv').header('x-total', '3')
      return `version\n${await read('/fields')}\n`
    },
  },
  {
    name: 'stream',
    url: '/stream',
    answer: async (_request, reply, read) => {
      const version = await read('/stream')
      reply.type('text/plain')
      return Readable.from([Buffer.from('a stream of '), Buffer.from(version)])
    },
  },
]
