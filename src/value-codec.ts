import { InvalidArgumentError } from './errors.ts'
import { jsonLoss } from './json-loss.ts'
import type { StoredEntry } from './stored-response.ts'

/**
 * How values are written and read: to text, or to bytes. Both are called at once, never awaited.
 * What `decode` throws makes the stored value a miss.
 */
export type Serializer =
  | { encode: (value: unknown) => string; decode: (text: string) => unknown }
  | { encode: (value: unknown) => Uint8Array; decode: (bytes: Buffer) => unknown }

/** What a codec says of bytes that it cannot read. */
export const UNREADABLE: unique symbol = Symbol('unreadable')

/** Values to bodies of entries and back. `undefined` is a value, and has no body. */
export interface Codec {
  /** @throws InvalidArgumentError when the value cannot be carried; `subject` says whose it is. */
  encode(subject: string, value: unknown, lossy: boolean): StoredEntry['body']
  decode(body: StoredEntry['body']): unknown
}

export const jsonCodec: Codec = {
  encode(subject, value, lossy) {
    if (value === undefined) return undefined
    try {
      const odd = lossy ? undefined : jsonLoss(value)
      if (odd === undefined) {
        const text = JSON.stringify(value) as string | undefined
        if (text !== undefined) return text
      } else {
        throw new InvalidArgumentError(
          `${subject} is not JSON: ${odd.path === '' ? 'it' : `value${odd.path}`} is ${odd.what}; ` +
            "make it text or numbers, use a namespace with a 'serializer', or accept what JSON makes " +
            'of it with lossy: true',
        )
      }
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw error
      throw new InvalidArgumentError(`${subject} is not JSON: ${(error as Error).message}`)
    }
    throw new InvalidArgumentError(`${subject} is not JSON: it is a ${typeof value}`)
  },
  decode(body) {
    if (body === undefined) return undefined
    return typeof body === 'string' ? readable(() => JSON.parse(body) as unknown) : UNREADABLE
  },
}

export function codecOf(serializer: Serializer): Codec {
  return {
    encode(subject, value) {
      if (value === undefined) return undefined
      let encoded: unknown
      try {
        encoded = serializer.encode(value)
      } catch (error) {
        const { message } = error as Error
        throw new InvalidArgumentError(`${subject} is refused by the serializer: ${message}`)
      }
      if (typeof encoded === 'string') return encoded
      // A serializer may use its memory again.
      if (encoded instanceof Uint8Array) return copyOf(encoded)
      throw new InvalidArgumentError(
        `${subject}: the serializer's encode must return text or bytes at once, got ${typeof encoded}`,
      )
    },
    decode(body) {
      if (body === undefined) return undefined
      // What is decoded may be a view of its bytes, and those are the cache's own.
      const data = typeof body === 'string' ? body : copyOf(body)
      return readable(() => serializer.decode(data as never))
    },
  }
}

function readable(decode: () => unknown): unknown {
  try {
    return decode()
  } catch {
    return UNREADABLE
  }
}

function copyOf(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
