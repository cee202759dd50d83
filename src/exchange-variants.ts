import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Flight } from './collapser.ts'
import type { Exchange } from './exchange.ts'
import { currentField } from './exchange-fields.ts'
import { serializerName } from './exchange-serializer.ts'
import { RESPONSE_KEY } from './exchange-target.ts'
import { variantKey } from './http/cache-key.ts'
import { selectingParts, selectingValue, withNominated } from './http/vary.ts'
import type { Cached } from './store/cached.ts'
import type { Lookup } from './store/tiered-cache.ts'
import { type StoredEntry, type VariantIndex, plainLifetimes } from './stored-response.ts'

/** Variants of one primary key; a field with more values is no good to cache by. */
const MAX_VARIANTS = 200
const MARK_LENGTH = 8

/**
 * A lookup under the primary key found the index of variants: from here on the key is a variant's.
 * An invalidation does not make the index wrong: each variant is put to the test by itself.
 */
export function selectVariant(
  exchange: Exchange,
  request: FastifyRequest,
  lookup: Lookup | undefined,
): boolean {
  if (lookup?.found === undefined) return false
  const { varies: names, body, keepUntil } = lookup.found.entry
  if (names === undefined || exchange.key !== exchange.primaryKey) return false
  const marks = typeof body === 'string' ? body : ''
  const index = { names, marks, keepUntil: lookup.state === 'fresh' ? keepUntil : 0 }
  goOnWith(exchange, index, keyOfVariant(exchange, request, names))
  return true
}

function goOnWith(exchange: Exchange, index: VariantIndex, key: string): void {
  exchange.variants = index
  exchange.key = key
  // Until something is found under it; those who wait for another never look.
  exchange.fwd = 'vary-miss'
}

export function keyOfVariant(
  { primaryKey, policy, fill, sentFields }: Exchange,
  request: FastifyRequest,
  names: readonly string[],
): string {
  const { normalizers } = policy.vary
  const parts = selectingParts(names, fill?.requestFields ?? request.headers, normalizers)
  // Hooks have seen what a schema took away afterwards.
  if (sentFields) parts.push(...selectingParts(names, sentFields, normalizers))
  return RESPONSE_KEY + variantKey(primaryKey, parts)
}

/**
 * What is known by now: others may have stored variants since this request looked. What leads to
 * them must not be replaced by less.
 */
export function latestIndex({ cache, primaryKey, variants }: Exchange): VariantIndex | undefined {
  const entry = cache.tiers.memory?.get(primaryKey)?.entry
  if (entry?.varies === undefined) return variants
  const names = variants === undefined ? entry.varies : withNominated(entry.varies, variants.names)
  if (names === undefined) return variants
  if (names !== entry.varies) return { names, marks: '', keepUntil: 0 }
  // One that was invalidated is to be made anew.
  const isValid = entry.epoch !== '' && cache.log.allows(entry)
  return { names, marks: entry.body as string, keepUntil: isValid ? entry.keepUntil : 0 }
}

/**
 * The index after a variant with this key was stored, as long as that is to be kept; undefined when
 * there are too many.
 */
export function indexWith(
  known: VariantIndex | undefined,
  names: readonly string[],
  key: string,
  keepUntil: number,
): VariantIndex | undefined {
  const mark = key.slice(-MARK_LENGTH)
  // With other names all keys are others.
  const marks = known?.names === names ? known.marks : ''
  for (let at = 0; at < marks.length; at += MARK_LENGTH) {
    if (!marks.startsWith(mark, at)) continue
    // One that lives on counts those anew that are stored from now on: the others may be gone.
    return known!.keepUntil >= keepUntil ? known : { names, marks: mark, keepUntil }
  }
  if (marks.length >= MAX_VARIANTS * MARK_LENGTH) return undefined
  return { names, marks: marks + mark, keepUntil: Math.max(keepUntil, known?.keepUntil ?? 0) }
}

/** The index as an entry in place of a response; as valid as the variant that it was made for. */
export function indexEntry(
  { names, marks, keepUntil }: VariantIndex,
  variant: StoredEntry,
): StoredEntry {
  return {
    ...variant,
    ...plainLifetimes(variant.storedAt, keepUntil),
    headers: [],
    removed: [],
    varies: names,
    body: marks,
  }
}

/**
 * Whether what a request waited for was of another variant, or made known that there are variants:
 * then it has a key of its own from here on.
 */
export function followsOtherVariant(
  exchange: Exchange,
  request: FastifyRequest,
  flight: Flight,
  cached: Cached | undefined,
): boolean {
  const names = cached === undefined ? flight.variants?.names : cached.variant?.names
  if (names === undefined) return false
  const key = keyOfVariant(exchange, request, names)
  if (cached !== undefined && key === cached.variant!.key) return false
  goOnWith(exchange, flight.variants ?? { names, marks: '', keepUntil: 0 }, key)
  return true
}

/** From here on the handler and all hooks see the reduced values that the key is made of. */
export function normalizeRequest({ policy }: Exchange, request: FastifyRequest): void {
  const { normalizers } = policy.vary
  if (normalizers === undefined) return
  const { headers } = request
  for (const name of normalizers.keys()) {
    // What a schema has made something else of is as it is in the key.
    if (typeof headers[name] !== 'string') continue
    const value = selectingValue(name, headers, normalizers)
    if (value === undefined && headers === request.raw.headers) delete headers[name]
    else headers[name] = value
  }
  // Whoever has assigned the fields sees them as one object over those that came.
  if (headers !== request.raw.headers) request.headers = headers
}

/** What hooks have said of the reply by now, the handler builds on: it is part of the key. */
export function coverHooks(exchange: Exchange, reply: FastifyReply): void {
  const { statusCode } = reply.raw
  const type = currentField(reply, 'content-type')
  const serializer = serializerName(reply)
  if (statusCode === 200 && type === undefined && serializer === undefined) return
  const values = [String(statusCode), type?.toString(), serializer]
  exchange.key = RESPONSE_KEY + variantKey(exchange.key, values)
  exchange.primaryKey = exchange.key
}
