import { MAX_HEAD_BYTES, peekEntry } from '../frame-head.ts'
import { type Packing, pack } from '../frame-packing.ts'
import { isCompressible } from '../http/compressible.ts'
import type { Sealing } from '../sealing.ts'
import {
  HEAD_LENGTH_AT,
  PRELUDE,
  type StoredEntry,
  bodyBytes,
  encodeEntry,
  hexAt,
} from '../stored-response.ts'

/** How entries are written. */
export interface EntryFormat {
  readonly sealing?: Sealing | undefined
  /** Bodies are packed; with `false` they are not, whatever those around it do. */
  readonly packing?: Packing | false | undefined
}

export interface EntryFramesOptions extends EntryFormat {
  readonly namespace: string
  /** Something stood in the place of an entry that no key here opens. */
  readonly onUnopened?: () => void
}

/** Namespaces with a format of their own; what others are made of comes and goes. */
const MAX_OWN_FORMATS = 10_000
const MAX_RESOLVED = 1000
/** Bodies that are being packed, all together; what comes then is stored as it is. */
const MAX_PACKING_BYTES = 32 * 1024 * 1024

/**
 * Entries as they are in Redis, and the names they have there. What is not sealed is under the name
 * that it has in memory; what is sealed says neither what it is nor whose, but which go together.
 */
export class EntryFrames {
  readonly #prefix: string
  readonly #base: EntryFormat
  readonly #onUnopened: () => void
  /** By namespace of the client, as `users@2/drafts`. */
  readonly #own = new Map<string, EntryFormat>()
  readonly #resolved = new Map<string, EntryFormat>()
  /** What sealed names begin with. */
  readonly #sealedPrefixes = new Map<string, string>()
  #isPlain: boolean
  #packingBytes = 0

  constructor({ namespace, onUnopened, ...base }: EntryFramesOptions) {
    // A sign that no namespace contains: of two, one may be the beginning of the other.
    this.#prefix = `${namespace}#`
    this.#base = base
    this.#onUnopened = onUnopened ?? (() => {})
    this.#isPlain = base.sealing === undefined && !base.packing
  }

