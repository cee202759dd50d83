import type { LogPosition } from '../stored-response.ts'
import type { Invalidation, SeenRecord } from './log.ts'

const MAX_RECORDS = 100
const MAX_TAGS = 20

/** The last records, whichever process wrote them. */
export class SeenRecords {
  readonly #records: SeenRecord[] = []

  note({ tags, mode }: Invalidation, { epoch, seq }: LogPosition): void {
    const kept = tags === 'all' ? tags : tags.slice(0, MAX_TAGS)
    const count = tags === 'all' ? 0 : tags.length
    this.#records.push({ epoch, seq, at: Date.now(), mode, tags: kept, count })
    if (this.#records.length > MAX_RECORDS) this.#records.shift()
  }

  newestFirst(): SeenRecord[] {
    return this.#records.toReversed()
  }
}
