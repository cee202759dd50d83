import { randomBytes } from 'node:crypto'

import { BufferFlusher, type Flush } from './buffer-flusher.ts'
import {
  BufferFullError,
  BufferUnconfirmedError,
  ClosedError,
  InvalidArgumentError,
} from './errors.ts'
import type { BufferDelta, BufferStore } from './store/buffer-store.ts'
import { FAILED } from './store/redis-guard.ts'
import { jsonCodec } from './value-codec.ts'

export interface BufferParts {
  readonly name: string
  readonly store: BufferStore
  readonly flush: Flush
  readonly everyMs: number
  readonly max: number
  readonly onTrouble: (error: Error) => void
}

/** Whether Redis, or the memory without it, has what was written. */
class Confirmation {
  readonly promise: Promise<void>
  readonly since: number = performance.now()
  resolve!: () => void
  reject!: (error: Error) => void

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Who does not wait for it does not want to know.
    this.promise.catch(() => {})
  }
}

const RETRY_MS = 500
const RETRY_FULL_MS = 50
/** How long a write waits for room. */
const FULL_WAIT_MS = 5000
/** What waits to be flushed is at most so many times `max`. */
const ROOM = 2
const BUSY_POLL_MS = 50
const FLUSH_WAIT_MS = 10_000
/** For the last of what was written, and a last flush. */
const CLOSE_MS = 2000
const MAX_FIELD_LENGTH = 1024

/**
 * Counters and last values on their way to a slower store. Writes of one moment go to Redis together,
 * one delta after the other, each sent until it is confirmed and applied once.
 */
