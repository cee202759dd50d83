import { InvalidArgumentError } from './errors.ts'
import { EXCHANGE, type Exchange } from './exchange.ts'
import { type InspectOptions, type Inspection, inspectName, inspectTagged } from './inspection.ts'
import type { ResponseCache } from './response-cache.ts'
import { tagsOfUrl } from './url-tags.ts'

/** A request on a cached route, or a URL or path. */
export type InspectTarget = { url: string }

/**
 * Of a request what answers it, in both tiers. Of a URL what this process has in memory, on every
 * host and for every variant: the names in Redis are digests of more than a URL.
 */
export async function inspectResponses(
  cache: ResponseCache,
  target: InspectTarget,
  options?: InspectOptions,
): Promise<Inspection[]> {
  const { url } = Object(target) as Partial<InspectTarget>
  if (typeof url !== 'string' || url === '') {
    throw new InvalidArgumentError("inspect takes a key, a request or { url: '/products/1' }")
  }
  const exchange = (target as { [EXCHANGE]?: Exchange })[EXCHANGE]
  if (exchange?.cache === cache && exchange.key !== '') {
    return inspectName(cache, exchange.key, options)
  }
  return inspectTagged(cache, tagsOfUrl(url, cache.queryFilters, cache.readQuery), options)
}
