import type { InvalidationMode } from '../invalidation/log.ts'
import type { InvalidationPreview, InvalidationSeen, ProcessState, TagState } from '../oversight.ts'

/** What a cache client tells of tags, invalidations and processes. */
export interface Overseer {
  invalidations: () => InvalidationSeen[]
  processes: () => Promise<ProcessState[]>
  tags: (options: { match?: string; limit?: number }) => Promise<TagState[]>
  preview: (
    target: { tag: string } | { url: string } | { route: string } | { pattern: string },
    options?: { mode?: InvalidationMode },
  ) => Promise<InvalidationPreview>
  announce: () => void
}

const NOTHING: Overseer = {
  invalidations: () => [],
  processes: async () => [],
  tags: async () => [],
  preview: async () => ({ tags: [], entries: 0, bytes: 0, routes: {}, complete: false }),
  announce: () => undefined,
}

export function overseerOf(client: object): Overseer {
  const offered = client as Partial<Overseer>
  return {
    invalidations: offered.invalidations?.bind(client) ?? NOTHING.invalidations,
    processes: offered.processes?.bind(client) ?? NOTHING.processes,
    tags: offered.tags?.bind(client) ?? NOTHING.tags,
    preview: offered.preview?.bind(client) ?? NOTHING.preview,
    announce: offered.announce?.bind(client) ?? NOTHING.announce,
  }
}
