import type { Duration } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import { MAX_TAGS, encodeTag, tagProblem } from './invalidation/tags.ts'
import { type ValueSpace, checkFlag, checkNames, checkTtl } from './value-space.ts'

export interface ValueOptions {
  /** Lifetime; seconds when a number. @default that of the namespace, else the plugin's `defaults.ttl` */
  ttl?: Duration
  /** Tags by which the value can be invalidated, together with responses. */
  tags?: readonly string[]
  /**
   * Accept what JSON silently makes of a Date, a Map, NaN, undefined in an object.
   * @default that of the namespace, false at the top
   */
  lossy?: boolean
}

/** Options where the value is made by a function. */
export interface MadeOptions<T> extends Omit<ValueOptions, 'tags'> {
  /** Tags by which the value can be invalidated, or what makes them of the value. */
  tags?: readonly string[] | ((value: T) => readonly string[])
}

export interface GetOrSetOptions<T> extends MadeOptions<T> {
  /**
   * How long an error of the factory is given to later callers of this process instead of running it
   * again; seconds when a number. An invalidation of the key or of a listed tag ends it.
   * @default errors are not kept
   */
  errorTtl?: Duration
  /**
   * With `fleet`, callers in all processes share one run of the factory, not only those in this one.
   * @default { fleet: false }
   */
  coalesce?: { fleet?: boolean }
}

/** Options, checked once. */
export interface ValuePlan {
  /** Seconds. */
  readonly ttl: number
  readonly lossy: boolean
  /** Seconds. */
  readonly errorTtl: number | undefined
  /** Whether other processes are waited for as well. */
  readonly fleet: boolean
  /** Encoded tags of the options; those made of a value are known only with it. */
  readonly listed: readonly string[]
  readonly tagsOf: ((value: never) => readonly string[]) | undefined
  /** For messages: `'user:1'` in quotes. */
  readonly subject: string
}

const VALUE_OPTIONS = ['ttl', 'tags', 'lossy']
const MADE_OPTIONS = [...VALUE_OPTIONS, 'errorTtl', 'coalesce']

/** @param name What the options are for: a key, or the name of a wrapped function. */
export function planValue(space: ValueSpace, name: string, options: ValueOptions = {}): ValuePlan {
  checkNames(`'${name}'`, options, VALUE_OPTIONS)
  return plan(space, `'${name}'`, options)
}

/** What is written through: its errors are those of a write, and nobody else runs it. */
export function planWritten(
  space: ValueSpace,
  name: string,
  options: MadeOptions<never> = {},
): ValuePlan {
  checkNames(`'${name}'`, options, VALUE_OPTIONS)
  return plan(space, `'${name}'`, options)
}

export function planMade(
  space: ValueSpace,
  name: string,
  options: GetOrSetOptions<never> = {},
): ValuePlan {
  checkNames(`'${name}'`, options, MADE_OPTIONS)
  return plan(space, `'${name}'`, options)
}

function plan(space: ValueSpace, subject: string, options: GetOrSetOptions<never>): ValuePlan {
  const { tags = [], errorTtl, ttl = space.ttl } = options
  if (ttl === undefined) {
    throw new InvalidArgumentError(
      `the ttl of ${subject} is missing; give { ttl: '5m' }, or one for all of the namespace or in ` +
        "the plugin's defaults",
    )
  }
  const isMade = typeof tags === 'function'
  return {
    subject,
    ttl: checkTtl(subject, ttl),
    lossy: checkFlag(subject, 'lossy', options.lossy) ?? space.lossy,
    errorTtl: errorTtl === undefined ? undefined : checkTtl(subject, errorTtl, 'errorTtl'),
    fleet: checkFleet(subject, options.coalesce),
    listed: isMade ? [] : encodeTags(subject, tags),
    tagsOf: isMade ? tags : undefined,
  }
}

function checkFleet(subject: string, coalesce: unknown): boolean {
  if (coalesce === undefined) return false
  if (coalesce === null || typeof coalesce !== 'object') {
    throw new InvalidArgumentError(
      `coalesce of ${subject} must be an object such as { fleet: true }`,
    )
  }
  checkNames(`coalesce of ${subject}`, coalesce, ['fleet'])
  const { fleet } = coalesce as { fleet?: unknown }
  return checkFlag(subject, 'coalesce.fleet', fleet) ?? false
}

/** All tags of the options for one value. */
export function tagsFor({ subject, listed, tagsOf }: ValuePlan, value: unknown): readonly string[] {
  return tagsOf === undefined ? listed : encodeTags(subject, tagsOf(value as never))
}

function encodeTags(subject: string, tags: unknown): string[] {
  if (!Array.isArray(tags)) throw new InvalidArgumentError(`the tags of ${subject} must be a list`)
  const problem = (tags as unknown[]).map(tagProblem).find((each) => each !== undefined)
  if (problem !== undefined) throw new InvalidArgumentError(`the tags of ${subject}: ${problem}`)
  if (tags.length > MAX_TAGS) {
    throw new InvalidArgumentError(`${subject} has ${tags.length} tags; ${MAX_TAGS} is the most`)
  }
  return (tags as string[]).map((tag) => encodeTag('tag', tag))
}
