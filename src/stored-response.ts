import { crc32 } from 'node:zlib'

import { type Head, parseHead } from './frame-check.ts'

/** A position in the invalidation log: what had been applied when something was computed. */
export interface LogPosition {
  readonly epoch: string
  readonly seq: number
}

/** Until when an entry is good for what; all instants are epoch milliseconds. */
export interface Lifetimes {
  /** When it was received, less the age that it had: its age counts from here (RFC 9111 §4.2.3). */
  readonly storedAt: number
  readonly freshUntil: number
  /** May be served while it is being revalidated (RFC 5861 §3). */
  readonly staleWhileRevalidateUntil: number
  /** May be served in place of an error (RFC 5861 §4). */
  readonly staleIfErrorUntil: number
  /** Kept for its validators, whether or not it may be served. */
  readonly keepUntil: number
  /** Never to be served stale (RFC 9111 §4.2.4). */
  readonly mustRevalidate: boolean
  /** Milliseconds that computing it took; undefined where it took none that a clock could tell. */
  readonly computeMs: number | undefined
}

/** Anything kept in a tier: a response or a value of the cache client. */
export interface StoredEntry extends LogPosition, Lifetimes {
  /** Encoded tags; an invalidation of one of them after `seq` makes the entry unusable. */
  readonly tags: readonly string[]
  /** Status code of a response; 0 for a value. */
  readonly status: number
  /** The handler's own header fields, in its order. */
  readonly headers: readonly (readonly [name: string, value: string | readonly string[]])[]
  /** Fields that the handler took away from what hooks had set. */
  readonly removed: readonly string[]
  /** No response but the names of the fields that select one (RFC 9111 §4.1). */
  readonly varies: readonly string[] | undefined
  /**
   * As the handler gave it: hooks on a hit see a text where they see one on a miss, and nothing
   * where the handler sent nothing.
   */
  readonly body: string | Buffer | undefined
  /** Of a value: its key, where the name that it is stored under does not tell it. */
  readonly name?: string
}

/** What is known of the variants of one primary key (RFC 9111 §4.1). */
export interface VariantIndex {
  /** The union of the fields that responses have nominated. */
  readonly names: readonly string[]
  /** Marks of the variants that are stored, to count them. */
  readonly marks: string
  /** How long it is kept, in epoch milliseconds; 0 when it is to be made anew. */
  readonly keepUntil: number
}

/** Fresh until then, and afterwards good for nothing. */
export function plainLifetimes(storedAt: number, freshUntil: number): Lifetimes {
  return {
    storedAt,
    freshUntil,
    staleWhileRevalidateUntil: freshUntil,
    staleIfErrorUntil: freshUntil,
    keepUntil: freshUntil,
    mustRevalidate: false,
    computeMs: undefined,
  }
}

/** The epoch in the frame has a fixed width, so that a script can read it where it stands. */
export const EPOCH_LENGTH = 16

/**
 * A frame, in order: `FRC2`, CRC-32 (8 hex digits), epoch, seq (16 digits), length of the head
 * (8 hex digits) and of the body (8), then the head as JSON, then the body. All of it is text, so
 * that the frame of a text is a text, which Redis clients send without a copy.
 */
const MAGIC = 'FRC2'
const MAGIC_NUMBER: number = Buffer.from(MAGIC).readUInt32BE(0)
/** The same with a packed body. Who does not know of that finds nothing. */
const PACKED_MAGIC = 'FRC3'
const PACKED_MAGIC_NUMBER: number = Buffer.from(PACKED_MAGIC).readUInt32BE(0)
const CHECKSUM_AT = MAGIC.length
const EPOCH_AT = CHECKSUM_AT + 8
const SEQ_AT = EPOCH_AT + EPOCH_LENGTH
const SEQ_LENGTH = 16
export const HEAD_LENGTH_AT: number = SEQ_AT + SEQ_LENGTH
const BODY_LENGTH_AT = HEAD_LENGTH_AT + 8
export const PRELUDE: number = BODY_LENGTH_AT + 8

/** Part of every key, so a reader of another format cannot even find what it would not understand. */
export const FRAME_FORMAT = 'frc2'

function headOf(entry: StoredEntry): Head {
  const { storedAt, freshUntil, body } = entry
  const head: Head = {
    t: entry.tags,
    s: entry.status,
    h: entry.headers,
    r: entry.removed,
    a: storedAt,
    f: freshUntil,
  }
  if (entry.staleWhileRevalidateUntil !== freshUntil) head.w = entry.staleWhileRevalidateUntil
  if (entry.staleIfErrorUntil !== freshUntil) head.e = entry.staleIfErrorUntil
  if (entry.keepUntil !== freshUntil) head.k = entry.keepUntil
  if (entry.mustRevalidate) head.m = 1
  if (entry.computeMs !== undefined) head.c = entry.computeMs
  if (entry.varies !== undefined) head.v = entry.varies
  if (!(body instanceof Buffer)) head.x = body === undefined ? 2 : 1
  if (entry.name !== undefined) head.n = entry.name
  return head
}

/**
 * The frame of an entry. Its checksum also covers the key: found under another, it is damaged.
 *
 * @param packed What stands in the place of the body.
 */
