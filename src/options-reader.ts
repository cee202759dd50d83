import { DURATION_HELP, seconds } from './durations.ts'
import { InvalidOptionError } from './errors.ts'
import { redacted } from './redaction.ts'

/** The longest a timer can wait. */
export const MAX_TIMER_MS: number = 2 ** 31 - 1

/** Reads one object of options. Every complaint names the place, the option, the value and the fix. */
export class OptionsReader {
  readonly #where: string
  readonly #values: Record<string, unknown>

  /** @param known All names that may appear; any other is an error with the nearest of them. */
  constructor(where: string, values: unknown, known: readonly string[]) {
    if (values === null || typeof values !== 'object' || Array.isArray(values)) {
      throw new InvalidOptionError(`${where} must be an object, got ${show(values)}`)
    }
    this.#where = where
    this.#values = values as Record<string, unknown>
    for (const name of Object.keys(values)) {
      if (known.includes(name)) continue
      const nearest = known.find((other) => isNear(name, other))
      const hint = nearest ? `did you mean '${nearest}'?` : `known are ${known.join(', ')}`
      throw new InvalidOptionError(`${where}.${name} is not an option; ${hint}`)
    }
  }

  has(name: string): boolean {
    return this.#values[name] !== undefined
  }

  value(name: string): unknown {
    return this.#values[name]
  }

  path(name: string): string {
    return `${this.#where}.${name}`
  }

  fail(name: string, expected: string): never {
    throw new InvalidOptionError(
      `${this.path(name)} must be ${expected}, got ${show(this.#values[name])}`,
    )
  }

  /** The same without the value. */
  failUnseen(name: string, expected: string): never {
    throw new InvalidOptionError(`${this.path(name)} must be ${expected}`)
  }

  /** Seconds. */
  duration(name: string, alternatives = ''): number | undefined {
    if (!this.has(name)) return undefined
    return seconds(this.#values[name]) ?? this.fail(name, DURATION_HELP + alternatives)
  }

  flag(name: string): boolean | undefined {
    const value = this.#values[name]
    if (value === undefined || typeof value === 'boolean') return value
    return this.fail(name, 'true or false')
  }

  text(name: string): string | undefined {
    const value = this.#values[name]
    if (value === undefined || (typeof value === 'string' && value !== '')) return value
    return this.fail(name, 'a non-empty string')
  }

  function<Fn>(name: string): Fn | undefined {
    const value = this.#values[name]
    if (value === undefined || typeof value === 'function') {
      this.refuseAsync(name)
      return value as Fn | undefined
    }
    return this.fail(name, 'a function')
  }

  /** What these functions return is used at once; a promise would be no answer. */
  refuseAsync(name: string): void {
    if (this.#values[name]?.constructor.name === 'AsyncFunction') {
      this.fail(name, 'a function that is not async')
    }
  }

  oneOf<const Value extends string>(name: string, values: readonly Value[]): Value | undefined {
    const value = this.#values[name]
    if (value === undefined || values.includes(value as Value)) return value as Value | undefined
    return this.fail(name, values.map((known) => `'${known}'`).join(' or '))
  }

  integer(
    name: string,
    minimum: number,
    maximum: number = Number.MAX_SAFE_INTEGER,
  ): number | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (
      Number.isSafeInteger(value) &&
      (value as number) >= minimum &&
      (value as number) <= maximum
    ) {
      return value as number
    }
    const range = maximum < Number.MAX_SAFE_INTEGER ? ` and at most ${maximum}` : ''
    return this.fail(name, `a whole number of at least ${minimum}${range}`)
  }

  strings(name: string): string[] | undefined {
    const value = this.#values[name]
    if (value === undefined) return undefined
    if (Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')) {
      return value as string[]
    }
    return this.fail(name, 'a list of non-empty strings')
  }

  /** A nested object of options. */
  object(name: string, known: readonly string[]): OptionsReader | undefined {
    if (!this.has(name)) return undefined
    return new OptionsReader(this.path(name), this.#values[name], known)
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${redacted(value)}'`
  if (typeof value === 'function') return 'a function'
  if (value === null || typeof value !== 'object') return String(value)
  return Array.isArray(value) ? `[${value.map(show).join(', ')}]` : 'an object'
}

/** The same but for case, the beginning of it, or one letter added, lost or changed. */
function isNear(name: string, other: string): boolean {
  const [a, b] = [name.toLowerCase(), other.toLowerCase()]
  if (a.length > 3 && b.startsWith(a)) return true
  const [shorter, longer] = a.length < b.length ? [a, b] : [b, a]
  if (longer.length - shorter.length > 1) return false
  let at = 0
  while (at < shorter.length && longer[at] === shorter[at]) at++
  const rest = longer.slice(at + 1)
  return rest === shorter.slice(at) || rest === shorter.slice(at + 1)
}
