/** Waits for conditions: each is looked at whenever something may have changed. */
export class Waits {
  /** Each looks whether its condition holds; with true it gives up. */
  readonly #checks = new Set<(giveUp?: boolean) => void>()
  #closed = false

  /** Resolves when `condition` holds, at the latest after the given time; says whether it does. */
  until(condition: () => boolean, milliseconds: number): Promise<boolean> {
    if (condition() || this.#closed) return Promise.resolve(condition())
    return new Promise((resolve) => {
      const check = (giveUp = false): void => {
        const holds = condition()
        if (!holds && !giveUp) return
        clearTimeout(timer)
        this.#checks.delete(check)
        resolve(holds)
      }
      const timer = setTimeout(() => check(true), milliseconds)
      this.#checks.add(check)
    })
  }

  look(): void {
    for (const check of this.#checks) check()
  }

  /** Nobody waits from here on. */
  close(): void {
    this.#closed = true
    for (const check of this.#checks) check(true)
  }
}
