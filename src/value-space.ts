import type { EntryFrames } from './store/entry-frames.ts'
import { type CompressionOptions, readCompression } from './compression.ts'
import { type EncryptionOptions, readKeys } from './encryption-keys.ts'
import { DURATION_HELP, type Duration, seconds } from './durations.ts'
import { InvalidArgumentError } from './errors.ts'
import type { Packing } from './frame-packing.ts'
import { digest } from './http/encoding.ts'
import { encodeTag } from './invalidation/tags.ts'
import { type EncryptionKey, Sealing } from './sealing.ts'
import type { StoredEntry } from './stored-response.ts'
import { type Codec, type Serializer, codecOf, jsonCodec } from './value-codec.ts'

export interface NamespaceOptions {
  /** Lifetime of values that are set without one; seconds when a number. @default that of the parent */
  ttl?: Duration
  /**
   * How values are written and read. Change `version` with it: what was written by another is a miss
   * at best. @default that of the parent; JSON at the top
   */
  serializer?: Serializer
  /**
   * A new one begins a new generation: values of the one before are not found any more, and go by
   * their ttl. Letters, digits and `. _ -`. @default none
   */
  version?: string | number
  /** Accept what JSON silently makes of a Date, a Map, NaN, undefined. @default that of the parent */
  lossy?: boolean
  /**
   * Keys of its own for what it and namespaces in it store in Redis. With and without, it is not the
   * same namespace, and shares no values. Tags of values are as readable as the plugin's own option
   * `encryption` leaves them; keys are not. @default that of the parent
   */
  encryption?: EncryptionOptions
  /** Compresses what is stored in Redis; see the plugin's own option. @default that of the parent */
  compression?: boolean | CompressionOptions
}

const KNOWN_OPTIONS = ['ttl', 'serializer', 'version', 'lossy', 'encryption', 'compression']
const NAME = /^[\w.-]{1,64}$/
const MAX_DEPTH = 8
/** In the id of a namespace with keys of its own. */
const SEALED_MARK = '~'
const MAX_READABLE_KEY_LENGTH = 200

/**
 * Where values live: the keys of one namespace of the client, the tags that all of its values carry,
 * and how they are written. Signs that no name contains keep the parts of a stored name apart.
 */
export class ValueSpace {
  /** Names and versions from the outermost on, as `users@2/drafts`; `''` for `app.cache` itself. */
  readonly id: string
  readonly ttl: number | undefined
  readonly codec: Codec
  readonly lossy: boolean
  /** Of the application: what sealing keys are bound to. */
  readonly #scope: string
  /** With keys of its own, or those of a namespace around it. */
  readonly sealing: Sealing | undefined
  /** Undefined: as the plugin, or a namespace around it. */
  readonly packing: Packing | false | undefined
  /** What all stored names begin with: `d`, or `n:` and the id. */
  readonly group: string
  /** Encoded: this namespace, and those around it. */
  readonly tags: readonly string[]
  /** In front of the keys that can be read in a stored name, and of the digests of longer ones. */
  readonly readablePrefix: string
  readonly digestPrefix: string

  private constructor(
    id: string,
    tags: readonly string[],
    parts: Pick<ValueSpace, 'ttl' | 'codec' | 'lossy' | 'sealing' | 'packing'> & { scope: string },
  ) {
    this.id = id
    this.tags = tags
    this.ttl = parts.ttl
    this.codec = parts.codec
    this.lossy = parts.lossy
    this.sealing = parts.sealing
    this.packing = parts.packing
    this.#scope = parts.scope
    this.group = id === '' ? 'd' : `n:${id}`
    this.readablePrefix = `${this.group}:`
    this.digestPrefix = `${this.group}#`
  }

  static root(defaultTtl: Duration | undefined, scope = ''): ValueSpace {
    const ttl = seconds(defaultTtl)
    const formats = { sealing: undefined, packing: undefined }
    const base = { ttl, codec: jsonCodec, lossy: false, ...formats, scope }
    return new ValueSpace('', [], base)
  }

