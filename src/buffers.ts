import type { Flush } from './buffer-flusher.ts'
import { ClosedError, InvalidArgumentError } from './errors.ts'
import { MAX_TIMER_MS } from './options-reader.ts'
import { MemoryBuffer } from './store/memory-buffer.ts'
import { RedisBuffer } from './store/redis-buffer.ts'
import type { RedisGuard } from './store/redis-guard.ts'
import { checkNames } from './value-space.ts'
import { WriteBuffer, newWriter } from './write-behind.ts'

export interface BufferOptions {
  /**
   * Writes a batch to where it belongs. What it rejects with is reported, and the batch comes again:
   * whole, and under the same id.
   */
  flush: Flush
  /** How often what waits is flushed, in milliseconds. @default 1000 */
  everyMs?: number
  /**
   * How many fields may wait before they are flushed at once. Twice as many wait at most: then writes
   * wait, too. @default 1000
   */
  max?: number
}

const OPTIONS = ['flush', 'everyMs', 'max']
const EVERY_MS = 1000
const MAX = 1000
const LIMITS = { everyMs: [10, MAX_TIMER_MS], max: [1, 10_000] } as const
const MAX_NAME_LENGTH = 1024

/** The buffers of this process, each under a name of its own. */
export class Buffers {
  readonly #guard: RedisGuard | undefined
  readonly #namespace: string
  readonly #onTrouble: (error: Error) => void
  readonly #buffers = new Map<string, WriteBuffer>()
  #closed = false

  constructor(guard: RedisGuard | undefined, namespace: string, onTrouble: (error: Error) => void) {
    this.#guard = guard
    this.#namespace = namespace
    this.#onTrouble = onTrouble
  }

  open(name: string, options: BufferOptions): WriteBuffer {
    if (this.#closed) throw new ClosedError('a buffer')
    const isText = typeof name === 'string' && name !== '' && name.isWellFormed()
    if (!isText || name.length > MAX_NAME_LENGTH) {
      throw new InvalidArgumentError(
        `the name of a buffer must be well-formed text of 1 to ${MAX_NAME_LENGTH} characters`,
      )
    }
    const where = `the buffer '${name}'`
    checkNames(where, Object(options) as object, OPTIONS)
    const { flush } = Object(options) as Partial<BufferOptions>
    if (typeof flush !== 'function')
      throw new InvalidArgumentError(`${where} needs flush, a function`)
    if (this.#buffers.has(name)) {
      throw new InvalidArgumentError(`${where} is open already in this process; share it`)
    }
    const buffer = new WriteBuffer({
      name,
      flush,
      everyMs: checkLimit(where, 'everyMs', options.everyMs) ?? EVERY_MS,
      max: checkLimit(where, 'max', options.max) ?? MAX,
      onTrouble: this.#onTrouble,
      store: this.#storeOf(name),
    })
    this.#buffers.set(name, buffer)
    return buffer
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(Array.from(this.#buffers.values(), (buffer) => buffer.close()))
  }

  #storeOf(name: string): MemoryBuffer | RedisBuffer {
    if (this.#guard === undefined) return new MemoryBuffer()
    const parts = { guard: this.#guard, namespace: this.#namespace, name, writer: newWriter() }
    return new RedisBuffer(parts)
  }
}

function checkLimit(
  where: string,
  name: keyof typeof LIMITS,
  value: number | undefined,
): number | undefined {
  const [least, most] = LIMITS[name]
  if (value === undefined) return undefined
  const isWithin = Number.isInteger(value) && value >= least && value <= most
  if (isWithin) return value
  throw new InvalidArgumentError(
    `${name} of ${where} must be a whole number from ${least} to ${most}, got ${value}`,
  )
}
