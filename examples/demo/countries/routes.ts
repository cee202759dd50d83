import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { ALL_CITIES, countryTag } from '../cities/tags.ts'
import { CountryNotFound, Invalid, NotFound } from '../problems.ts'
import { countryStatistics, findCountry, listCountries, regionStatistics } from './queries.ts'
import {
  Countries,
  Country,
  CountryCode,
  CountryFilter,
  CountryStatistics,
  RegionStatistics,
} from './schemas.ts'

const tags = ['countries']
// Nothing in the demo writes countries: no write invalidates this tag, an operator may.
const COUNTRIES = 'countries'

export const countryRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/countries',
    {
      schema: {
        tags,
        summary: 'All countries, or those of a region',
        querystring: CountryFilter,
        response: { 200: Countries, 400: Invalid },
      },
      config: { cache: { ttl: '1h', tags: [COUNTRIES] } },
    },
    (request) => listCountries(app.pg, request.query),
  )

  app.get(
    '/countries/:code',
    {
      schema: {
        tags,
        summary: 'One country',
        params: CountryCode,
        response: { 200: Country, 400: Invalid, 404: NotFound },
      },
      config: { cache: { ttl: '1h', tags: [COUNTRIES] } },
    },
    async (request) => {
      const country = await findCountry(app.pg, request.params.code)
      if (!country) throw new CountryNotFound(request.params.code)
      return country
    },
  )

  app.get(
    '/countries/:code/statistics',
    {
      schema: {
        tags,
        summary: 'How many people live in the cities of a country',
        description:
          'Cached for ten minutes under the tag country:CODE, until a write to its cities.',
        params: CountryCode,
        response: { 200: CountryStatistics, 400: Invalid, 404: NotFound },
      },
      config: {
        cache: { ttl: '10m', tags: (request) => [COUNTRIES, countryTag(request.params.code)] },
      },
    },
    async (request) => {
      const statistics = await countryStatistics(app.pg, request.params.code)
      if (!statistics) throw new CountryNotFound(request.params.code)
      return statistics
    },
  )

  app.get(
    '/statistics',
    {
      schema: {
        tags,
        summary: 'The cities of the world by region',
        description: 'Cached for an hour, until a write to any city.',
        response: { 200: Type.Array(RegionStatistics) },
      },
      config: { cache: { ttl: '1h', tags: [ALL_CITIES, COUNTRIES] } },
    },
    () => regionStatistics(app.pg),
  )
}
