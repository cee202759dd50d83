import { AsyncLocalStorage } from 'node:async_hooks'

import { decodeTag } from './invalidation/tags.ts'

/** An unsafe request that this process has answered with success. */
export interface AuditedWrite {
  method: string
  /** The pattern, as `/products/:id`. */
  route: string
  /** Without the query. */
  path: string
  /** When it was answered; epoch milliseconds. */
  at: number
  /**
   * What was invalidated meanwhile, by the route's options or by `app.cache`: tags, and other names
   * with their kind, as `path /products/7`. At most 20.
   */
  tags: string[]
}

/** A write that is under way. */
export interface Write {
  readonly method: string
  readonly route: string
  readonly path: string
  readonly tags: Set<string>
}

const MAX_WRITES = 100
const MAX_TAGS = 20

/** What was written of late, and by which requests. */
export class RecentWrites {
  readonly #storage = new AsyncLocalStorage<Write>()
  readonly #underWay = new Set<Write>()
  /** The newest at the end. */
  readonly #answered: AuditedWrite[] = []

  /** All that is done in there, and later because of it, is done for this write. */
  run(write: Write, go: () => void): void {
    this.#underWay.add(write)
    this.#storage.run(write, go)
  }

  end(write: Write, status: number, now: number): void {
    this.#underWay.delete(write)
    if (status < 200 || status >= 400) return
    const { method, route, path, tags } = write
    this.#answered.push({ method, route, path, at: now, tags: [...tags] })
    if (this.#answered.length > MAX_WRITES) this.#answered.shift()
  }

  noteInvalidation(tags: readonly string[] | 'all'): void {
    const noted = this.#storage.getStore()?.tags
    if (noted === undefined) return
    for (const tag of tags === 'all' ? [undefined] : tags) {
      if (noted.size >= MAX_TAGS) return
      noted.add(tag === undefined ? 'everything' : nameOf(tag))
    }
  }

  /** Those whose invalidations may still be to come. */
  underWay(): ReadonlySet<Write> {
    return new Set(this.#underWay)
  }

  isUnderWay(write: Write): boolean {
    return this.#underWay.has(write)
  }

  /** Those that were answered from this instant on, the newest first. */
  since(instant: number): AuditedWrite[] {
    return this.#answered.filter(({ at }) => at >= instant).reverse()
  }
}

function nameOf(tag: string): string {
  const { kind, name } = decodeTag(tag)
  return kind === 'tag' ? name : `${kind} ${name}`
}
