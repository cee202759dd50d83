import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { CityNotFound, Conflict, Invalid, NoRedis, NotFound } from '../problems.ts'
import { addCity, changeCity, removeCity } from './changes.ts'
import { City, CityChanges, CityFields, CityId, PathPattern } from './schemas.ts'
import { writeTags } from './tags.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What the write of this request touched: known only once it has happened. */
    touchedTags: readonly string[] | null
  }
}

const tags = ['cities']
// After a 2xx, before the client has its answer: whoever has seen the write sees it everywhere.
const cache = {
  invalidates: (request: { touchedTags: readonly string[] | null }) => request.touchedTags ?? [],
  // Without it a new city would make all searches forget, and not only those that it matches.
  invalidateTarget: false,
}
const errors = { 400: Invalid, 404: NotFound, 409: Conflict }

export const cityWrites: FastifyPluginAsyncTypebox = async (app) => {
  app.decorateRequest('touchedTags', null)

  app.post(
    '/cities',
    {
      schema: {
        tags,
        summary: 'Add a city',
        description:
          'Invalidates the searches that would find it and the statistics that count it.',
        body: CityFields,
        response: { 201: City, 400: Invalid, 409: Conflict },
      },
      config: { cache },
    },
    async (request, reply) => {
      const city = await addCity(app.pg, request.body)
      request.touchedTags = writeTags(undefined, city)
      return reply.code(201).header('location', `/cities/${city.id}`).send(city)
    },
  )

  app.post(
    '/cities/invalidate',
    {
      schema: {
        tags,
        summary: 'Forget the responses whose paths match a pattern',
        description: 'For people and imports. What writes are about are tags.',
        body: PathPattern,
        response: { 204: Type.Null({ description: 'Forgotten' }), 400: Invalid, 503: NoRedis },
      },
    },
    async (request, reply) => {
      await app.cache.invalidatePattern(request.body.pattern)
      return reply.code(204).send(null)
    },
  )

  app.put(
    '/cities/:id',
    {
      schema: {
        tags,
        summary: 'Replace a city',
        description: 'A city that moves between countries invalidates both of them.',
        params: CityId,
        body: CityFields,
        response: { 200: City, ...errors },
      },
      config: { cache },
    },
    async (request) => {
      const change = await changeCity(app.pg, request.params.id, request.body)
      if (!change) throw new CityNotFound(request.params.id)
      request.touchedTags = writeTags(change.before, change.after)
      return change.after
    },
  )

  app.patch(
    '/cities/:id',
    {
      schema: {
        tags,
        summary: "Change some of a city's fields",
        description: 'Fields that are left out stay. Invalidates just what the change touches.',
        params: CityId,
        body: CityChanges,
        response: { 200: City, ...errors },
      },
      config: { cache },
    },
    async (request) => {
      const change = await changeCity(app.pg, request.params.id, request.body)
      if (!change) throw new CityNotFound(request.params.id)
      request.touchedTags = writeTags(change.before, change.after)
      return change.after
    },
  )

  app.delete(
    '/cities/:id',
    {
      schema: {
        tags,
        summary: 'Remove a city',
        params: CityId,
        response: { 204: Type.Null({ description: 'Removed' }), 400: Invalid, 404: NotFound },
      },
      config: { cache },
    },
    async (request, reply) => {
      const city = await removeCity(app.pg, request.params.id)
      if (!city) throw new CityNotFound(request.params.id)
      request.touchedTags = writeTags(city, undefined)
      return reply.code(204).send(null)
    },
  )
}
