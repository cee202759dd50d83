import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, Missing, NoRedis, NotFound, RedisNeeded } from '../problems.ts'
import { redisPattern } from '../redis-pattern.ts'
import {
  LIFETIME_S,
  type StoredProfile,
  findField,
  findProfile,
  putProfile,
} from './profile-hash.ts'
import { changeProfile, readProfile, removeProfile, writeProfile } from './queries.ts'
import {
  CachedField,
  CachedProfile,
  Profile,
  ProfileChanges,
  Slide,
  UserField,
  UserId,
} from './schemas.ts'

const tags = ['users']
const errors = { 400: Invalid, 404: NotFound, 503: NoRedis }
const NAME = 'A profile in a hash'

/**
 * Profiles as Redis hashes before PostgreSQL: fields are read one by one. Written by hand on purpose,
 * to show what that takes: a version in each hash, or a slow reader puts back what was replaced.
 */
export const userRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const onRedis = redisPattern(app, NAME)
  // PostgreSQL has it by now: where Redis does not answer, the hash is old for a minute at most.
  async function written(id: string, { version, ...profile }: StoredProfile) {
    const isWritten = await onRedis((redis) => putProfile(redis, id, { version, ...profile })).then(
      () => true,
      () => false,
    )
    if (!isWritten) return { cache: 'not written' as const, ttl: 0, profile }
    return { cache: 'written' as const, ttl: LIFETIME_S, profile }
  }

  async function load(id: string) {
    const stored = await readProfile(app.pg, id)
    if (stored === undefined) throw unknown(id)
    await onRedis((redis) => putProfile(redis, id, stored))
    const { version: _, ...profile } = stored
    return profile
  }

  app.addHook('preHandler', async () => {
    if (app.cache.redis === null) throw new RedisNeeded(NAME)
  })

  app.put(
    '/users/:id',
    {
      schema: {
        tags,
        summary: 'Make or replace a profile',
        description: 'PostgreSQL first, then the hash, unless that holds something newer.',
        params: UserId,
        body: Profile,
        response: { 200: CachedProfile, 400: Invalid, 503: NoRedis },
      },
    },
    async ({ params: { id }, body }) => written(id, await writeProfile(app.pg, id, body)),
  )

  app.get(
    '/users/:id',
    {
      schema: {
        tags,
        summary: 'A profile, and where it came from',
        description: 'Remains in Redis for a minute; with `slide=true` for a minute more.',
        params: UserId,
        querystring: Slide,
        response: { 200: CachedProfile, ...errors },
      },
    },
    async ({ params: { id }, query: { slide } }) => {
      const found = await onRedis((redis) => findProfile(redis, id, slide))
      if (found === undefined) {
        return { cache: 'miss' as const, ttl: LIFETIME_S, profile: await load(id) }
      }
      if (found.profile === undefined) throw unknown(id)
      return { cache: 'hit' as const, ttl: found.ttl, profile: found.profile }
    },
  )

  app.get(
    '/users/:id/:field',
    {
      schema: {
        tags,
        summary: 'One field of a profile',
        params: UserField,
        response: { 200: CachedField, ...errors },
      },
    },
    async ({ params: { id, field } }) => {
      const found = await onRedis((redis) => findField(redis, id, field))
      if (found !== undefined) return { cache: 'hit' as const, ...found }
      const profile = await load(id)
      return { cache: 'miss' as const, ttl: LIFETIME_S, value: profile[field] }
    },
  )

  app.patch(
    '/users/:id',
    {
      schema: {
        tags,
        summary: 'Change some fields of a profile',
        params: UserId,
        body: ProfileChanges,
        response: { 200: CachedProfile, ...errors },
      },
    },
    async ({ params: { id }, body }) => {
      const stored = await changeProfile(app.pg, id, body)
      if (stored === undefined) throw unknown(id)
      return written(id, stored)
    },
  )

  app.delete(
    '/users/:id',
    {
      schema: {
        tags,
        summary: 'Remove a profile',
        params: UserId,
        response: { 204: Type.Null({ description: 'Removed' }), ...errors },
      },
    },
    async ({ params: { id } }, reply) => {
      const version = await removeProfile(app.pg, id)
      if (version === undefined) throw unknown(id)
      await onRedis((redis) => putProfile(redis, id, { version }))
      return reply.code(204).send(null)
    },
  )
}

const unknown = (id: string): Error =>
  new Missing(`There is no profile '${id}'. PUT /users/${id} makes one.`)