export class WriteBuffer {
  readonly #parts: BufferParts
  readonly #flusher: BufferFlusher
  #fields = new Map<string, number | string>()
  #confirmation = new Confirmation()
  #seq = 0
  /** On its way, or to be sent again. */
  #delta: { delta: BufferDelta; confirmation: Confirmation } | undefined
  #pumping: Promise<void> | undefined
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: BufferParts) {
    this.#parts = parts
    this.#flusher = new BufferFlusher(parts)
  }

  /**
   * Adds to a counter. Resolves when Redis has it; rejects with FST_RESPONSE_CACHE_BUFFER_UNCONFIRMED
   * when it is kept here for the time being, with FST_RESPONSE_CACHE_BUFFER_FULL when it is not. The
   * promise may be left alone.
   */
  increment(field: string, by = 1): Promise<void> {
    const name = `+${checkField(this.#parts.name, field)}`
    const sum = Number(this.#fields.get(name) ?? 0) + by
    if (!Number.isSafeInteger(by) || !Number.isSafeInteger(sum)) {
      throw new InvalidArgumentError(`increment of '${field}' takes a whole number, got ${by}`)
    }
    return this.#write(name, sum)
  }

  /** Sets a value that JSON can carry; the last one is flushed. Otherwise as `increment`. */
  set(field: string, value: unknown): Promise<void> {
    const name = `=${checkField(this.#parts.name, field)}`
    const text = jsonCodec.encode(`the value of '${field}'`, value, false)
    if (typeof text !== 'string') {
      throw new InvalidArgumentError(`set of '${field}' takes a value, got undefined`)
    }
    return this.#write(name, text)
  }

  /**
   * Flushes, now, all that was written before: resolves when `flush` has done it, rejects with its
   * error.
   */
  async flush(): Promise<void> {
    if (this.#closed) throw new ClosedError('a flush')
    if (this.#fields.size > 0 || this.#delta !== undefined) {
      const { promise } = this.#fields.size > 0 ? this.#confirmation : this.#delta!.confirmation
      await Promise.all([promise, this.#pump()])
    }
    await this.#flushAll(performance.now() + FLUSH_WAIT_MS)
  }

  /** Sends and flushes what it can, in bounded time. What is in Redis is flushed by another process. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#flusher.stop()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => (timer = setTimeout(resolve, CLOSE_MS)))
    const last = this.#pump()
      .then(() => this.#flushAll(performance.now() + CLOSE_MS))
      .catch(() => {})
    await Promise.race([last, late])
    clearTimeout(timer)
    clearTimeout(this.#retry)
    this.#flusher.abandon()
    const lost = this.#fields.size + (this.#delta?.delta.fields.size ?? 0)
    if (lost === 0) return
    const error = new Error(`closed with ${lost} fields of '${this.#parts.name}' unsent: lost`)
    this.#parts.onTrouble(error)
    this.#giveUp(error.message)
  }

  #write(name: string, value: number | string): Promise<void> {
    if (this.#closed) return Promise.reject(new ClosedError('a write to a buffer'))
    const { max } = this.#parts
    if (this.#fields.size >= max && !this.#fields.has(name)) {
      const refused = Promise.reject(new BufferFullError(this.#parts.name, String(max)))
      refused.catch(() => {})
      return refused
    }
    this.#fields.set(name, value)
    const { promise } = this.#confirmation
    if (this.#retry === undefined) void this.#pump()
    return promise
  }

  /** Until all is sent, or something stands in the way. Never rejects. */
  #pump(): Promise<void> {
    this.#pumping ??= new Promise<void>((resolve) => process.nextTick(resolve)).then(() =>
      this.#sendAll(),
    )
    return this.#pumping
  }

  async #sendAll(): Promise<void> {
    const { store, max } = this.#parts
    clearTimeout(this.#retry)
    this.#retry = undefined
    let obstacle: 'full' | typeof FAILED | undefined
    while (obstacle === undefined && (this.#delta !== undefined || this.#fields.size > 0)) {
      this.#delta ??= this.#nextDelta()
      const answer = await store.add(this.#delta.delta, max * ROOM)
      if (answer === FAILED || answer === 'full') {
        obstacle = answer
        continue
      }
      this.#delta.confirmation.resolve()
      this.#delta = undefined
      if (answer.size >= max && !this.#closed) void this.#flusher.once()
    }
    // In the step that found nothing more to send: what is written from now on starts anew.
    this.#pumping = undefined
    if (obstacle !== undefined) this.#retryLater(obstacle)
  }

  #nextDelta(): { delta: BufferDelta; confirmation: Confirmation } {
    const next = {
      delta: { seq: ++this.#seq, fields: this.#fields },
      confirmation: this.#confirmation,
    }
    this.#fields = new Map()
    this.#confirmation = new Confirmation()
    return next
  }

  #retryLater(obstacle: 'full' | typeof FAILED): void {
    const isFull = obstacle === 'full'
    if (isFull) void this.#flusher.once()
    const waitedMs = performance.now() - this.#delta!.confirmation.since
    if (!isFull) this.#giveUp(this.#parts.store.lastError)
    else if (waitedMs > FULL_WAIT_MS) this.#giveUp('it is full')
    this.#retry = setTimeout(() => void this.#pump(), isFull ? RETRY_FULL_MS : RETRY_MS)
    this.#retry.unref()
  }

  /** Nobody waits longer. */
  #giveUp(why: string): void {
    const error = new BufferUnconfirmedError(this.#parts.name, why)
    this.#delta?.confirmation.reject(error)
    this.#confirmation.reject(error)
    this.#confirmation = new Confirmation()
  }

  async #flushAll(endsAt: number): Promise<void> {
    // One that could not be flushed before, and then what has been written since.
    for (let batches = 0; batches < 2;) {
      const outcome = await this.#flusher.once()
      if (outcome === 'empty') return
      if (outcome instanceof Error) throw outcome
      if (outcome === 'flushed') batches++
      else {
        if (performance.now() >= endsAt) {
          throw new BufferUnconfirmedError(this.#parts.name, 'another process is flushing it')
        }
        await new Promise((resolve) => setTimeout(resolve, BUSY_POLL_MS))
      }
    }
  }
}

function checkField(name: string, field: unknown): string {
  if (typeof field === 'string' && field.length <= MAX_FIELD_LENGTH && field.isWellFormed()) {
    return field
  }
  throw new InvalidArgumentError(
    `a field of the buffer '${name}' must be well-formed text of at most ${MAX_FIELD_LENGTH} characters`,
  )
}

/** For this process among all that ever write to a buffer. */
export function newWriter(): string {
  return randomBytes(12).toString('base64url')
}
