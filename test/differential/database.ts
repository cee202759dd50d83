// Rows that remember every state they had, so that an answer can be asked for again as it would have
// been at an earlier moment.

/** What handlers see: the rows at one version; a write makes the next. */
export interface View {
  readonly version: number
  /** How often the row had been written at that version. */
  read: (row: string, version: number) => number
  /** Returns the version that it made. */
  write: (row: string) => number
}

export class Database implements View {
  /** Of each version from 1 on, the row that made it. */
  readonly #writes: { row: string; at: number }[] = []

  get version(): number {
    return this.#writes.length
  }

  read(row: string, version: number): number {
    let count = 0
    for (let at = 0; at < version; at++) if (this.#writes[at]!.row === row) count++
    return count
  }

  write(row: string): number {
    return this.#writes.push({ row, at: Date.now() })
  }

  /** The version at an instant, with everything that was written at that very instant. */
  versionAt(instant: number): number {
    const later = this.#writes.findIndex(({ at }) => at > instant)
    return later === -1 ? this.version : later
  }
}

/** The database as it was: what the application without a cache is asked with. */
export class PinnedView implements View {
  readonly #database: Database
  version = 0

  constructor(database: Database) {
    this.#database = database
  }

  read(row: string, version: number): number {
    return this.#database.read(row, version)
  }

  write(): number {
    return this.version + 1
  }
}
