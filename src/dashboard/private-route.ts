import type { RouteShorthandOptions } from 'fastify'

/** In nobody's cache, and not in the documents that @fastify/swagger makes of the application. */
export const PRIVATE_ROUTE: Readonly<Pick<RouteShorthandOptions, 'schema' | 'config'>> = {
  schema: { hide: true } as RouteShorthandOptions['schema'] & object,
  config: { cache: false },
}
