// Random reads and writes through all processes at once, in all modes at the same time.
import { setTimeout as pause } from 'node:timers/promises'

import { Database } from './database.ts'
import { type Fleet, GROUPS, ITEMS } from './fleet.ts'
import { History } from './history.ts'

/** Of each mode; a reader stays with one process, so that one that stands still holds up only its own. */
const READERS = 24
const WRITERS = 3

export class Load {
  readonly fleet: Fleet
  readonly histories: ReadonlyMap<string, History>
  /** What was not answered as it should, with the fault of that moment. */
  readonly failed: string[] = []
  #over = false
  #running: Promise<unknown> = Promise.resolve()
  readonly #pending = new Set<Promise<void>>()

  constructor(fleet: Fleet, modes: readonly string[]) {
    this.fleet = fleet
    this.histories = new Map(modes.map((mode) => [mode, new History()]))
    for (const mode of modes) fleet.databases.set(mode, new Database(ITEMS, GROUPS))
  }

  requestsOf(modes: readonly string[]): number {
    const histories = modes.map((mode) => this.histories.get(mode)!)
    return histories.reduce((sum, { reads, writes }) => sum + reads + writes, 0)
  }

  start(): void {
    const loops = [...this.histories].flatMap(([mode, history]) => [
      ...Array.from({ length: READERS }, (_, n) => this.#reader(mode, history, n)),
      ...Array.from({ length: WRITERS }, () => this.#writer(mode, history)),
    ])
    this.#running = Promise.all(loops)
  }

  giveUp(): void {
    this.#over = true
  }

  /** Ends it, and resolves when everything is answered and every invalidation is delivered. */
  async end(): Promise<void> {
    this.giveUp()
    await this.#running
    while (this.#pending.size > 0) await Promise.all(this.#pending)
  }

  /** Reads every item from every process; all must have the present version. */
  async readAll(mode: string): Promise<{ reads: number; old: number }> {
    let [reads, old] = [0, 0]
    const { fleet } = this
    for (const worker of fleet.workers.keys()) {
      await Promise.all(
        Array.from({ length: ITEMS }, async (_, id) => {
          const row = await fleet.read(new History(), mode, id, worker)
          const now = fleet.databaseOf(mode).read(id)
          reads++
          if (row.version !== now.version || row.groupVersion !== now.groupVersion) old++
        }),
      )
    }
    return { reads, old }
  }

  async #reader(mode: string, history: History, n: number): Promise<void> {
    const worker = n % this.fleet.workers.length
    while (!this.#over) await this.#read(mode, history, Math.floor(Math.random() * ITEMS), worker)
  }

  async #writer(mode: string, history: History): Promise<void> {
    while (!this.#over) {
      const write = this.fleet.databaseOf(mode).writeSomething()
      const writing = this.#noted('write', () => this.fleet.write(history, mode, write))
      this.#note(writing)
      // An invalidation that waits for Redis to come back does not keep others from being made.
      await Promise.race([writing, pause(100)])
      // At this very moment a process that has not heard of it is at its weakest.
      for (const at of this.fleet.workers.keys()) {
        this.#note(this.#read(mode, history, write.id, at))
      }
      await pause(Math.random() * 40)
    }
  }

  #note(action: Promise<void>): void {
    const noted = action.finally(() => this.#pending.delete(noted))
    this.#pending.add(noted)
  }

  #read(mode: string, history: History, id: number, worker: number): Promise<void> {
    return this.#noted('read', async () => {
      await this.fleet.read(history, mode, id, worker)
    })
  }

  async #noted(what: string, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.failed.push(`${what} while ${this.fleet.fault ?? 'all is well'}: ${String(error)}`)
      await pause(10)
    }
  }
}
