import type { Redis } from 'ioredis'

import { RedisUnavailableError } from '../errors.ts'
import type { StoredEntry } from '../stored-response.ts'
import { EntryFrames } from './entry-frames.ts'
import { FAILED, type RedisClient, type RedisGuard } from './redis-guard.ts'

/** Keys that one SCAN looks at; the heads of those that match are read in one round trip. */
const SCAN_COUNT = 100
/** No reply waits for a list, so it gets more time than they: as much as an invalidation. */
const DEADLINE_MS = 1000
/** Most heads are shorter. */
const HEAD_BYTES = 1024

/** What stands for itself in a pattern of Redis. */
export function globLiteral(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}

/**
 * What is stored in Redis under names of a kind, read by SCAN from all masters: never all at once,
 * and never in a way that other clients of Redis would notice.
 */
export class RedisListing {
  readonly #guard: RedisGuard
  readonly #prefix: string
  readonly #frames: EntryFrames

  constructor(
    guard: RedisGuard,
    namespace: string,
    frames: EntryFrames = new EntryFrames({ namespace }),
  ) {
    this.#guard = guard
    this.#frames = frames
    this.#prefix = `${namespace}#`
  }

  /**
   * Batches of names and heads of entries, bodies left out. What is stored all the while is found at
   * least once; what comes or goes meanwhile, perhaps.
   *
   * @param group What the names have in common: `d`, or `n:users` for a namespace of the client.
   * @param pattern What follows the prefix of the namespace, as a pattern of Redis.
   */
  async *find(
    group: string,
    pattern: string,
  ): AsyncGenerator<[name: string, entry: StoredEntry][]> {
    const { client } = this.#guard
    // SCAN is the one command to which ioredis adds no prefix.
    const prefix = (client.options.keyPrefix ?? '') + this.#prefix
    for (const node of mastersOf(client)) {
      let cursor = '0'
      do {
        const [next, names] = await this.#ask(() =>
          node.scan(cursor, 'MATCH', globLiteral(prefix) + pattern, 'COUNT', SCAN_COUNT),
        )
        cursor = next
        const found = new Set(names.map((name) => name.slice(prefix.length)))
        yield await this.#heads(group, [...found])
      } while (cursor !== '0')
    }
  }

  /** What sealed names of a group begin with; undefined where names can be read. */
  sealedPrefixOf(group: string): string | undefined {
    return this.#frames.sealedPrefixOf(group)
  }

  async #heads(group: string, names: readonly string[]): Promise<[string, StoredEntry][]> {
    const heads = await Promise.all(names.map((name) => this.#head(group, name)))
    return heads.filter((head) => head !== undefined)
  }

  async #head(group: string, name: string): Promise<[string, StoredEntry] | undefined> {
    let head: [string, StoredEntry] | number | undefined = HEAD_BYTES
    // One that is longer than it said a moment ago was replaced; the next list has it.
    for (let attempt = 0; attempt < 2 && typeof head === 'number'; attempt++) {
      const end: number = head - 1
      const bytes = await this.#ask((client) =>
        client.getrangeBuffer(this.#prefix + name, 0, end).catch(noneIfRefused),
      )
      head = this.#frames.peek(group, name, bytes)
    }
    return typeof head === 'object' ? head : undefined
  }

  async #ask<T>(run: (client: RedisClient) => Promise<T>): Promise<T> {
    const answer = await this.#guard.attempt('keys', run, DEADLINE_MS)
    if (answer !== FAILED) return answer
    throw new RedisUnavailableError('A list of keys', this.#guard.lastError)
  }
}

/** Something that is no text stands under that name, and is none of ours. */
function noneIfRefused(error: Error): Buffer {
  if (error.name === 'ReplyError') return Buffer.alloc(0)
  throw error
}

function mastersOf(client: RedisClient): Redis[] {
  return 'nodes' in client ? client.nodes('master') : [client]
}
