/** Bytes that several may hold together. */
export class ByteBudget {
  readonly maxBytes: number
  /** Held at present. */
  held = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  open(): ByteShare {
    return new ByteShare(this)
  }
}

/** What one of them holds. */
export class ByteShare {
  readonly #budget: ByteBudget
  #held = 0
  #isOpen = true
  /** Called when this is closed: what was taken is to be let go. */
  onClose: (() => void) | undefined = undefined

  constructor(budget: ByteBudget) {
    this.#budget = budget
  }

  /** False when so many more would be too many for all together, and after the end. */
  take(bytes: number): boolean {
    if (!this.#isOpen || this.#budget.held + bytes > this.#budget.maxBytes) return false
    this.#budget.held += bytes
    this.#held += bytes
    return true
  }

  /** Gives everything back; twice is once. */
  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#budget.held -= this.#held
    this.onClose?.()
  }
}
