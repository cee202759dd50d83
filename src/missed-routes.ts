import { subscribe, unsubscribe } from 'node:diagnostics_channel'

import type { Logger } from 'pino'

const CHANNEL = 'tracing:fastify.request.handler:start'
/** Long enough to see the routes that matter, and over before it could cost anything. */
const MAX_REQUESTS = 1000

interface HandlerStart {
  request: {
    method: string
    server: object
    routeOptions: { url?: string | undefined; config: { cache?: unknown } }
  }
}

/**
 * A route declared before the plugin has loaded (in the tick of an `app.register` that is not
 * awaited) is not seen by `onRoute` and silently not cached. The first requests show which ones.
 * Returns how to stop watching.
 */
export function warnOfMissedRoutes(
  log: Logger,
  isOurs: (server: object) => boolean,
  isCached: (request: object) => boolean,
): () => void {
  const warned = new Set<string>()
  let seen = 0
  const stop = (): void => {
    unsubscribe(CHANNEL, listen)
  }
  const listen = (message: unknown): void => {
    const { request } = message as HandlerStart
    if (!isOurs(request.server)) return
    if (++seen > MAX_REQUESTS) stop()
    const { url = '', config } = request.routeOptions
    if (!config.cache || isCached(request) || warned.has(url)) return
    if (request.method !== 'GET') return
    warned.add(url)
    log.warn(
      `GET ${url} has config.cache but was declared before the cache was loaded, so it is not ` +
        'cached: await app.register(…) first, or declare the route inside a plugin',
    )
  }
  subscribe(CHANNEL, listen)
  return stop
}