  inner(name: string, options: NamespaceOptions = {}): ValueSpace {
    const where = `namespace '${name}'`
    checkNames(where, options, KNOWN_OPTIONS)
    const { ttl, serializer, version, lossy, encryption, compression } = options
    const keys = encryption === undefined ? undefined : checkKeys(where, encryption)
    checkPart(`the name of ${where}`, name)
    if (version !== undefined) checkPart(`${where}: version`, String(version))
    // What cannot be read here was not invalidated from here either, so it is another namespace.
    const mark = keys === undefined ? '' : SEALED_MARK
    const part = (version === undefined ? name : `${name}@${version}`) + mark
    if (this.tags.length >= MAX_DEPTH) {
      throw new InvalidArgumentError(`${where} is nested too deeply; ${MAX_DEPTH} is the most`)
    }
    const id = this.id === '' ? part : `${this.id}/${part}`
    return new ValueSpace(id, [...this.tags, encodeTag('space', id)], {
      ttl: ttl === undefined ? this.ttl : checkTtl(where, ttl),
      codec: serializer === undefined ? this.codec : codecOf(checkSerializer(where, serializer)),
      lossy: checkFlag(where, 'lossy', lossy) ?? this.lossy,
      sealing: keys === undefined ? this.sealing : new Sealing(`${this.#scope}#n:${id}`, keys),
      packing: compression === undefined ? this.packing : checkCompression(where, compression),
      scope: this.#scope,
    })
  }

  /** The name that a key is stored under. */
  nameOf(key: string): string {
    if (typeof key !== 'string' || key === '' || !key.isWellFormed()) {
      throw new InvalidArgumentError('a key must be a non-empty, well-formed string')
    }
    return isReadable(key) ? this.readablePrefix + key : this.digestPrefix + digest(key)
  }

  /** The tag that every value under the key carries; where it is sealed, one for each secret. */
  tagsOf(key: string): string[] {
    const tag = this.id === '' ? encodeTag('key', key) : encodeTag('inner', `${this.id}:${key}`)
    return this.sealing?.tagNames(tag).map((name) => `n:~${name}`) ?? [tag]
  }

  /** What an entry has to carry so that `keyOf` can tell its key. */
  nameIn(key: string): Pick<StoredEntry, 'name'> | undefined {
    return isReadable(key) ? undefined : { name: key }
  }

  /** The key of what is stored under a name; undefined when it is none of this namespace. */
  keyOf(stored: string, entry: StoredEntry): string | undefined {
    if (stored.startsWith(this.readablePrefix)) return stored.slice(this.readablePrefix.length)
    const { name } = entry
    return name !== undefined && stored === this.digestPrefix + digest(name) ? name : undefined
  }
}

function isReadable(key: string): boolean {
  return key.length <= MAX_READABLE_KEY_LENGTH
}

/** What is no object, and unknown names, are mistakes, and would do nothing. */
export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  if (options === null || typeof options !== 'object' || Array.isArray(options)) {
    throw new InvalidArgumentError(
      `${where}: options must be an object; known are ${known.join(', ')}`,
    )
  }
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    throw new InvalidArgumentError(
      `${where}: '${name}' is not an option; known are ${known.join(', ')}`,
    )
  }
}

export function checkTtl(where: string, ttl: unknown, name = 'ttl'): number {
  const length = seconds(ttl)
  if (length !== undefined) return length
  throw new InvalidArgumentError(`the ${name} of ${where} must be ${DURATION_HELP}`)
}

export function checkFlag(where: string, name: string, value: unknown): boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return value
  throw new InvalidArgumentError(`${where}: ${name} must be true or false`)
}

function checkKeys(where: string, encryption: unknown): readonly EncryptionKey[] {
  const keys = readKeys(encryption)
  if (!('path' in keys)) return keys
  throw new InvalidArgumentError(`${where}: encryption${keys.path} must be ${keys.expected}`)
}

function checkCompression(where: string, compression: unknown): Packing | false {
  const packing = readCompression(compression)
  if (!packing || !('path' in packing)) return packing
  throw new InvalidArgumentError(`${where}: compression${packing.path} must be ${packing.expected}`)
}

function checkPart(what: string, part: unknown): void {
  if (typeof part === 'string' && NAME.test(part)) return
  throw new InvalidArgumentError(
    `${what} must be 1 to 64 letters, digits and . _ -, got '${String(part)}'`,
  )
}

function checkSerializer(where: string, serializer: unknown): Serializer {
  const { encode, decode } = Object(serializer) as Record<string, unknown>
  if (typeof encode === 'function' && typeof decode === 'function') return serializer as Serializer
  throw new InvalidArgumentError(`${where}: serializer must be an object with encode and decode`)
}

/** From here on what the space stores is written as it says. */
export function useFormat({ id, sealing, packing }: ValueSpace, frames: EntryFrames): void {
  if (packing !== undefined) frames.setOwn(id, { packing })
  if (sealing === undefined) return
  const known = frames.ownOf(id)?.sealing
  if (known !== undefined && !known.equals(sealing)) {
    throw new InvalidArgumentError(`namespace '${id}' was opened with other keys before`)
  }
  if (known === undefined && !frames.setOwn(id, { sealing })) {
    throw new InvalidArgumentError('there are too many namespaces with keys of their own')
  }
}