  /**
   * How a namespace of the client, and those in it, are written. False when there are too many.
   * Whoever opens it again need not say so.
   */
  setOwn(id: string, format: EntryFormat): boolean {
    if (this.#own.size >= MAX_OWN_FORMATS && !this.#own.has(id)) return false
    const known = this.#own.get(id)
    this.#own.set(id, {
      sealing: format.sealing ?? known?.sealing,
      packing: format.packing ?? known?.packing,
    })
    this.#resolved.clear()
    this.#sealedPrefixes.clear()
    this.#isPlain = false
    return true
  }

  ownOf(id: string): EntryFormat | undefined {
    return this.#own.get(id)
  }

  /** The name in Redis of what is under this key in memory. */
  nameOf(key: string): string {
    return this.#isPlain ? this.#prefix + key : this.#nameOf('e', key)
  }

  /** The name of a lease on it. */
  leaseNameOf(key: string): string {
    return this.#isPlain ? `${this.#prefix}l:${key}` : this.#nameOf('l', key)
  }

  #nameOf(kind: 'e' | 'l', key: string): string {
    const group = groupOf(key)
    const { sealing } = this.#formatOf(group)
    if (sealing === undefined) return this.#prefix + (kind === 'e' ? '' : `${kind}:`) + key
    return this.#sealedPrefix(kind, group, sealing) + sealing.nameOf(key)
  }

  #sealedPrefix(kind: 'e' | 'l', group: string, sealing: Sealing): string {
    const start = kind + group
    let prefix = this.#sealedPrefixes.get(start)
    if (prefix === undefined) {
      if (this.#sealedPrefixes.size >= MAX_RESOLVED) this.#sealedPrefixes.clear()
      prefix = `${this.#prefix}${kind}~${sealing.groupNameOf(group)}.`
      this.#sealedPrefixes.set(start, prefix)
    }
    return prefix
  }

  /** What the sealed names of a group begin with, less the namespace; undefined where it is not sealed. */
  sealedPrefixOf(group: string): string | undefined {
    const { sealing } = this.#formatOf(group)
    return sealing && this.#sealedPrefix('e', group, sealing).slice(this.#prefix.length)
  }

  #formatOf(group: string): EntryFormat {
    if (this.#own.size === 0 || !group.startsWith('n:')) return this.#base
    let format = this.#resolved.get(group)
    if (format === undefined) {
      if (this.#resolved.size >= MAX_RESOLVED) this.#resolved.clear()
      this.#resolved.set(group, (format = this.#resolve(group.slice(2))))
    }
    return format
  }

  /** What a namespace does not say, the one around it does. */
  #resolve(id: string): EntryFormat {
    const end = id.lastIndexOf('/')
    const outer = end === -1 ? this.#base : this.#resolve(id.slice(0, end))
    const own = this.#own.get(id)
    return {
      sealing: own?.sealing ?? outer.sealing,
      packing: own?.packing ?? outer.packing,
    }
  }

  /** What the checksum of a frame covers besides it. */
  checkedNameOf(key: string): string {
    return this.#prefix + key
  }

  /** The body as it is to be stored where that is smaller; undefined where there is nothing to do. */
  pack(
    key: string,
    { body, status, headers }: StoredEntry,
  ): Promise<Buffer | undefined> | undefined {
    if (this.#isPlain || body === undefined) return undefined
    const { packing } = this.#formatOf(groupOf(key))
    if (!packing || body.length === 0) return undefined
    const bytes = bodyBytes(body)
    if (bytes < packing.minBytes || (status > 0 && !isCompressible(headers))) return undefined
    if (this.#packingBytes + bytes > MAX_PACKING_BYTES) return undefined
    this.#packingBytes += bytes
    return pack(body, packing.algorithm).finally(() => {
      this.#packingBytes -= bytes
    })
  }

  /** @param packed What `pack` made of the body. */
  encode(key: string, name: string, entry: StoredEntry, packed?: Buffer): string | Buffer {
    const frame = encodeEntry(this.checkedNameOf(key), entry, packed)
    const sealing = this.#isPlain ? undefined : this.#formatOf(groupOf(key)).sealing
    if (sealing === undefined) return frame
    const bytes = typeof frame === 'string' ? Buffer.from(frame) : frame
    const bodyAt = PRELUDE + hexAt(bytes, HEAD_LENGTH_AT)
    return sealing.seal(name, entry, {
      head: Buffer.concat([labelOf(key), bytes.subarray(0, bodyAt)]),
      body: bytes.subarray(bodyAt),
    })
  }

  /** The frame in what was read, before it is checked; undefined when it cannot be opened. */
  open(key: string, name: string, bytes: Buffer): Buffer | undefined {
    const sealing = this.#isPlain ? undefined : this.#formatOf(groupOf(key)).sealing
    if (sealing === undefined) return bytes
    const parts = sealing.open(name, bytes)
    const label = labelOf(key)
    const isIt = parts !== undefined && parts.head.subarray(0, label.length).equals(label)
    if (isIt) return Buffer.concat([parts.head.subarray(label.length), parts.body])
    this.#onUnopened()
    return undefined
  }

  /** Key and head of what stands under a name, or how many bytes it takes to tell; for lists. */
  peek(
    group: string,
    ownName: string,
    bytes: Buffer,
  ): [key: string, entry: StoredEntry] | number | undefined {
    const { sealing } = this.#formatOf(group)
    if (sealing === undefined) return withKey(ownName, peekEntry(bytes))
    const head = sealing.openHead(this.#prefix + ownName, bytes)
    if (head === undefined || typeof head === 'number') {
      return head !== undefined && head <= MAX_HEAD_BYTES ? head : undefined
    }
    const frameAt = LABEL_LENGTH + hexAt(head, 0)
    if (!(frameAt <= head.length)) return undefined
    return withKey(head.toString('utf8', LABEL_LENGTH, frameAt), peekEntry(head.subarray(frameAt)))
  }
}

const LABEL_LENGTH = 8

/** In front of a sealed head: the key, for whoever has only the name. */
function labelOf(key: string): Buffer {
  const length = Buffer.byteLength(key).toString(16).padStart(LABEL_LENGTH, '0')
  return Buffer.from(length + key)
}

function withKey(
  key: string,
  entry: StoredEntry | number | undefined,
): [string, StoredEntry] | number | undefined {
  return typeof entry === 'object' ? [key, entry] : entry
}

/** What goes together in a list: values of one namespace (`d`, `n:users`), responses (`r`). */
function groupOf(key: string): string {
  if (!key.startsWith('n:')) return key.slice(0, 1)
  const end = key.slice(2).search(/[:#]/)
  return end === -1 ? key : key.slice(0, end + 2)
}