export function encodeEntry(key: string, entry: StoredEntry, packed?: Buffer): string | Buffer {
  const body = packed ?? entry.body
  const magic = packed === undefined ? MAGIC : PACKED_MAGIC
  const start = keyNumber(packed === undefined ? key : packedKey(key))
  const headText = JSON.stringify(headOf(entry))
  const seq = String(entry.seq).padStart(SEQ_LENGTH, '0')
  const lengths = hex8(Buffer.byteLength(headText)) + hex8(bodyBytes(body))
  const text = entry.epoch + seq + lengths + headText
  // One after the other: put together for the checksum they would be copied once more. Of no bytes
  // Node may say 0, whatever they come after.
  const ofText = crc32(text, start)
  const covered = body === undefined || body.length === 0 ? ofText : crc32(body, ofText)
  const beginning = magic + hex8(covered) + text
  if (!(body instanceof Buffer)) return beginning + (body ?? '')
  return Buffer.concat([Buffer.from(beginning), body])
}

/** By a table: to the engine, half of all checksums are no small integers, and slow to write. */
function hex8(number: number): string {
  return (
    HEX_BYTES[number >>> 24]! +
    HEX_BYTES[(number >>> 16) & 255]! +
    HEX_BYTES[(number >>> 8) & 255]! +
    HEX_BYTES[number & 255]!
  )
}

const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** So that the checksum tells one kind of frame from the other. */
function packedKey(key: string): string {
  return `${key}\0`
}

/** Where the checksum starts from: other keys, other checksums. FNV-1a. */
function keyNumber(key: string): number {
  let number = 0x811c9dc5
  for (let at = 0; at < key.length; at++) {
    number = Math.imul(number ^ key.charCodeAt(at), 0x01000193)
  }
  return number >>> 0
}

/** Length on the wire. */
export function bodyBytes(body: string | Uint8Array | undefined): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : (body?.length ?? 0)
}

/** A frame whose checksum is right, before its head is read. */
export interface CheckedFrame {
  readonly bytes: Buffer
  readonly checksum: number
  /** Where the body begins. */
  readonly bodyAt: number
  readonly body: Buffer
  /** The body is to be unpacked before the entry is read. */
  readonly isPacked: boolean
}

/** What kind of frame it is, by its beginning; undefined when it is none. */
export function frameKind(bytes: Buffer): 'plain' | 'packed' | undefined {
  if (bytes.length < PRELUDE) return undefined
  const magic = bytes.readUInt32BE(0)
  if (magic === MAGIC_NUMBER) return 'plain'
  return magic === PACKED_MAGIC_NUMBER ? 'packed' : undefined
}

/** Undefined when anything about the bytes is odd. Never throws. */
export function checkFrame(key: string, bytes: Buffer): CheckedFrame | undefined {
  const kind = frameKind(bytes)
  if (kind === undefined) return undefined
  const isPacked = kind === 'packed'
  const checksum = hexAt(bytes, CHECKSUM_AT)
  const start = keyNumber(isPacked ? packedKey(key) : key)
  if (checksum !== crc32(bytes.subarray(EPOCH_AT), start)) return undefined
  const bodyAt = PRELUDE + hexAt(bytes, HEAD_LENGTH_AT)
  if (bodyAt + hexAt(bytes, BODY_LENGTH_AT) !== bytes.length) return undefined
  return { bytes, checksum, bodyAt, body: bytes.subarray(bodyAt), isPacked }
}

/** Eight hex digits, or NaN, which is equal to nothing. */
export function hexAt(bytes: Buffer, at: number): number {
  let number = 0
  for (let index = 0; index < 8; index++) {
    const digit = HEX_DIGITS[bytes[at + index]!]!
    if (digit === 255) return NaN
    number = number * 16 + digit
  }
  return number
}

const HEX_DIGITS = new Uint8Array(256).fill(255)
for (let digit = 0; digit < 16; digit++) {
  HEX_DIGITS[digit.toString(16).charCodeAt(0)] = digit
}

/** The entry in a frame, or undefined when its head is none. Never throws. */
export function readEntry(frame: CheckedFrame): StoredEntry | undefined {
  const { bytes, bodyAt } = frame
  const seqText = bytes.toString('latin1', SEQ_AT, HEAD_LENGTH_AT)
  if (!/^\d+$/.test(seqText)) return undefined
  const head = parseHead(bytes.toString('utf8', PRELUDE, bodyAt))
  if (head === undefined) return undefined
  const entry = {
    epoch: bytes.toString('latin1', EPOCH_AT, SEQ_AT),
    seq: Number(seqText),
    tags: head.t,
    storedAt: head.a,
    freshUntil: head.f,
    staleWhileRevalidateUntil: head.w ?? head.f,
    staleIfErrorUntil: head.e ?? head.f,
    keepUntil: head.k ?? head.f,
    mustRevalidate: head.m === 1,
    computeMs: head.c,
    status: head.s,
    headers: head.h,
    removed: head.r,
    varies: head.v,
    body: bodyOf(frame, head.x),
  }
  return head.n === undefined ? entry : { ...entry, name: head.n }
}

function bodyOf({ body }: CheckedFrame, kind: Head['x']): StoredEntry['body'] {
  if (kind === undefined) return body
  return kind === 1 ? body.toString('utf8') : undefined
}

/** The same entry as one that was read before from a frame with this checksum; only the body is new. */
export function rereadEntry(known: StoredEntry, frame: CheckedFrame): StoredEntry {
  const { body } = known
  const kind = body === undefined ? 2 : typeof body === 'string' ? 1 : undefined
  return { ...known, body: bodyOf(frame, kind) }
}

/** Both steps, for a body that is not packed. */
export function decodeEntry(key: string, bytes: Buffer): StoredEntry | undefined {
  const frame = checkFrame(key, bytes)
  return frame && !frame.isPacked ? readEntry(frame) : undefined
}
