import {
  type KeyObject,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
} from 'node:crypto'

import type { LogPosition } from './stored-response.ts'

/** A secret that several processes share, and the name by which frames refer to it. */
export interface EncryptionKey {
  /** 1 to 16 letters, digits, `_` and `-`; stands readable in what is stored. */
  id: string
  /** At least 32 characters, or 32 bytes, of randomness. */
  secret: string | Uint8Array
}

/** What is sealed apart, so that a list reads heads without bodies. */
export interface SealedParts {
  readonly head: Buffer
  readonly body: Buffer
}

interface DerivedKeys {
  /** Padded, as it stands in a frame. */
  readonly id: string
  readonly head: KeyObject
  readonly body: KeyObject
  readonly name: KeyObject
  readonly tag: KeyObject
}

/**
 * A sealed frame, in order: `FRS1`, length of the sealed head (8 hex digits), epoch, seq (16 digits),
 * nonce, id of the key (16 characters), then the sealed head and the sealed body, each with its tag
 * behind it. Epoch and seq stand where a plain frame has them, for the script that compares; the
 * nonce is among the first 60 bytes, by which one frame is told from the next.
 */
const MAGIC = 'FRS1'
const MAGIC_NUMBER = Buffer.from(MAGIC).readUInt32BE(0)
const EPOCH_AT = 12
const EPOCH_LENGTH = 16
const SEQ_AT = EPOCH_AT + EPOCH_LENGTH
const SEQ_LENGTH = 16
const NONCE_AT = SEQ_AT + SEQ_LENGTH
const NONCE_LENGTH = 12
const KEY_ID_AT = NONCE_AT + NONCE_LENGTH
const KEY_ID_LENGTH = 16
const HEAD_AT = KEY_ID_AT + KEY_ID_LENGTH
const TAG_LENGTH = 16

const CIPHER = 'aes-256-gcm'
const HEX8 = /^[0-9a-f]{8}$/
/** Names of tags are many, and 16 bytes tell as many apart as there can be. */
const TAG_NAME_BYTES = 16
const GROUP_NAME_BYTES = 8

/**
 * AES-256-GCM for what leaves this process, and names that say nothing (HMAC-SHA256). The first key
 * seals, all of them open; the last one names, so that names stay when a key is added in front.
 * Nothing here throws for the sake of what was read.
 */
export class Sealing {
  readonly #keys: readonly DerivedKeys[]
  readonly #byId: ReadonlyMap<string, DerivedKeys>
  readonly #nonce: () => Buffer

  /** @param scope What the keys are good for: the same secret elsewhere makes other keys. */
  constructor(
    scope: string,
    keys: readonly EncryptionKey[],
    nonce: () => Buffer = () => randomBytes(NONCE_LENGTH),
  ) {
    this.#keys = keys.map((key) => derive(scope, key))
    this.#byId = new Map(this.#keys.map((key) => [key.id, key]))
    this.#nonce = nonce
  }

  /** Whether both have the same keys in the same order. */
  equals(other: Sealing): boolean {
    return this.#mark() === other.#mark()
  }

