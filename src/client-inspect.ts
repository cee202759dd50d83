import { InvalidArgumentError } from './errors.ts'
import { EXCHANGE, type Exchange } from './exchange.ts'
import type { ExplainTarget } from './exchange-explain-target.ts'
import { type InspectOptions, type Inspection, inspectName, inspectTagged } from './inspection.ts'
import type { ResponseCache } from './response-cache.ts'
import { tagsOfUrl } from './url-tags.ts'

/** A request on a cached route; a URL or path; with `headers` a request that might come. */
export interface InspectTarget {
  url: string
  /** As of `explain()`. */
  headers?: ExplainTarget['headers']
}

/**
 * Of a request what answers it, in both tiers; also of one that only might come. Of a URL what this process has in memory, on every
 * host and for every variant: the names in Redis are digests of more than a URL.
 */
export async function inspectResponses(
  cache: ResponseCache,
  target: InspectTarget,
  options?: InspectOptions,
): Promise<Inspection[]> {
  const { url, headers } = Object(target) as Partial<InspectTarget>
  if (typeof url !== 'string' || url === '') {
    throw new InvalidArgumentError("inspect takes a key, a request or { url: '/products/1' }")
  }
  const exchange = (target as { [EXCHANGE]?: Exchange })[EXCHANGE]
  if (exchange?.cache === cache && exchange.key !== '') {
    return inspectName(cache, exchange.key, options)
  }
  if (headers !== undefined && !('raw' in target)) {
    const { explain } = await import('./exchange-explain.ts')
    const { key } = await explain(cache, { ...target, headers })
    return key === undefined ? [] : inspectName(cache, key.name, options)
  }
  return inspectTagged(cache, tagsOfUrl(url, cache.queryFilters, cache.readQuery), options)
}
