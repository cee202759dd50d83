import { MAX_HEAD_BYTES } from '../frame-head.ts'
import { unpack } from '../frame-packing.ts'
import { type RedisScript, redisScript, runScript } from '../redis-script.ts'
import {
  type CheckedFrame,
  PRELUDE,
  type StoredEntry,
  bodyBytes,
  checkFrame,
  readEntry,
  rereadEntry,
} from '../stored-response.ts'
import { Cached, type EntryNotes } from './cached.ts'
import { EntryFrames } from './entry-frames.ts'
import { FAILED, type RedisClient, type RedisGuard, type SoftDeadline } from './redis-guard.ts'

/**
 * Compare and set on the entry's own key. KEYS[1]: the entry. ARGV: frame, ttl in milliseconds,
 * epoch, seq. A slow writer must not replace what was computed after a later invalidation, so the
 * frame's epoch and seq stand where this script can read them. Anything else at the key is replaced.
 */
const SET_IF_NEWER: RedisScript = redisScript(`
local head = redis.pcall('GETRANGE', KEYS[1], 12, 43)
if type(head) == 'string' and #head == 32 and head:sub(1, 16) == ARGV[3] then
  local seq = tonumber(head:sub(17))
  if seq and seq > tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`)

/**
 * KEYS[1]: the entry. ARGV: the prelude of the frame to be replaced, a frame, ttl in milliseconds.
 * Checksum, position and lengths are in the prelude: late or twice it replaces nothing else.
 */