  #mark(): string {
    return this.#keys.map(({ id, tag }) => id + hmac(tag, '').toString('base64url')).join(' ')
  }

  /** @param name Where it will stand: opened under another, it is damaged. */
  seal(name: string, { epoch, seq }: LogPosition, { head, body }: SealedParts): Buffer {
    const keys = this.#keys[0]!
    const headEnd = HEAD_AT + head.length + TAG_LENGTH
    const sealed = Buffer.allocUnsafe(headEnd + body.length + TAG_LENGTH)
    const headLength = (headEnd - HEAD_AT).toString(16).padStart(8, '0')
    const seqText = String(seq).padStart(SEQ_LENGTH, '0')
    sealed.write(MAGIC + headLength + epoch + seqText, 'latin1')
    const nonce = this.#nonce()
    nonce.copy(sealed, NONCE_AT)
    sealed.write(keys.id, KEY_ID_AT, 'latin1')
    const nameBytes = Buffer.from(name)
    encrypt(keys.head, nonce, sealed.subarray(HEAD_AT, headEnd), {
      plain: head,
      bound: boundToHead(sealed, nameBytes),
    })
    encrypt(keys.body, nonce, sealed.subarray(headEnd), {
      plain: body,
      bound: boundToBody(sealed, headEnd, nameBytes),
    })
    return sealed
  }

  /** Undefined for anything but what was sealed by one of the keys for this name. Never throws. */
  open(name: string, bytes: Buffer): SealedParts | undefined {
    const headEnd = endOfHead(bytes)
    if (headEnd === undefined || headEnd + TAG_LENGTH > bytes.length) return undefined
    const head = this.#openHead(name, bytes, headEnd)
    if (head === undefined) return undefined
    const { body: key } = this.#byId.get(keyIdOf(bytes))!
    const bound = boundToBody(bytes, headEnd, Buffer.from(name))
    const body = decrypt(key, bytes, bytes.subarray(headEnd), bound)
    return body && { head, body }
  }

  /** The head alone, from the beginning of a frame; or how many bytes that takes. Never throws. */
  openHead(name: string, bytes: Buffer): Buffer | number | undefined {
    const headEnd = endOfHead(bytes)
    if (headEnd === undefined) return undefined
    return headEnd > bytes.length ? headEnd : this.#openHead(name, bytes, headEnd)
  }

  #openHead(name: string, bytes: Buffer, headEnd: number): Buffer | undefined {
    const keys = this.#byId.get(keyIdOf(bytes))
    if (keys === undefined) return undefined
    const bound = boundToHead(bytes, Buffer.from(name))
    return decrypt(keys.head, bytes, bytes.subarray(HEAD_AT, headEnd), bound)
  }

  /** The name of one thing: 43 characters, the same for all who have the same last key. */
  nameOf(text: string): string {
    return hmac(this.#keys.at(-1)!.name, `n${text}`).toString('base64url')
  }

  /** The name of many things together: 11 characters. */
  groupNameOf(text: string): string {
    const name = hmac(this.#keys.at(-1)!.name, `g${text}`)
    return name.toString('base64url', 0, GROUP_NAME_BYTES)
  }

  /**
   * The names of a tag, one for each key: whoever has one key in common with others has a name in
   * common with them.
   */
  tagNames(tag: string): string[] {
    return this.#keys.map((key) => hmac(key.tag, tag).toString('base64url', 0, TAG_NAME_BYTES))
  }
}

function derive(scope: string, { id, secret }: EncryptionKey): DerivedKeys {
  const key = (purpose: string): KeyObject => {
    const info = `${purpose}\0${scope}`
    return createSecretKey(
      Buffer.from(hkdfSync('sha256', secret, 'fastify-response-cache', info, 32)),
    )
  }
  return {
    id: id.padEnd(KEY_ID_LENGTH),
    head: key('head'),
    body: key('body'),
    name: key('name'),
    tag: key('tag'),
  }
}

function hmac(key: KeyObject, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Undefined when it is no sealed frame. */
function endOfHead(bytes: Buffer): number | undefined {
  if (bytes.length < HEAD_AT || bytes.readUInt32BE(0) !== MAGIC_NUMBER) return undefined
  const digits = bytes.toString('latin1', MAGIC.length, EPOCH_AT)
  const length = HEX8.test(digits) ? parseInt(digits, 16) : 0
  return length < TAG_LENGTH ? undefined : HEAD_AT + length
}

function keyIdOf(bytes: Buffer): string {
  return bytes.toString('latin1', KEY_ID_AT, HEAD_AT)
}

/** All that stands readable in front, and where it stands. */
function boundToHead(bytes: Buffer, name: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, HEAD_AT), name])
}

/** That, and the head itself, by its tag. */
function boundToBody(bytes: Buffer, headEnd: number, name: Buffer): Buffer {
  const tag = bytes.subarray(headEnd - TAG_LENGTH, headEnd)
  return Buffer.concat([bytes.subarray(0, HEAD_AT), tag, name])
}

function encrypt(
  key: KeyObject,
  nonce: Buffer,
  target: Buffer,
  { plain, bound }: { plain: Buffer; bound: Buffer },
): void {
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_LENGTH })
  cipher.setAAD(bound)
  cipher.update(plain).copy(target)
  cipher.final()
  cipher.getAuthTag().copy(target, plain.length)
}

/** `sealed` is not shorter than a tag. */
function decrypt(key: KeyObject, frame: Buffer, sealed: Buffer, bound: Buffer): Buffer | undefined {
  const tagAt = sealed.length - TAG_LENGTH
  try {
    const nonce = frame.subarray(NONCE_AT, KEY_ID_AT)
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_LENGTH })
    decipher.setAAD(bound)
    decipher.setAuthTag(sealed.subarray(tagAt))
    const plain = decipher.update(sealed.subarray(0, tagAt))
    decipher.final()
    return plain
  } catch {
    return undefined
  }
}
