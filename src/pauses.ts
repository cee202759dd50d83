/** Pauses that all end early when there is nothing left to wait for. */
export class Pauses {
  /** Each ends one. */
  readonly #wakers = new Set<() => void>()

  pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#wakers.delete(wake)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.#wakers.add(wake)
    })
  }

  /** Ends those of now. */
  end(): void {
    for (const wake of this.#wakers) wake()
  }
}
