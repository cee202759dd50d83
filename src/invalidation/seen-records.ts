import type { LogPosition } from '../stored-response.ts'
import type { Invalidation, SeenRecord } from './log.ts'
import { isKeyTag } from './tags.ts'

const MAX_RECORDS = 100
const MAX_TAGS = 20
/** Values that are written, which may be many in a second, do not drive out what somebody asked for. */
const MAX_WRITES = 50

interface Arrived extends SeenRecord {
  readonly arrival: number
}

/** The last records, whichever process wrote them. */
export class SeenRecords {
  readonly #writes: Arrived[] = []
  readonly #others: Arrived[] = []
  #arrivals = 0

  note({ tags, mode }: Invalidation, { epoch, seq }: LogPosition): void {
    const count = tags === 'all' ? 0 : tags.length
    const kept = tags === 'all' || count <= MAX_TAGS ? tags : tags.slice(0, MAX_TAGS)
    const isWrite = kept !== 'all' && kept.every(isKeyTag)
    const [records, most] = isWrite ? [this.#writes, MAX_WRITES] : [this.#others, MAX_RECORDS]
    const arrival = ++this.#arrivals
    records.push({ epoch, seq, at: Date.now(), mode, tags: kept, count, arrival })
    if (records.length > most) records.shift()
  }

  newestFirst(): SeenRecord[] {
    const records = [...this.#writes, ...this.#others]
    return records.sort((a, b) => b.arrival - a.arrival).slice(0, MAX_RECORDS)
  }
}
