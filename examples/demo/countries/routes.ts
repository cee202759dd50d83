import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { ALL_CITIES, countryTag } from '../cities/tags.ts'
import { CountryNotFound, Invalid, NoRedis, NotFound } from '../problems.ts'
import { countryStatistics, findCountry, listCountries, regionStatistics } from './queries.ts'
import {
  Countries,
  Country,
  CountryCode,
  CountryFilter,
  CountryStatistics,
  LANGUAGES,
  LocalName,
  RegionStatistics,
  Summary,
  SummaryVersion,
} from './schemas.ts'
import { summarize } from './summary.ts'

const tags = ['countries']
// Nothing in the demo writes countries: no write invalidates this tag, an operator may.
const COUNTRIES = 'countries'

declare module 'fastify-response-cache' {
  interface CacheEvents {
    'country.changed': { code: string }
  }
}

const factsTag = (code: string): string => `facts:${code}`

export const countryRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.cache.on('country.changed', ({ code }) => [factsTag(code), countryTag(code)])

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
      config: {
        cache: { ttl: '1h', tags: (request) => [COUNTRIES, factsTag(request.params.code)] },
      },
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
    '/countries/:code/name',
    {
      schema: {
        tags,
        summary: 'The name of a country, in the language of the client',
        description:
          'Varies by Accept-Language, reduced to the languages there are: `de-AT, de;q=0.9` and ' +
          '`de` share one response.',
        params: CountryCode,
        response: { 200: LocalName, 400: Invalid, 404: NotFound },
      },
      config: {
        cache: {
          ttl: '1h',
          tags: [COUNTRIES],
          vary: { headers: ['accept-language'], normalize: { acceptLanguage: LANGUAGES } },
        },
      },
    },
    async (request, reply) => {
      const { code } = request.params
      const country = await findCountry(app.pg, code)
      if (!country) throw new CountryNotFound(code)
      const language = request.headers['accept-language'] ?? LANGUAGES[0]
      const name = new Intl.DisplayNames([language], { type: 'region' }).of(code) ?? country.name
      reply.headers({ vary: 'accept-language', 'content-language': language })
      return { code, language, name }
    },
  )

  app.post(
    '/countries/:code/changed',
    {
      schema: {
        tags,
        summary: 'Say that a country has changed',
        description:
          'An event: who emits it does not know what is cached. What listens maps it to tags, and ' +
          'those are invalid in all processes before the answer comes.',
        params: CountryCode,
        response: { 204: Type.Null({ description: 'Forgotten' }), 400: Invalid, 503: NoRedis },
      },
    },
    async (request, reply) => {
      await app.cache.emit('country.changed', { code: request.params.code })
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/countries/:code/summary',
    {
      schema: {
        tags,
        summary: 'A summary, as one version of the code makes it',
        description:
          'A value in a namespace with a version: what version 2 makes is never taken for what ' +
          'version 1 made, and processes that still run version 1 go on with theirs.',
        params: CountryCode,
        querystring: SummaryVersion,
        response: { 200: Summary, 400: Invalid, 404: NotFound },
      },
    },
    async ({ params: { code }, query: { version } }) => {
      const summaries = app.cache.namespace('summaries', { version, ttl: '1h' })
      return summaries.getOrSet(code, () => summarize(app.pg, code, version), { tags: [COUNTRIES] })
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
