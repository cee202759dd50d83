import { isUint8Array } from 'node:util/types'

import type { ByteShare } from './byte-budget.ts'

/** `'crowded'`: all that are recorded at the moment would be too much together. */
export type StreamFailure = 'incomplete' | 'too-big' | 'crowded' | 'error'

export type StreamOutcome =
  | { readonly body: Buffer; readonly failure?: never }
  | { readonly body?: never; readonly failure: StreamFailure }

export interface RecordingOptions {
  /** More than this is not kept. */
  readonly maxBytes: number
  /** Of what all recordings may hold together. @default as much as it takes */
  readonly share?: ByteShare
  /**
   * Called exactly once, and as soon as the outcome is certain: before whoever reads the stream
   * learns of its end, and within `tapStream` for a stream that cannot be watched. Must not throw.
   * Never called for a stream that nobody reads and nobody destroys.
   */
  readonly onEnd: (outcome: StreamOutcome) => void
}

/** Blocks after the first; small chunks share one. */
const BLOCK_BYTES = 16 * 1024

/**
 * The bytes that have passed. Copied as they pass: the source may use its buffer again, a hook may
 * change it in place, and a small part of a large buffer would keep all of it.
 */
export class Recording {
  readonly #options: RecordingOptions
  readonly #blocks: Buffer[] = []
  /** Of the last block. */
  #used = 0
  #bytes = 0
  #isOver = false

  constructor(options: RecordingOptions) {
    this.#options = options
    // A source may go on, or stand still for ever, when its client has gone.
    if (options.share !== undefined) options.share.onClose = () => this.fail('incomplete')
  }

  get isEmpty(): boolean {
    return this.#bytes === 0
  }

  add(chunk: unknown): void {
    if (this.#isOver) return
    // A text is written to the client as UTF-8, whatever encoding the source read it with.
    if (typeof chunk === 'string') this.#copy(Buffer.from(chunk))
    else if (isUint8Array(chunk)) this.#copy(chunk)
    else this.fail('error')
  }

  end(): void {
    if (!this.#isOver) this.#settle({ body: this.#body() })
  }

  fail(failure: StreamFailure): void {
    if (!this.#isOver) this.#settle({ failure })
  }

  #settle(outcome: StreamOutcome): void {
    this.#isOver = true
    this.#blocks.length = 0
    this.#options.share?.close()
    this.#options.onEnd(outcome)
  }

  #copy(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.#options.maxBytes) {
      this.fail('too-big')
      return
    }
    let last = this.#blocks.at(-1)
    for (let from = 0; from < chunk.length;) {
      if (last === undefined || this.#used === last.length) last = this.#grow(chunk.length - from)
      if (last === undefined) return this.fail('crowded')
      const part = chunk.subarray(from, from + last.length - this.#used)
      last.set(part, this.#used)
      this.#used += part.length
      from += part.length
    }
  }

  #grow(wanted: number): Buffer | undefined {
    const bytes = this.#blocks.length === 0 ? wanted : Math.max(wanted, BLOCK_BYTES)
    if (this.#options.share?.take(bytes) === false) return undefined
    const block = Buffer.allocUnsafeSlow(bytes)
    this.#blocks.push(block)
    this.#used = 0
    return block
  }

  /** A buffer with nothing around it. A body of one chunk is in the first block already. */
  #body(): Buffer {
    const [first] = this.#blocks
    if (first?.length === this.#bytes) return first
    const body = Buffer.allocUnsafeSlow(this.#bytes)
    let at = 0
    for (const block of this.#blocks) {
      const part = block.subarray(0, this.#bytes - at)
      body.set(part, at)
      at += part.length
    }
    return body
  }
}
