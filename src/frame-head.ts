import {
  HEAD_LENGTH_AT,
  PRELUDE,
  type StoredEntry,
  frameKind,
  hexAt,
  readEntry,
} from './stored-response.ts'

/** Far more than 256 tags, the longest key that is sensible and all fields take. */
export const MAX_HEAD_BYTES: number = 1024 * 1024

const NO_BODY = Buffer.alloc(0)

/**
 * The entry without its body, from the beginning of a frame; or how many bytes that takes. Its
 * checksum covers the body and is not looked at: good for lists, and nothing is answered from it.
 */
export function peekEntry(bytes: Buffer): StoredEntry | number | undefined {
  const kind = frameKind(bytes)
  if (kind === undefined) return undefined
  const bodyAt = PRELUDE + hexAt(bytes, HEAD_LENGTH_AT)
  if (!(bodyAt <= MAX_HEAD_BYTES)) return undefined
  if (bytes.length < bodyAt) return bodyAt
  const entry = readEntry({
    bytes: bytes.subarray(0, bodyAt),
    checksum: 0,
    bodyAt,
    body: NO_BODY,
    isPacked: kind === 'packed',
  })
  return entry && { ...entry, body: undefined }
}
