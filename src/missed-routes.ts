import type { Logger } from 'pino'

/** Long enough to see the routes that matter. */
const MAX_REQUESTS = 1000

interface RoutedRequest {
  method: string
  routeOptions: { url?: string | undefined; config: { cache?: unknown } }
}

/**
 * A route declared before the plugin has loaded (in the tick of an `app.register` that is not
 * awaited) is not seen by `onRoute` and silently not cached. Returns what has to look at the first
 * requests of an instance that had routes by then: it names those that wanted to be cached.
 */
export function missedRouteWarner(
  log: Logger,
): (request: RoutedRequest, isCached: boolean) => void {
  const warned = new Set<string>()
  let seen = 0
  return (request, isCached) => {
    if (seen >= MAX_REQUESTS) return
    seen++
    const { url = '', config } = request.routeOptions
    if (request.method !== 'GET' || isCached || !config.cache || warned.has(url)) return
    warned.add(url)
    log.warn(
      `GET ${url} has config.cache but was declared before the cache was loaded, so it is not ` +
        'cached: await app.register(…) first, or declare the route inside a plugin',
    )
  }
}
