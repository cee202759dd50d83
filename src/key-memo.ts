import { LRUCache } from 'lru-cache'

import type { Policy } from './policy.ts'

/** What was worked out about one request target. */
export interface KnownTarget {
  readonly policy: Policy
  readonly host: string
  readonly protocol: string
  readonly originalUrl: string
  readonly key: string
  /** Tags that every response of this target carries; made when one is stored. */
  tags: readonly string[] | undefined
  next: KnownTarget | undefined
}

const MAX_TARGETS = 4096
/** Longer ones are rare and would let the memo grow large. */
const MAX_URL_LENGTH = 512
/** Hosts that share one path. */
const MAX_CHAIN = 16

/** Remembers request targets, so that a hot URL is neither parsed nor hashed again. */
export class KeyMemo {
  readonly #targets = new LRUCache<string, KnownTarget>({ max: MAX_TARGETS })

  find(
    url: string,
    policy: Policy,
    origin: { host: string; protocol: string; originalUrl: string },
  ): KnownTarget | undefined {
    let known = this.#targets.get(url)
    while (known !== undefined) {
      if (
        known.policy === policy &&
        known.host === origin.host &&
        known.protocol === origin.protocol &&
        known.originalUrl === origin.originalUrl
      ) {
        return known
      }
      known = known.next
    }
    return undefined
  }

  add(url: string, target: KnownTarget): void {
    if (url.length > MAX_URL_LENGTH) return
    const first = this.#targets.peek(url)
    if (first !== undefined && chainLength(first) < MAX_CHAIN) target.next = first
    this.#targets.set(url, target)
  }
}

function chainLength(target: KnownTarget): number {
  let length = 0
  for (let at: KnownTarget | undefined = target; at !== undefined; at = at.next) length++
  return length
}
