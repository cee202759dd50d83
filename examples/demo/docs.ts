import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'

const DESCRIPTION = `135,233 cities and 250 countries in PostgreSQL, behind \`fastify-response-cache\`.

Send a request twice and look at its **cache-status** header: \`fwd=uri-miss; stored\` the first time,
\`hit; ttl=…\` the second. Then change a city that the response contains, and send it again.

Cities: [GeoNames](https://www.geonames.org), CC BY 4.0. Countries:
[world-countries](https://github.com/mledoze/countries), ODbL 1.0.`

// The page and all it loads come from this server. Unlike the plugin's own policy this one does not
// turn http into https, which would break the page on every host but localhost.
const CONTENT_SECURITY_POLICY = {
  'default-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'style-src': ["'self'", "'unsafe-inline'"],
  'object-src': ["'none'"],
  'frame-ancestors': ["'none'"],
}

/** The OpenAPI document and Swagger UI at /docs. Must be registered before the routes it describes. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Cities and countries', version: '1.0.0', description: DESCRIPTION },
      tags: [
        { name: 'cities', description: 'Search, and writes that invalidate by tag' },
        { name: 'countries', description: 'Countries and their statistics' },
        { name: 'favourites', description: 'Cached for each user alone' },
        { name: 'cache', description: 'The cache client: values under keys' },
        { name: 'sessions', description: '@fastify/session, stored in the cache client' },
        { name: 'users', description: 'Needs Redis: profiles as hashes' },
        { name: 'rate-limit', description: 'Counted in Redis, where there is one' },
        { name: 'lock', description: 'One at a time, in all processes' },
        { name: 'queue', description: 'Needs Redis: BullMQ, and plain lists' },
        { name: 'leaderboard', description: 'Needs Redis: a sorted set' },
        { name: 'events', description: 'Needs Redis: publish and subscribe' },
        { name: 'service', description: 'Not cached' },
      ],
      components: {
        securitySchemes: {
          name: {
            type: 'http',
            scheme: 'bearer',
            description: 'Any name: the demo believes everybody. For the favourites.',
          },
        },
      },
    },
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { tryItOutEnabled: true, displayRequestDuration: true, docExpansion: 'list' },
  })
}
