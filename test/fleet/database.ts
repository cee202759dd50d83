// The truth that the fleet caches: items in groups, each with a version that grows with every write.

export interface Row {
  id: number
  version: number
  group: number
  groupVersion: number
}

/** One write: what to invalidate, and what nobody may be behind once that is done. */
export interface Write {
  tag: string
  version: number
  /** An item whose page shows it. */
  id: number
}

export class Database {
  readonly #items: { version: number; group: number }[]
  readonly #groups: number[]
  reads = 0

  constructor(items: number, groups: number) {
    this.#items = Array.from({ length: items }, (_, id) => ({ version: 1, group: id % groups }))
    this.#groups = Array.from({ length: groups }, () => 1)
  }

  get size(): number {
    return this.#items.length
  }

  /** All of one moment. */
  read(id: number): Row {
    this.reads++
    const { version, group } = this.#items[id]!
    return { id, version, group, groupVersion: this.#groups[group]! }
  }

  /** A new version of one item, now and then in another group. */
  writeItem(id: number): Write {
    const item = this.#items[id]!
    item.version++
    if (Math.random() < 0.3) item.group = Math.floor(Math.random() * this.#groups.length)
    return { tag: `item:${id}`, version: item.version, id }
  }

  /** A new version of a group; every page of its items shows it. */
  writeGroup(group: number): Write {
    this.#groups[group]!++
    const id = this.#items.findIndex((item) => item.group === group)
    return { tag: `group:${group}`, version: this.#groups[group]!, id: Math.max(0, id) }
  }

  writeSomething(): Write {
    if (Math.random() < 0.25)
      return this.writeGroup(Math.floor(Math.random() * this.#groups.length))
    return this.writeItem(Math.floor(Math.random() * this.size))
  }
}
