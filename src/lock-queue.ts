/** Callers that wait in this process, for all names together. */
const MAX_WAITING = 10_000

/** Lets the next one in; to call it again does nothing. */
export type Leave = () => void

/** One caller at a time for each name, in the order in which they came. */
export class LockQueue {
  /** Of each name that somebody has: those who wait. */
  readonly #lines = new Map<string, Set<(turn: boolean) => void>>()
  #waiting = 0

  /** Undefined when the turn does not come in time, or never will. */
  async enter(name: string, waitMs: number): Promise<Leave | undefined> {
    const line = this.#lines.get(name)
    if (line === undefined) this.#lines.set(name, new Set())
    else if (!(await this.#turn(line, waitMs))) return undefined
    let isIn = true
    return () => {
      if (isIn) this.#next(name)
      isIn = false
    }
  }

  /** Sends all who wait away. */
  close(): void {
    for (const line of this.#lines.values()) for (const call of line) call(false)
  }

  #turn(line: Set<(turn: boolean) => void>, waitMs: number): Promise<boolean> {
    if (waitMs <= 0 || this.#waiting >= MAX_WAITING) return Promise.resolve(false)
    this.#waiting++
    return new Promise((resolve) => {
      const call = (turn: boolean): void => {
        clearTimeout(timer)
        line.delete(call)
        this.#waiting--
        resolve(turn)
      }
      const timer = setTimeout(call, waitMs, false)
      line.add(call)
    })
  }

  #next(name: string): void {
    const [call] = this.#lines.get(name)!
    if (call === undefined) this.#lines.delete(name)
    else call(true)
  }
}
