import type { Policy } from './policy.ts'

/** Where a request was sent, as far as it is part of the key. */
export interface Origin {
  readonly host: string
  readonly protocol: string
  /** The target before `rewriteUrl`. */
  readonly originalUrl: string
}

/** What was worked out about one request target. */
export interface KnownTarget extends Origin {
  readonly policy: Policy
  readonly url: string
  /** Names and values as parser and early hooks have left them; undefined if not to be compared. */
  readonly query: readonly string[] | undefined
  /** Path and query, as the key has them. */
  readonly canonical: string
  readonly key: string
  /** It was put into the memo, or must not be. */
  memoized: boolean
  /** Another origin or policy with the same URL. */
  next: KnownTarget | undefined
}

/** Targets per generation; there are two. */
const MAX_TARGETS = 2048
/** Of host and URLs together; longer ones are rare and would let the memo grow large. */
const MAX_LENGTH = 1024
/** Hosts that share one path. */
const MAX_CHAIN = 16

/**
 * Remembers request targets, so that a hot URL is neither parsed nor hashed again. Two generations:
 * when the young one is full it becomes the old one, and what is asked for again moves back.
 */
export class KeyMemo {
  #young = new Map<string, KnownTarget>()
  #old = new Map<string, KnownTarget>()
  /** Targets in the young generation; of one URL there may be several. */
  #count = 0

  /** Targets that are remembered, those of both generations. */
  get size(): number {
    return [...this.#young.values(), ...this.#old.values()].reduce(
      (sum, first) => sum + chainLength(first),
      0,
    )
  }

  find(url: string, policy: Policy, origin: Origin): KnownTarget | undefined {
    let known = this.#young.get(url) ?? this.#revived(url)
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

  /** Called when a target proves worth it, at its first hit: a flood of URLs leaves no trace. */
  add(target: KnownTarget): void {
    if (target.memoized || lengthOf(target) > MAX_LENGTH) return
    target.memoized = true
    const first = this.#young.get(target.url)
    if (first !== undefined && chainLength(first) < MAX_CHAIN) target.next = first
    this.#set(target, 1)
  }

  #revived(url: string): KnownTarget | undefined {
    const known = this.#old.get(url)
    if (known !== undefined) this.#set(known, chainLength(known))
    return known
  }

  #set(target: KnownTarget, count: number): void {
    if (this.#count >= MAX_TARGETS) {
      this.#old = this.#young
      this.#young = new Map()
      this.#count = 0
    }
    this.#count += count
    this.#young.set(target.url, target)
  }
}

function lengthOf({ url, originalUrl, host }: KnownTarget): number {
  return url.length + originalUrl.length + host.length
}

function chainLength(target: KnownTarget): number {
  let length = 0
  for (let at: KnownTarget | undefined = target; at !== undefined; at = at.next) length++
  return length
}
