import type { EncryptionKey } from './sealing.ts'

/** What is written to Redis is sealed with these keys (AES-256-GCM), and its names say nothing. */
export interface EncryptionOptions {
  /**
   * The first one seals, all of them open what is stored, the last one makes the names. To change
   * keys add the new one in front, everywhere, and remove the old one later. 1 to 4.
   */
  keys: readonly EncryptionKey[]
}

const MAX_KEYS = 4
const KEY_ID = /^[A-Za-z0-9_-]{1,16}$/
const MIN_SECRET_LENGTH = 32
/** A random text has far more; of what people type, a word again and again has less. */
const MIN_ENTROPY_BITS = 96

const SECRET_HELP =
  'at least 32 random characters or bytes; this makes a good one: ' +
  `node -p "require('node:crypto').randomBytes(32).toString('base64')"`

/**
 * The keys, copied; or what is wrong with them: where, and what it must be. A secret is never part of
 * that.
 */
export function readKeys(
  encryption: unknown,
): readonly EncryptionKey[] | { readonly path: string; readonly expected: string } {
  if (!isRecord(encryption)) {
    return { path: '', expected: 'an object such as { keys: [{ id, secret }] }' }
  }
  const given = encryption
  const other = Object.keys(given).find((name) => name !== 'keys')
  if (other !== undefined) return { path: `.${other}`, expected: 'left out; known are keys' }
  const { keys } = given
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    return { path: '.keys', expected: `a list of 1 to ${MAX_KEYS} keys such as { id, secret }` }
  }
  const checked: EncryptionKey[] = []
  for (const [at, key] of (keys as unknown[]).entries()) {
    const path = `.keys[${at}]`
    if (!isRecord(key)) return { path, expected: 'an object such as { id, secret }' }
    const { id, secret, ...rest } = key
    const unknown = Object.keys(rest)[0]
    if (unknown !== undefined) {
      return { path: `${path}.${unknown}`, expected: 'left out; known are id, secret' }
    }
    if (typeof id !== 'string' || !KEY_ID.test(id)) {
      return { path: `${path}.id`, expected: '1 to 16 letters, digits, _ and -' }
    }
    if (checked.some((known) => known.id === id)) {
      return { path: `${path}.id`, expected: `another one: '${id}' is taken` }
    }
    if (!isStrong(secret)) return { path: `${path}.secret`, expected: SECRET_HELP }
    checked.push({ id, secret: typeof secret === 'string' ? secret : Buffer.from(secret) })
  }
  return checked
}

function isRecord(given: unknown): given is Record<string, unknown> {
  return given !== null && typeof given === 'object' && !Array.isArray(given)
}

function isStrong(secret: unknown): secret is string | Uint8Array {
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) return false
  if (secret.length < MIN_SECRET_LENGTH) return false
  const text = typeof secret === 'string' ? secret : Buffer.from(secret).toString('latin1')
  return !isRepeated(text) && entropyBits(text) >= MIN_ENTROPY_BITS
}

function isRepeated(text: string): boolean {
  return (text + text).indexOf(text, 1) < text.length
}

/** At the most: as if its characters were in random order. */
function entropyBits(text: string): number {
  const counts = new Map<string, number>()
  for (const sign of text) counts.set(sign, (counts.get(sign) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= count * Math.log2(count / text.length)
  return bits
}
