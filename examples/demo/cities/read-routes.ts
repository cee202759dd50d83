import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'

import { CityNotFound, EmptyRange, Invalid, NotFound } from '../problems.ts'
import { findCity, nearestCities, searchCities } from './queries.ts'
import {
  City,
  CityId,
  CityPage,
  CitySearch,
  LargestCities,
  NearestCities,
  Place,
} from './schemas.ts'
import { ALL_CITIES, POSITIONS, cityTag, searchTag } from './tags.ts'

const tags = ['cities']

export const cityReads: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/cities',
    {
      schema: {
        tags,
        summary: 'Search cities',
        description:
          'Cached for a minute. The tags are decided after the search: one for each city on the ' +
          'page, and one for the condition that any other city would have to begin to fulfil.',
        querystring: CitySearch,
        response: { 200: CityPage, 400: Invalid },
      },
      config: { cache: { ttl: '1m', etag: true, tags: (request) => [searchTag(request.query)] } },
    },
    async (request, reply) => {
      const { page, size, minPopulation, maxPopulation } = request.query
      if (minPopulation !== undefined && maxPopulation !== undefined) {
        if (minPopulation > maxPopulation) throw new EmptyRange(minPopulation, maxPopulation)
      }
      const { total, cities } = await searchCities(app.pg, request.query)
      reply.cacheTags(...cities.map((city) => cityTag(city.id)))
      return { total, page, size, cities }
    },
  )

  app.get(
    '/cities/nearest',
    {
      schema: {
        tags,
        summary: 'The cities nearest to a place',
        description: 'Cached for ten minutes: measures the distance of every city.',
        querystring: Place,
        response: { 200: NearestCities, 400: Invalid },
      },
      config: { cache: { ttl: '10m', tags: [POSITIONS] } },
    },
    async (request, reply) => {
      const cities = await nearestCities(app.pg, request.query)
      reply.cacheTags(...cities.map((city) => cityTag(city.id)))
      return cities
    },
  )

  app.get(
    '/cities/largest',
    {
      schema: {
        tags,
        summary: 'The largest cities, never waited for',
        description:
          'Fresh for two seconds; for a minute after that the stale list is given at once, while ' +
          'one run in the background makes a new one. `asOf` tells when it was made.',
        response: { 200: LargestCities },
      },
      config: { cache: { ttl: '2s', staleWhileRevalidate: '1m', tags: [ALL_CITIES] } },
    },
    async () => {
      const { cities } = await searchCities(app.pg, { page: 1, size: 10 })
      return { asOf: new Date().toISOString(), cities }
    },
  )

  app.get(
    '/cities/:id',
    {
      schema: {
        tags,
        summary: 'One city',
        description: 'Cached for five minutes under the tag city:ID. An unknown id is not cached.',
        params: CityId,
        response: { 200: City, 400: Invalid, 404: NotFound },
      },
      config: { cache: { ttl: '5m', etag: true, tags: (request) => [cityTag(request.params.id)] } },
    },
    async (request) => {
      const city = await findCity(app.pg, request.params.id)
      if (!city) throw new CityNotFound(request.params.id)
      return city
    },
  )
}
