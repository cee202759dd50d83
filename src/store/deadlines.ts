/** One operation that has until its deadline; `expire` is taken away once it has ended. */
export interface Deadline {
  at: number
  expire: (() => void) | undefined
}

/**
 * Deadlines of one length. They end in the order in which they began, so one timer is enough for
 * all: a timer for each would cost more than the operations it watches.
 */
export class Deadlines {
  readonly #milliseconds: number
  #pending: Deadline[] = []
  /** Where in `#pending` the first is that has not been looked at. */
  #first = 0
  #waiting = false

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  add(expire: () => void): Deadline {
    const deadline = { at: performance.now() + this.#milliseconds, expire }
    this.#pending.push(deadline)
    if (!this.#waiting) this.#wait(this.#milliseconds)
    return deadline
  }

  #wait(milliseconds: number): void {
    this.#waiting = true
    setTimeout(() => this.#look(), Math.max(1, Math.ceil(milliseconds)))
  }

  #look(): void {
    const now = performance.now()
    this.#waiting = false
    while (this.#first < this.#pending.length) {
      const { at, expire } = this.#pending[this.#first]!
      if (expire !== undefined) {
        if (at > now) {
          this.#wait(at - now)
          break
        }
        expire()
      }
      this.#first++
    }
    this.#pending = this.#pending.slice(this.#first)
    this.#first = 0
  }
}
