import { setTimeout as sleep } from 'node:timers/promises'

/** What handlers read from: it counts them, and can let them wait with what they have read. */
export class Truth {
  readonly #values = new Map<string, string>()
  readonly #runs = new Map<string, number>()
  #held: { name: string; waiting: (() => void)[] } | undefined

  /** A handler's question. What it gets is what is true as it asks, however long that takes. */
  async read(name: string): Promise<string> {
    this.#runs.set(name, this.runs(name) + 1)
    const value = this.#values.get(name) ?? 'old'
    const held = this.#held
    if (held?.name === name) await new Promise<void>((resolve) => held.waiting.push(resolve))
    return value
  }

  runs(name: string): number {
    return this.#runs.get(name) ?? 0
  }

  write(name: string, value: string): void {
    this.#values.set(name, value)
  }

  hold(name: string): void {
    this.#held = { name, waiting: [] }
  }

  release(): void {
    const held = this.#held?.waiting ?? []
    this.#held = undefined
    for (const resolve of held) resolve()
  }

  async reached(name: string, runs: number): Promise<void> {
    for (let turn = 0; this.runs(name) < runs; turn++) {
      if (turn > 1000) throw new Error(`no handler read ${name}`)
      await sleep(10)
    }
  }

  /** Nobody has come for so long. */
  async quiet(name: string, milliseconds: number): Promise<void> {
    let before: number
    do {
      before = this.runs(name)
      await sleep(milliseconds)
    } while (this.runs(name) !== before)
  }
}
