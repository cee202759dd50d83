import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, Missing, NoRedis, NotFound } from '../problems.ts'
import {
  Exists,
  Key,
  KeyFilter,
  KeyPage,
  KeyPattern,
  NewValue,
  Stored,
  TagList,
  Value,
} from './schemas.ts'

const tags = ['cache']
const MAX_KEYS = 10_000

/** The cache client over HTTP: values under keys. In memory alone as well as with Redis. */
export const valueRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const values = app.cache.namespace('values', { ttl: '10m' })

  app.put(
    '/cache/:key',
    {
      schema: {
        tags,
        summary: 'Store a value, with ttl and tags',
        description: 'Other processes forget the one they had first.',
        params: Key,
        body: NewValue,
        response: { 200: Stored, 400: Invalid },
      },
    },
    async ({ params: { key }, body: { value, ttl = 600, tags: own = [] } }) => {
      return { key, stored: await values.set(key, value, { ttl, tags: own }) }
    },
  )

  app.get(
    '/cache/:key',
    {
      schema: {
        tags,
        summary: 'A value and its remaining ttl',
        params: Key,
        response: { 200: Value, 400: Invalid, 404: NotFound },
      },
    },
    async ({ params: { key } }) => {
      const [value, ttl] = await Promise.all([values.get(key), values.ttl(key)])
      if (value === undefined || ttl === undefined) throw unknown(key)
      return { key, value, ttl }
    },
  )

  app.get(
    '/cache/:key/exists',
    {
      schema: {
        tags,
        summary: 'Whether there is a value',
        params: Key,
        response: { 200: Exists, 400: Invalid },
      },
    },
    async ({ params: { key } }) => ({ exists: await values.has(key) }),
  )

  app.delete(
    '/cache/:key',
    {
      schema: {
        tags,
        summary: 'Forget a value, in all processes',
        params: Key,
        response: { 204: Type.Null({ description: 'Forgotten' }), 400: Invalid, 503: NoRedis },
      },
    },
    async ({ params: { key } }, reply) => {
      await values.delete(key)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/cache',
    {
      schema: {
        tags,
        summary: 'Keys by prefix, in pages',
        description: `The first ${MAX_KEYS} that SCAN finds, sorted. Never KEYS, which makes all others wait.`,
        querystring: KeyFilter,
        response: { 200: KeyPage, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ query: { prefix, page, size } }) => {
      const found = new Set<string>()
      for await (const key of values.keys({ prefix })) {
        if (found.add(key).size === MAX_KEYS) break
      }
      const keys = [...found].sort().slice((page - 1) * size, page * size)
      return { total: found.size, page, size, keys }
    },
  )

  app.delete(
    '/cache',
    {
      schema: {
        tags,
        summary: 'Forget all keys that match a pattern',
        description: 'One record in the log, however many they are: nothing is searched for.',
        querystring: KeyPattern,
        response: { 204: Type.Null({ description: 'Forgotten' }), 400: Invalid, 503: NoRedis },
      },
    },
    async ({ query: { pattern } }, reply) => {
      await values.invalidatePattern(pattern)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/cache/invalidate',
    {
      schema: {
        tags,
        summary: 'Forget what carries a tag: values and responses',
        body: TagList,
        response: { 204: Type.Null({ description: 'Forgotten' }), 400: Invalid, 503: NoRedis },
      },
    },
    async ({ body }, reply) => {
      await app.cache.invalidateTags(body.tags)
      return reply.code(204).send(null)
    },
  )
}

const unknown = (key: string): Error =>
  new Missing(`Nothing is stored under '${key}'. PUT /cache/${key} stores something.`)