const REPLACE: RedisScript = redisScript(`
if redis.pcall('GETRANGE', KEYS[1], 0, ${PRELUDE - 1}) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

const MAX_REPLACE_ATTEMPTS = 3

/** The entry that was read last under a key, without its body. */
interface Known {
  checksum: number
  length: number
  entry: StoredEntry
  notes: EntryNotes
}

interface Write {
  readonly key: string
  readonly entry: StoredEntry
  readonly ttlMs: number
  readonly isNew: boolean
}

/** Keys of which the last head is remembered, and how long such a head may be. */
const MAX_KNOWN = 512
const MAX_KNOWN_HEAD = 4096

/** Frames on their way to Redis, all together. */
const MAX_WRITING_BYTES = 32 * 1024 * 1024

/** The shared tier: one key per entry, spread over all slots, always with a ttl. */
export class RedisStore {
  readonly #guard: RedisGuard
  readonly frames: EntryFrames
  readonly #onDamaged: () => void
  /** A hot entry is read again and again: its head is parsed and rendered once. */
  readonly #known = new Map<string, Known>()
  /** What is being packed: whoever asks gets it, as other commands would find what was sent. */
  readonly #underWay = new Map<string, { entry: StoredEntry; sent: Promise<unknown> }>()
  #maxFrameBytes = MAX_HEAD_BYTES
  /** Of frames that the client keeps, as Redis has not answered. */
  #writingBytes = 0

  constructor(
    guard: RedisGuard,
    namespace: string,
    onDamaged: () => void,
    frames: EntryFrames = new EntryFrames({ namespace }),
  ) {
    this.#guard = guard
    this.frames = frames
    this.#onDamaged = onDamaged
  }

  /** Bodies up to this size are written and read; of anything larger no more than that is read. */
  acceptBodies(maxBytes: number): void {
    this.#maxFrameBytes = Math.max(this.#maxFrameBytes, maxBytes + MAX_HEAD_BYTES)
  }

  /** One round trip; undefined when there is nothing usable or Redis is no help. Never rejects. */
  get(key: string): Promise<Cached | undefined> {
    return new Promise((resolve) => this.read(key, resolve))
  }

  /** The same for a callback, which is called in the asynchronous context of nobody. */
  read(key: string, done: (cached: Cached | undefined) => void, soft?: SoftDeadline): void {
    const underWay = this.#underWay.get(key)
    if (underWay !== undefined) return done(new Cached(underWay.entry, 'redis'))
    const name = this.frames.nameOf(key)
    this.#guard.ask('get', {
      run: (client) => this.#fetch(client, name),
      done: (bytes) => {
        if (bytes === FAILED) done(undefined)
        else this.#decode({ key, name }, bytes, done)
      },
      soft,
    })
  }

  /**
   * Not GET: who knows what stands at the key, and how much of it. One byte more than there may be
   * tells that it is too much; nothing is as good as empty.
   */
  #fetch(client: RedisClient, name: string): Promise<Buffer> {
    return client.getrangeBuffer(name, 0, this.#maxFrameBytes)
  }

  /**
   * Resolves with whether Redis has it (or something newer). Never rejects. Where nothing is
   * expected, a plain SET NX does; only what is in its place needs to be compared.
   */
  async set(key: string, entry: StoredEntry, ttlMs: number, isNew = false): Promise<boolean> {
    const send = (packed?: Buffer): Promise<boolean> =>
      this.#send({ key, entry, ttlMs, isNew }, packed)
    const packing = this.frames.pack(key, entry)
    // Of two with one position the last is to stay, however long the first takes to pack.
    const before = this.#underWay.get(key)?.sent
    if (packing === undefined && before === undefined) return send()
    let answer: Promise<boolean> | undefined
    const sent = Promise.all([packing, before]).then(([packed]) => {
      answer = send(packed)
    })
    const underWay = { entry, sent }
    this.#underWay.set(key, underWay)
    await sent
    if (this.#underWay.get(key) === underWay) this.#underWay.delete(key)
    return answer!
  }

  async #send({ key, entry, ttlMs, isNew }: Write, packed?: Buffer): Promise<boolean> {
    const name = this.frames.nameOf(key)
    const frame = this.frames.encode(key, name, entry, packed)
    const bytes = Buffer.byteLength(frame)
    // Nobody would read it, nor unpack it.
    if (bytes > this.#maxFrameBytes) return false
    if (packed && bodyBytes(entry.body) > this.#maxFrameBytes) return false
    const ttl = Math.max(1, Math.ceil(ttlMs))
    if (isNew) {
      const answer = await this.#write(bytes, (client) => client.set(name, frame, 'PX', ttl, 'NX'))
      if (answer !== null) return answer !== FAILED
    }
    const answer = await this.#write(bytes, (client) =>
      runScript(client, SET_IF_NEWER, [name], [frame, ttl, entry.epoch, entry.seq]),
    )
    return answer !== FAILED
  }

  /** A frame is held for as long as Redis does not answer, far beyond the deadline of its request. */
  #write(
    bytes: number,
    run: (client: RedisClient) => Promise<unknown>,
  ): Promise<unknown> | typeof FAILED {
    if (this.#writingBytes + bytes > Math.max(MAX_WRITING_BYTES, this.#maxFrameBytes)) {
      this.#guard.report('set', new Error(`${this.#writingBytes} bytes wait to be written`))
      return FAILED
    }
    const end = (): void => {
      this.#writingBytes -= bytes
    }
    return this.#guard.attempt('set', (client) => {
      const answer = run(client)
      this.#writingBytes += bytes
      answer.then(end, end)
      return answer
    })
  }

  /**
   * Puts what `change` makes of the stored entry in its place, unless something else has come there
   * meanwhile: then that is looked at. Resolves with what is stored then; with undefined when there
   * is nothing, `change` makes nothing of it, or Redis is no help. Never rejects.
   */
  async replace(
    key: string,
    now: () => number,
    change: (entry: StoredEntry) => StoredEntry | undefined,
  ): Promise<StoredEntry | undefined> {
    const name = this.frames.nameOf(key)
    await this.#underWay.get(key)?.sent
    for (let attempt = 0; attempt < MAX_REPLACE_ATTEMPTS; attempt++) {
      const bytes = await this.#guard.attempt('get', (client) => this.#fetch(client, name))
      if (bytes === FAILED) return undefined
      const entry = await new Promise<Cached | undefined>((resolve) =>
        this.#decode({ key, name }, bytes, resolve),
      )
      const changed = entry && change(entry.entry)
      if (changed === undefined || changed === entry!.entry) return changed
      const ttl = Math.max(1, Math.ceil(changed.keepUntil - now()))
      const packed = await this.frames.pack(key, changed)
      const frame = this.frames.encode(key, name, changed, packed)
      const prelude = bytes.subarray(0, PRELUDE)
      const answer = await this.#guard.attempt('set', (client) =>
        runScript(client, REPLACE, [name], [prelude, frame, ttl]),
      )
      if (answer === FAILED) return undefined
      if (answer === 1) return changed
    }
    return undefined
  }

  async delete(key: string): Promise<void> {
    // In the order in which it was said.
    await this.#underWay.get(key)?.sent
    await this.#guard.attempt('delete', (client) => client.unlink(this.frames.nameOf(key)))
  }

  #decode(
    { key, name }: { key: string; name: string },
    bytes: Buffer,
    done: (cached: Cached | undefined) => void,
  ): void {
    if (bytes.length === 0) return done(undefined)
    if (bytes.length > this.#maxFrameBytes) return done(this.#damaged())
    const opened = this.frames.open(key, name, bytes)
    // Said by whoever tried to open it.
    if (opened === undefined) return done(undefined)
    const frame = checkFrame(this.frames.checkedNameOf(key), opened)
    if (frame === undefined) return done(this.#damaged())
    if (!frame.isPacked) return done(this.#read(key, frame) ?? this.#damaged())
    void this.#unpack(key, frame, done)
  }

  async #unpack(
    key: string,
    frame: CheckedFrame,
    done: (cached: Cached | undefined) => void,
  ): Promise<void> {
    const body = await unpack(frame.body, this.#maxFrameBytes)
    done((body && this.#read(key, { ...frame, body })) ?? this.#damaged())
  }

  #damaged(): undefined {
    this.#onDamaged()
  }

  #read(key: string, frame: CheckedFrame): Cached | undefined {
    const { checksum } = frame
    const { length } = frame.bytes
    const known = this.#known.get(key)
    if (known?.checksum === checksum && known.length === length) {
      return new Cached(rereadEntry(known.entry, frame), 'redis', known.notes)
    }
    const entry = readEntry(frame)
    if (entry === undefined) return undefined
    const cached = new Cached(entry, 'redis')
    if (frame.bodyAt <= MAX_KNOWN_HEAD) {
      if (this.#known.size >= MAX_KNOWN) this.#known.clear()
      const body = typeof entry.body === 'string' ? '' : entry.body && EMPTY
      const { notes } = cached
      this.#known.set(key, { checksum, length, entry: { ...entry, body }, notes })
    }
    return cached
  }
}

const EMPTY = Buffer.alloc(0)
