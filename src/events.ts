import { EventError, InvalidArgumentError } from './errors.ts'

/**
 * What comes with which event; extend it and `on` and `emit` know:
 *
 * ```ts
 * declare module 'fastify-response-cache' {
 *   interface CacheEvents {
 *     'user.updated': { id: number }
 *   }
 * }
 * ```
 */
export interface CacheEvents {}

type Tags = readonly string[] | Promise<readonly string[]>

/** The tags of what an event makes invalid. */
export type EventMapping<Data> = (data: Data) => Tags

/** A name that `CacheEvents` does not list. */
export type OtherEvent<Name extends string> = Name extends keyof CacheEvents ? never : Name

/** What the mappings of one event said. */
export interface Mapped {
  readonly tags: readonly string[]
  readonly errors: readonly Error[]
}

/** Which events make which tags invalid, in this process. */
export class Events {
  readonly #mappings = new Map<string, Set<EventMapping<never>>>()

  on(event: string, mapping: EventMapping<never>): () => void {
    if (typeof event !== 'string' || event === '') {
      throw new InvalidArgumentError('on: the name of an event must be a non-empty string')
    }
    if (typeof mapping !== 'function') {
      throw new InvalidArgumentError(`on: '${event}' needs a function that makes tags of its data`)
    }
    // The same function twice is two mappings, each with an end of its own.
    const own: EventMapping<never> = (data) => mapping(data)
    const known = this.#mappings.get(event) ?? new Set()
    this.#mappings.set(event, known.add(own))
    return () => {
      known.delete(own)
      if (known.size === 0 && this.#mappings.get(event) === known) this.#mappings.delete(event)
    }
  }

  /** Every mapping is asked, whatever the others do. @param check Refuses what are no tags. */
  async map(
    event: string,
    data: unknown,
    check: (where: string, tags: unknown) => string[],
  ): Promise<Mapped> {
    const mappings = this.#mappings.get(event)
    if (mappings === undefined) {
      throw new EventError(
        `nothing in this process maps the event '${event}' to tags; call on('${event}', …) first`,
      )
    }
    const asked = Array.from(mappings, async (mapping) =>
      check(`a mapping of '${event}'`, await mapping(data as never)),
    )
    const tags = new Set<string>()
    const errors: Error[] = []
    for (const outcome of await Promise.allSettled(asked)) {
      if (outcome.status === 'fulfilled') for (const tag of outcome.value) tags.add(tag)
      else errors.push(asError(outcome.reason))
    }
    return { tags: [...tags], errors }
  }
}

/** What became of an event, when anything went wrong. */
export function failedEvent(event: string, errors: readonly Error[]): Error {
  const [first] = errors
  const cause = errors.length === 1 ? first : new AggregateError(errors)
  const what = errors.map(({ message }) => message).join('; ')
  return new EventError(
    `the event '${event}' may not have invalidated all that it should: ${what}`,
    { cause },
  )
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
