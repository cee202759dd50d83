import type { LogPosition } from '../stored-response.ts'
import type { Invalidation, SeenRecord } from './log.ts'
import { isKeyTag } from './tags.ts'

const MAX_RECORDS = 100
const MAX_TAGS = 20
/** Values that are written, which may be many in a second, do not drive out what somebody asked for. */
const MAX_WRITES = 50

/** The last records, whichever process wrote them. */
export class SeenRecords {
  readonly #records: SeenRecord[] = []
  #writes = 0

  note({ tags, mode }: Invalidation, { epoch, seq }: LogPosition): void {
    const kept = tags === 'all' ? tags : tags.slice(0, MAX_TAGS)
    const count = tags === 'all' ? 0 : tags.length
    const record: SeenRecord = { epoch, seq, at: Date.now(), mode, tags: kept, count }
    this.#records.push(record)
    if (isWrite(record)) this.#writes++
    if (this.#writes > MAX_WRITES) this.#remove(this.#records.findIndex(isWrite))
    else if (this.#records.length > MAX_RECORDS) this.#remove(0)
  }

  #remove(index: number): void {
    const [removed] = this.#records.splice(index, 1)
    if (isWrite(removed!)) this.#writes--
  }

  newestFirst(): SeenRecord[] {
    return this.#records.toReversed()
  }
}

function isWrite({ tags }: SeenRecord): boolean {
  return tags !== 'all' && tags.every(isKeyTag)
}
