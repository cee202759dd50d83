import { InvalidArgumentError } from './errors.ts'
import { describeValue, isPlain, stepText } from './odd-value.ts'

/** Longer ones would cost more than most functions; they should be named by `key`. */
const MAX_LENGTH = 1_000_000
/** Of a path in a message. */
const MAX_STEPS = 20

/**
 * Arguments as text that is the same only for arguments that a function cannot tell apart, but by
 * the order of an object's names. Types are kept apart: `1` and `'1'`, absent and undefined, 0 and
 * -0; the order of a Map and of a Set counts.
 *
 * @throws InvalidArgumentError for what has no such text: functions, symbols, instances of classes,
 * cycles; it names the place.
 */
export function encodeArguments(name: string, args: readonly unknown[]): string {
  const writer = new ArgumentWriter(name)
  try {
    args.forEach((argument, at) => {
      if (at > 0) writer.text += ','
      writer.write(argument, at)
    })
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    writer.refuse('nested too deeply')
  }
  return writer.text
}

class ArgumentWriter {
  text = ''
  readonly #name: string
  readonly #path: (string | number)[] = []
  readonly #ancestors: object[] = []

  constructor(name: string) {
    this.#name = name
  }

  write(value: unknown, step: string | number): void {
    this.#path.push(step)
    if (value !== null && typeof value === 'object') this.#writeObject(value)
    else this.text += this.#simple(value)
    if (this.text.length > MAX_LENGTH) this.refuse('too long')
    this.#path.pop()
  }

  refuse(what: string): never {
    const path = this.#path.slice(0, MAX_STEPS).map(stepText).join('')
    throw new InvalidArgumentError(
      `the arguments of '${this.#name}' make no key: args${path} is ${what}; give the wrapped ` +
        'function the option key: (...args) => string',
    )
  }

  #simple(value: unknown): string {
    if (typeof value === 'string') return JSON.stringify(value)
    if (typeof value === 'bigint') return `${value}n`
    if (typeof value === 'function' || typeof value === 'symbol') {
      return this.refuse(describeValue(value))
    }
    return Object.is(value, -0) ? '-0' : String(value)
  }

  #writeObject(object: object): void {
    if (this.#ancestors.includes(object)) this.refuse('a cycle')
    this.#ancestors.push(object)
    if (Array.isArray(object)) this.#writeList(object)
    else if (isPlain(object)) this.#writeFields(object)
    else this.#writeBuiltIn(object)
    if (Object.getOwnPropertySymbols(object).length > 0) {
      this.refuse('an object with a symbol as a key')
    }
    this.#ancestors.pop()
  }

  #writeList(list: unknown[]): void {
    if (Object.getPrototypeOf(list) !== Array.prototype) this.refuse(describeValue(list))
    this.text += '['
    let present = 0
    for (let at = 0; at < list.length; at++) {
      if (at > 0) this.text += ','
      if (Object.hasOwn(list, at)) {
        present++
        this.write(list[at], at)
      } else this.text += '_'
    }
    this.text += ']'
    if (Object.keys(list).length !== present) this.refuse('a list with names')
  }

  #writeFields(object: object): void {
    this.text += '{'
    Object.keys(object)
      .sort()
      .forEach((name, at) => {
        this.text += `${at > 0 ? ',' : ''}${JSON.stringify(name)}:`
        this.write((object as Record<string, unknown>)[name], name)
      })
    this.text += '}'
  }

  #writeBuiltIn(object: object): void {
    const prototype: object = Object.getPrototypeOf(object)
    const binary = BINARY.get(prototype)
    if (binary !== undefined) return this.#writeBytes(binary, object as ArrayBufferView)
    if (Object.keys(object).length > 0) this.refuse(describeValue(object))
    if (prototype === Date.prototype) this.text += `Date(${(object as Date).getTime()})`
    else if (prototype === Map.prototype) this.#writeItems('Map', object as Map<unknown, unknown>)
    else if (prototype === Set.prototype) this.#writeItems('Set', object as Set<unknown>)
    else this.refuse(describeValue(object))
  }

  #writeItems(kind: string, items: Iterable<unknown>): void {
    this.text += `${kind}(`
    let at = 0
    for (const item of items) {
      if (at > 0) this.text += ','
      this.write(item, at++)
    }
    this.text += ')'
  }

  #writeBytes(kind: string, { buffer, byteOffset, byteLength }: ArrayBufferView): void {
    const bytes = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
    this.text += `${kind}(${bytes.toString('base64')})`
  }
}

const BINARY: ReadonlyMap<object, string> = new Map(
  [
    ...[Buffer, Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array],
    ...[Uint32Array, Float32Array, Float64Array, BigInt64Array, BigUint64Array],
  ].map((kind) => [kind.prototype as object, kind.name]),
)
