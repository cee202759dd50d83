import type { Invalidation, InvalidationMode } from './log.ts'

/** One record of the log stream. Its mode is the hardest where it says none that is known here. */
export interface LogRecord extends Invalidation {
  id: string
  epoch: string
  seq: number
}

/** Reads the records of an XREAD answer of one stream; undefined for anything unexpected. */
export function parseRecords(answer: unknown): LogRecord[] | undefined {
  if (answer === null) return []
  if (!Array.isArray(answer) || !Array.isArray(answer[0]) || !Array.isArray(answer[0][1])) {
    return undefined
  }
  const records: LogRecord[] = []
  for (const item of answer[0][1] as unknown[]) {
    const record = parseRecord(item)
    if (record === undefined) return undefined
    records.push(record)
  }
  return records
}

function parseRecord(item: unknown): LogRecord | undefined {
  if (!Array.isArray(item) || !Array.isArray(item[1])) return undefined
  const tags: string[] = []
  let [epoch, seq, mode, all] = ['', NaN, 'purge', false]
  const fields = item[1] as unknown[]
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const value = textOf(fields[index + 1])
    if (value === undefined) return undefined
    switch (fields[index]) {
      case 's':
        seq = value === '' ? NaN : Number(value)
        break
      case 'e':
        epoch = value
        break
      case 'm':
        mode = value
        break
      case 'all':
        all = true
        break
      case 't':
        tags.push(value)
        break
    }
  }
  const id = textOf(item[0])
  if (id === undefined || !Number.isSafeInteger(seq) || epoch === '') return undefined
  return { id, epoch, seq, mode: knownMode(mode), tags: all ? 'all' : tags }
}

// Not `String(value)`: it throws for an object that says itself what its `toString` is.
function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? `${value}` : undefined
}

function knownMode(mode: string): InvalidationMode {
  return mode === 'soft' || mode === 'expire' ? mode : 'purge'
}
