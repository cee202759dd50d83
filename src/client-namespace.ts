import { type InvalidateOptions, checkPattern, invalidate } from './client-invalidate.ts'
import { CacheValues } from './client-values.ts'
import { type InspectOptions, type Inspection, inspectName } from './inspection.ts'
import type { ValueStats } from './stats.ts'
import type { NamespaceOptions } from './value-space.ts'

/**
 * Values under keys of their own: two namespaces, and `app.cache` itself, never share one. Tags are
 * common to all.
 */
export class CacheNamespace extends CacheValues {
  /** A namespace in this one; the same name and version are the same values in all processes. */
  namespace(name: string, options?: NamespaceOptions): CacheNamespace {
    return new CacheNamespace(this.parts, this.values.space.inner(name, options))
  }

  /**
   * Forgets all values of this namespace and of those in it, in all processes, and nothing else.
   * Rejects as `invalidateTags` does.
   */
  async clear(): Promise<void> {
    await this.parts.cache.invalidate({ tags: this.values.space.tags.slice(-1), mode: 'purge' })
  }

  /**
   * Invalidates the values of this namespace whose keys match, as `app.cache.invalidatePattern` does.
   * With `encryption` of its own, where names are sealed, all of its values.
   */
  async invalidatePattern(pattern: string, options?: InvalidateOptions): Promise<void> {
    const { id, sealing, tags } = this.values.space
    const tag = checkPattern(pattern, id)
    await invalidate(this.parts.cache, sealing === undefined ? [tag] : tags.slice(-1), options)
  }

  /** What each tier holds under a key. */
  async inspect(key: string, options?: InspectOptions): Promise<Inspection[]> {
    return inspectName(this.parts.cache, this.values.space.nameOf(key), options)
  }

  /** Hits, misses and sets of this namespace in this process, without those in it. */
  stats(): ValueStats {
    return { ...this.values.stats }
  }
}
