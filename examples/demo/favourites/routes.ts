import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { CITY_COLUMNS } from '../cities/queries.ts'
import { City, CityId } from '../cities/schemas.ts'
import { cityTag } from '../cities/tags.ts'
import { CityNotFound, Invalid, LoggedOut, NotFound, NotLoggedIn } from '../problems.ts'

const tags = ['favourites']
const security = [{ name: [] }]

const Favourites = Type.Array(City, { description: 'The cities of whoever asks' })

type Identified = { headers: { authorization?: string | undefined } }

// The demo believes everybody; elsewhere this is what @fastify/jwt has verified.
function userOf({ headers }: Identified): string | undefined {
  return /^Bearer ([\w-]{1,40})$/.exec(headers.authorization ?? '')?.[1]
}

const tagOf = (request: Identified): string => `favourites:${userOf(request)}`
const cache = { invalidates: (request: Identified) => [tagOf(request)], invalidateTarget: false }

/**
 * Private responses: a request with credentials goes around the cache, unless the route says by what
 * the response differs. `vary.by` is part of the key, so that nobody gets another one's.
 */
export const favouriteRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.addHook('onRequest', async (request) => {
    if (userOf(request) === undefined) throw new NotLoggedIn('Send Authorization: Bearer NAME.')
  })

  app.get(
    '/favourites',
    {
      schema: {
        tags,
        security,
        summary: 'My cities',
        description: 'Cached for five minutes for each user, and never told to shared caches.',
        response: { 200: Favourites, 401: LoggedOut },
      },
      config: {
        cache: {
          ttl: '5m',
          vary: { by: userOf },
          tags: (request) => [tagOf(request)],
          clientCacheControl: 'private, no-cache',
        },
      },
    },
    async (request, reply) => {
      const { rows } = await app.pg.query<City>(
        `SELECT ${CITY_COLUMNS} FROM cities_demo.city JOIN cities_demo.favourite ON city = id
         WHERE owner = $1 ORDER BY population DESC, id`,
        [userOf(request)],
      )
      reply.cacheTags(...rows.map(({ id }) => cityTag(id)))
      return rows
    },
  )

  app.put(
    '/favourites/:id',
    {
      schema: {
        tags,
        security,
        summary: 'Add a city to mine',
        params: CityId,
        response: {
          204: Type.Null({ description: 'Added' }),
          400: Invalid,
          401: LoggedOut,
          404: NotFound,
        },
      },
      config: { cache },
    },
    async (request, reply) => {
      const { id } = request.params
      const { rowCount } = await app.pg.query(
        `INSERT INTO cities_demo.favourite (owner, city)
         SELECT $1, id FROM cities_demo.city WHERE id = $2
         ON CONFLICT (owner, city) DO UPDATE SET owner = excluded.owner`,
        [userOf(request), id],
      )
      if (rowCount === 0) throw new CityNotFound(id)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/favourites/:id',
    {
      schema: {
        tags,
        security,
        summary: 'Remove a city from mine',
        params: CityId,
        response: { 204: Type.Null({ description: 'Removed' }), 400: Invalid, 401: LoggedOut },
      },
      config: { cache },
    },
    async (request, reply) => {
      await app.pg.query('DELETE FROM cities_demo.favourite WHERE owner = $1 AND city = $2', [
        userOf(request),
        request.params.id,
      ])
      return reply.code(204).send(null)
    },
  )
}
