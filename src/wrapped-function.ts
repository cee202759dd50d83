import { encodeArguments } from './argument-key.ts'
import { InvalidArgumentError } from './errors.ts'
import type { ValueCache } from './value-cache.ts'
import { type GetOrSetOptions, type ValuePlan, planMade } from './value-options.ts'
import { checkNames } from './value-space.ts'

export interface WrapOptions<Args extends unknown[], Result> extends Omit<
  GetOrSetOptions<Result>,
  'tags'
> {
  /** Tags by which results can be invalidated, or what makes them of arguments and result. */
  tags?: readonly string[] | ((args: Args, result: Result) => readonly string[])
  /**
   * What tells calls apart, as text. Needed for arguments that have no text of their own: functions,
   * symbols, instances of classes, cycles. @default all arguments, with their types
   */
  key?: (...args: Args) => string
}

/** A function whose results are kept, by its arguments. */
export interface WrappedFunction<Args extends unknown[], Result> {
  (...args: Args): Promise<Result>
  /** Forgets the result for these arguments, in all processes. Rejects as `delete` does. */
  invalidate(...args: Args): Promise<void>
  /** The key under which the result for these arguments is stored: for `inspect`, `ttl`, `touch`. */
  keyOf(...args: Args): string
}

const WRAP_OPTIONS = ['ttl', 'tags', 'lossy', 'errorTtl', 'coalesce', 'key']

/** What is in front of `(` in a key is the name, so that no two names share one. */
const NAME_HELP = "must be a non-empty, well-formed string without '('"

export function wrapFunction<Args extends unknown[], Result>(
  values: ValueCache,
  name: string,
  fn: (...args: Args) => unknown,
  options: WrapOptions<Args, Result> = {},
): WrappedFunction<Args, Result> {
  if (typeof name !== 'string' || name === '' || name.includes('(') || !name.isWellFormed()) {
    throw new InvalidArgumentError(`the name of a wrapped function ${NAME_HELP}`)
  }
  if (typeof fn !== 'function') throw new InvalidArgumentError(`'${name}' must be a function`)
  checkNames(`'${name}'`, options, WRAP_OPTIONS)
  const { key, tags, ...rest } = options
  if (key !== undefined && typeof key !== 'function') {
    throw new InvalidArgumentError(`'${name}': key must be a function of the arguments`)
  }
  const made = typeof tags === 'function' ? tags : undefined
  const listed = made === undefined ? (tags as readonly string[] | undefined) : undefined
  const plan = planMade(values.space, name, listed === undefined ? rest : { ...rest, tags: listed })
  const keyOf = (...args: Args): string => `${name}(${argumentText(name, key, args)})`
  const wrapped = async (...args: Args): Promise<Result> =>
    values.getOrSet<Result>(keyOf(...args), () => fn(...args), planFor(plan, made, args))
  return Object.assign(wrapped, {
    keyOf,
    invalidate: async (...args: Args) => values.delete(keyOf(...args)),
  })
}

function argumentText<Args extends unknown[]>(
  name: string,
  key: ((...args: Args) => string) | undefined,
  args: Args,
): string {
  if (key === undefined) return encodeArguments(name, args)
  const text: unknown = key(...args)
  if (typeof text === 'string' && text.isWellFormed()) return `=${text}`
  throw new InvalidArgumentError(`'${name}': key must return a well-formed string`)
}

function planFor<Args extends unknown[], Result>(
  plan: ValuePlan,
  tags: ((args: Args, result: Result) => readonly string[]) | undefined,
  args: Args,
): ValuePlan {
  return tags === undefined ? plan : { ...plan, tagsOf: (result) => tags(args, result) }
}
