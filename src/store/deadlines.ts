/** Something that has until its deadline; it stays in its list until it is removed. */
export abstract class Deadline {
  /** As `performance.now()` counts. */
  at = 0
  previous: Deadline | undefined = undefined
  next: Deadline | undefined = undefined

  /** Called once, after it was taken out of the list. */
  abstract expire(): void
}

/**
 * Deadlines of one length. They end in the order in which they began, so one timer is enough for
 * all: a timer for each would cost more than the operations it watches. Those that have ended are
 * unlinked at once and die young.
 */
export class Deadlines {
  readonly milliseconds: number
  #first: Deadline | undefined
  #last: Deadline | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(milliseconds: number) {
    this.milliseconds = milliseconds
  }

  add(deadline: Deadline): void {
    deadline.at = performance.now() + this.milliseconds
    deadline.previous = this.#last
    if (this.#last === undefined) this.#first = deadline
    else this.#last.next = deadline
    this.#last = deadline
    if (this.#timer === undefined) this.#wait(this.milliseconds)
    else if (this.#first === deadline) this.#timer.ref()
  }

  remove(deadline: Deadline): void {
    const { previous, next } = deadline
    if (previous !== undefined) previous.next = next
    else if (this.#first === deadline) this.#first = next
    if (next !== undefined) next.previous = previous
    else if (this.#last === deadline) this.#last = previous
    deadline.previous = deadline.next = undefined
    // What is left of the wait is for nobody, and keeps no process alive.
    if (this.#first === undefined) this.#timer?.unref()
  }

  #wait(milliseconds: number): void {
    // In a process that stood still the answer may have come long ago, and is read after the timers.
    const look = (): void => void setImmediate(() => this.#look())
    this.#timer = setTimeout(look, Math.max(1, Math.ceil(milliseconds)))
  }

  #look(): void {
    this.#timer = undefined
    const now = performance.now()
    let first = this.#first
    while (first !== undefined && first.at <= now) {
      this.remove(first)
      first.expire()
      first = this.#first
    }
    if (first !== undefined && this.#timer === undefined) this.#wait(first.at - now)
  }
}
