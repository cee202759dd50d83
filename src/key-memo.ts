import { LRUCache } from 'lru-cache'

import type { Policy } from './policy.ts'

/** What was worked out about one request target. */
export interface KnownTarget {
  readonly policy: Policy
  readonly host: string
  readonly protocol: string
  readonly originalUrl: string
  /** It is in the memo, or was. */
  known: boolean
  readonly url: string
  /** Path and query, as the key has them. */
  readonly canonical: string
  readonly key: string
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
    ...[host, protocol, originalUrl]: [string, string, string]
  ): KnownTarget | undefined {
    let known = this.#targets.get(url)
    while (known !== undefined) {
      if (
        known.policy === policy &&
        known.host === host &&
        known.protocol === protocol &&
        known.originalUrl === originalUrl
      ) {
        return known
      }
      known = known.next
    }
    return undefined
  }

  /** Called when a target proves worth it: at its first hit, so that a flood of URLs leaves no trace. */
  add(target: KnownTarget): void {
    const { url } = target
    if (url.length > MAX_URL_LENGTH || target.known) return
    target.known = true
    const first = this.#targets.peek(url)
    if (first !== undefined && chainLength(first) < MAX_CHAIN) {
      target.next = first
    }
    this.#targets.set(url, target)
  }
}

function chainLength(target: KnownTarget): number {
  let length = 0
  for (let at: KnownTarget | undefined = target; at !== undefined; at = at.next) length++
  return length
}
