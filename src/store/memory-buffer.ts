import type { Added, BufferDelta, BufferStore, TakenBatch } from './buffer-store.ts'

/** A buffer of this process alone: what is in it ends with the process. */
export class MemoryBuffer implements BufferStore {
  readonly lastError: string = ''
  #live = new Map<string, string>()
  #batch: TakenBatch | undefined

  add({ fields }: BufferDelta, maxFields: number): Promise<Added> {
    let size = this.#live.size
    for (const name of fields.keys()) if (!this.#live.has(name)) size++
    if (size > maxFields) return Promise.resolve('full')
    for (const [name, value] of fields) {
      const known = typeof value === 'number' ? Number(this.#live.get(name) ?? 0) + value : value
      this.#live.set(name, `${known}`)
    }
    return Promise.resolve({ size })
  }

  take(_token: string, _leaseMs: number, id: string): Promise<TakenBatch | 'empty'> {
    if (this.#batch === undefined) {
      if (this.#live.size === 0) return Promise.resolve('empty')
      this.#batch = { id, fields: this.#live }
      this.#live = new Map()
    }
    return Promise.resolve(this.#batch)
  }

  extend(): Promise<boolean> {
    return Promise.resolve(true)
  }

  release(): Promise<void> {
    return Promise.resolve()
  }

  done(): Promise<void> {
    this.#batch = undefined
    return Promise.resolve()
  }
}
