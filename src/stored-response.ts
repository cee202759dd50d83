import { crc32 } from 'node:zlib'

import { isFieldName, isFieldValue, isReplayable } from './http/fields.ts'

/** A position in the invalidation log: what had been applied when something was computed. */
export interface LogPosition {
  readonly epoch: string
  readonly seq: number
}

/** Anything kept in a tier: a response or a value of the cache client. */
export interface StoredEntry extends LogPosition {
  /** Encoded tags; an invalidation of one of them after `seq` makes the entry unusable. */
  readonly tags: readonly string[]
  /** Epoch milliseconds. */
  readonly storedAt: number
  /** Epoch milliseconds. */
  readonly freshUntil: number
  /** Status code of a response; 0 for a value. */
  readonly status: number
  /** The handler's own header fields, in its order. */
  readonly headers: readonly (readonly [name: string, value: string | readonly string[]])[]
  /** Fields that the handler took away from what hooks had set. */
  readonly removed: readonly string[]
  /**
   * As the handler gave it: hooks on a hit see a text where they see one on a miss, and nothing
   * where the handler sent nothing.
   */
  readonly body: string | Buffer | undefined
}

/** The epoch in the frame has a fixed width, so that a script can read it where it stands. */
export const EPOCH_LENGTH = 16
const SEQ_LENGTH = 16
const MAGIC = Buffer.from('FRC\x01', 'latin1')
const MAGIC_NUMBER = MAGIC.readUInt32BE(0)
const CHECKSUM_AT = 4
const EPOCH_AT = 8
const SEQ_AT = EPOCH_AT + EPOCH_LENGTH
const STORED_AT = SEQ_AT + SEQ_LENGTH
const FRESH_AT = STORED_AT + 8
const HEAD_LENGTH_AT = FRESH_AT + 8
const BODY_LENGTH_AT = HEAD_LENGTH_AT + 4
const PRELUDE = BODY_LENGTH_AT + 4

/** Part of every key, so a reader of another format cannot even find what it would not understand. */
export const FRAME_FORMAT = 'frc1'

/** What stands between the numbers and the body, as JSON. */
interface Head {
  t: readonly string[]
  s: number
  h: StoredEntry['headers']
  r: readonly string[]
  /** The body is a text (1), or there is none (2). */
  x?: 1 | 2
}

/**
 * One self-contained frame: magic and version, CRC-32, epoch, seq, instants, lengths, a JSON head,
 * the raw body. The checksum also covers the key, so a frame found under another key is damaged.
 */
export function encodeEntry(key: string, entry: StoredEntry): Buffer {
  const { body } = entry
  const head: Head = { t: entry.tags, s: entry.status, h: entry.headers, r: entry.removed }
  if (!(body instanceof Buffer)) head.x = body === undefined ? 2 : 1
  const headText = JSON.stringify(head)
  const headLength = Buffer.byteLength(headText)
  const bodyLength = bodyBytes(body)
  const frame = Buffer.allocUnsafe(PRELUDE + headLength + bodyLength)
  MAGIC.copy(frame)
  frame.write(entry.epoch, EPOCH_AT, EPOCH_LENGTH, 'latin1')
  frame.write(String(entry.seq).padStart(SEQ_LENGTH, '0'), SEQ_AT, SEQ_LENGTH, 'latin1')
  frame.writeDoubleBE(entry.storedAt, STORED_AT)
  frame.writeDoubleBE(entry.freshUntil, FRESH_AT)
  frame.writeUInt32BE(headLength, HEAD_LENGTH_AT)
  frame.writeUInt32BE(bodyLength, BODY_LENGTH_AT)
  frame.write(headText, PRELUDE, headLength, 'utf8')
  if (typeof body === 'string') frame.write(body, PRELUDE + headLength, bodyLength, 'utf8')
  else body?.copy(frame, PRELUDE + headLength)
  frame.writeUInt32BE(checksum(key, frame), CHECKSUM_AT)
  return frame
}

/** Length on the wire. */
export function bodyBytes(body: StoredEntry['body']): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0)
}

function checksum(key: string, frame: Buffer): number {
  return crc32(frame.subarray(EPOCH_AT), crc32(key))
}

/** The entry in a frame, or undefined when anything about the bytes is odd. Never throws. */
export function decodeEntry(key: string, frame: Buffer): StoredEntry | undefined {
  if (frame.length < PRELUDE || frame.readUInt32BE(0) !== MAGIC_NUMBER) return undefined
  const headLength = frame.readUInt32BE(HEAD_LENGTH_AT)
  const bodyLength = frame.readUInt32BE(BODY_LENGTH_AT)
  if (PRELUDE + headLength + bodyLength !== frame.length) return undefined
  if (frame.readUInt32BE(CHECKSUM_AT) !== checksum(key, frame)) return undefined
  const seqText = frame.toString('latin1', SEQ_AT, STORED_AT)
  const storedAt = frame.readDoubleBE(STORED_AT)
  const freshUntil = frame.readDoubleBE(FRESH_AT)
  if (!/^\d+$/.test(seqText) || !(storedAt > 0) || !(freshUntil >= storedAt)) return undefined
  if (!Number.isFinite(freshUntil)) return undefined
  const head = parseHead(frame.toString('utf8', PRELUDE, PRELUDE + headLength))
  if (head === undefined) return undefined
  return {
    epoch: frame.toString('latin1', EPOCH_AT, SEQ_AT),
    seq: Number(seqText),
    tags: head.t,
    storedAt,
    freshUntil,
    status: head.s,
    headers: head.h,
    removed: head.r,
    body: bodyIn(frame.subarray(PRELUDE + headLength), head.x),
  }
}

function bodyIn(bytes: Buffer, kind: Head['x']): StoredEntry['body'] {
  if (kind === undefined) return bytes
  return kind === 1 ? bytes.toString() : undefined
}

/** A hot entry is read again and again: the head that was parsed and checked before is found here. */
const MAX_KNOWN_HEADS = 256
const MAX_KNOWN_HEAD_LENGTH = 2048
const knownHeads = new Map<string, Head>()

function parseHead(text: string): Head | undefined {
  const known = knownHeads.get(text)
  if (known !== undefined) return known
  let head: unknown
  try {
    head = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isHead(head)) return undefined
  if (text.length <= MAX_KNOWN_HEAD_LENGTH) {
    if (knownHeads.size >= MAX_KNOWN_HEADS) knownHeads.clear()
    knownHeads.set(text, head)
  }
  return head
}

function isHead(value: unknown): value is Head {
  if (value === null || typeof value !== 'object') return false
  const { t, s, h, r, x } = value as Partial<Record<keyof Head, unknown>>
  return (
    Array.isArray(t) &&
    t.every((tag) => typeof tag === 'string' && tag !== '') &&
    typeof s === 'number' &&
    (s === 0 || (Number.isInteger(s) && s >= 200 && s <= 599)) &&
    Array.isArray(h) &&
    h.every(isField) &&
    Array.isArray(r) &&
    r.every(isFieldName) &&
    BODY_KINDS.has(x)
  )
}

const BODY_KINDS = new Set<unknown>([undefined, 1, 2] satisfies Head['x'][])

function isField(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false
  if (!isFieldName(pair[0]) || !isReplayable(pair[0])) return false
  return Array.isArray(pair[1]) ? pair[1].every(isFieldValue) : isFieldValue(pair[1])
}
