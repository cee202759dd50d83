import { InvalidArgumentError } from './errors.ts'
import { type Events, failedEvent } from './events.ts'
import { Glob } from './invalidation/glob.ts'
import type { InvalidationMode } from './invalidation/log.ts'
import { MAX_TAG_LENGTH, encodeGlob, encodeTag, tagProblem } from './invalidation/tags.ts'
import type { ResponseCache } from './response-cache.ts'
import { tagsOfUrl } from './url-tags.ts'
import { checkNames } from './value-space.ts'

export interface InvalidateOptions {
  /**
   * What is left of what was invalidated. `'expire'`: its validators; no answer is made of it until
   * it has been revalidated. `'soft'`: it counts as stale, and may be served for as long as the
   * stale windows of its route allow. `'purge'`: nothing.
   * @default 'expire'
   */
  mode?: InvalidationMode
}

const MODES: ReadonlySet<string> = new Set<InvalidationMode>(['expire', 'soft', 'purge'])

export async function invalidate(
  cache: ResponseCache,
  tags: readonly string[],
  options: InvalidateOptions | undefined,
): Promise<void> {
  await cache.invalidate({ tags, mode: checkMode(options) })
}

export function checkMode(options: InvalidateOptions | undefined): InvalidationMode {
  if (options != null) checkNames('an invalidation', options, ['mode'])
  const mode = options?.mode ?? 'expire'
  if (MODES.has(mode)) return mode
  throw new InvalidArgumentError(
    `mode must be 'expire', 'soft' or 'purge', got '${mode as string}'`,
  )
}

/** The user's tags, encoded. */
export function checkTags(where: string, tags: unknown): string[] {
  if (!Array.isArray(tags)) throw new InvalidArgumentError(`${where} takes a list of tags`)
  const problem = (tags as unknown[]).map(tagProblem).find((each) => each !== undefined)
  if (problem !== undefined) throw new InvalidArgumentError(`${where}: ${problem}`)
  return (tags as string[]).map((tag) => encodeTag('tag', tag))
}

/** The tags that stand for a URL or a path. */
export function checkUrl({ queryFilters, readQuery }: ResponseCache, url: unknown): string[] {
  if (typeof url === 'string' && url !== '') return tagsOfUrl(url, queryFilters, readQuery)
  throw new InvalidArgumentError("invalidateUrl takes a URL or a path such as '/products/1?page=2'")
}

/** The tag that stands for a route. */
export function checkRoute(pattern: unknown): string {
  // The router knows no others; whoever writes 'GET /products' would be told that it is done.
  if (typeof pattern === 'string' && /^[/*]/.test(pattern)) return encodeTag('route', pattern)
  throw new InvalidArgumentError("invalidateRoute takes a route's pattern such as '/products/:id'")
}

/** A pattern as a tag of the log; of the keys of a namespace when one is named. */
export function checkPattern(pattern: unknown, spaceId?: string): string {
  const problem = tagProblem(pattern)?.replace('a tag', 'a pattern')
  if (problem !== undefined) throw new InvalidArgumentError(`invalidatePattern: ${problem}`)
  if (Glob.parse(pattern as string) === undefined) {
    throw new InvalidArgumentError(
      `invalidatePattern: '${pattern as string}' has a [ without ], or ends in \\; ` +
        'put \\ in front of what is meant literally',
    )
  }
  const tag = encodeGlob(pattern as string, spaceId)
  if (tag.length <= 2 * MAX_TAG_LENGTH) return tag
  throw new InvalidArgumentError('invalidatePattern: the names of the namespaces are too long')
}

/** What the mappings say is invalidated, also where one of them fails. */
export async function emitEvent(
  events: Events,
  cache: ResponseCache,
  emitted: { event: string; data: unknown; options: InvalidateOptions | undefined },
): Promise<void> {
  const { event, data, options } = emitted
  const mode = checkMode(options)
  const { tags, errors } = await events.map(event, data, checkTags)
  if (errors.length === 0) return invalidate(cache, tags, options)
  const failures = [...errors]
  await cache.invalidate({ tags, mode }).catch((error: Error) => failures.push(error))
  throw failedEvent(event, failures)
}
