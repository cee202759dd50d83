/** One record of the log stream. */
export interface LogRecord {
  id: string
  epoch: string
  seq: number
  all: boolean
  tags: string[]
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
  const record: LogRecord = { id: String(item[0]), epoch: '', seq: NaN, all: false, tags: [] }
  const fields = item[1] as unknown[]
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const value = String(fields[index + 1])
    switch (String(fields[index])) {
      case 's':
        record.seq = Number(value)
        break
      case 'e':
        record.epoch = value
        break
      case 'all':
        record.all = true
        break
      case 't':
        record.tags.push(value)
        break
    }
  }
  return Number.isSafeInteger(record.seq) && record.epoch !== '' ? record : undefined
}
