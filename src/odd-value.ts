/** Something inside a value that a format cannot carry, and where. */
export interface Odd {
  /** As one would write it in code: `.users[3].bornAt`; `''` for the value itself. */
  path: string
  /** With its article: `a Date`. */
  what: string
}

export function within(step: string | number, odd: Odd | undefined): Odd | undefined {
  return odd && { path: stepText(step) + odd.path, what: odd.what }
}

export function stepText(step: string | number): string {
  if (typeof step === 'number') return `[${step}]`
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(step)
    ? `.${step}`
    : `[${JSON.stringify(step)}]`
}

/** What a value is, for a message. */
export function describeValue(value: unknown): string {
  if (value !== null && typeof value === 'object') return describeObject(value)
  return NAMES.get(typeof value) ?? String(value)
}

/** Of values that say nothing of themselves in a message. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['function', 'a function'],
  ['symbol', 'a symbol'],
  ['bigint', 'a BigInt'],
])

function describeObject(object: object): string {
  const name: unknown = object.constructor?.name
  if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object'
  return isBuiltIn(name) ? `a ${name}` : `an instance of ${name}`
}

function isBuiltIn(name: string): boolean {
  return (globalThis as Record<string, unknown>)[name] !== undefined
}

/** Made by a literal, by `JSON.parse` or by `Object.create(null)`: of no class. */
export function isPlain(object: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(object)
  return (
    prototype === Object.prototype ||
    prototype === null ||
    // An ordinary object of another realm.
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
  )
}
