import type { FastifyReply } from 'fastify'

import { type CacheNotes, type Exchange, type Fill, NOTES } from './exchange.ts'
import { refusesInputs } from './exchange-inputs.ts'
import { lifetimesOf } from './exchange-lifetime.ts'
import { targetTags } from './exchange-target.ts'
import { indexWith, keyOfVariant, latestIndex } from './exchange-variants.ts'
import { groupTags } from './group-tags.ts'
import type { FieldValue } from './http/fields.ts'
import { type FieldReader, type NotStoredReason, privateSign } from './http/storability.ts'
import { nominatedFields, withNominated } from './http/vary.ts'
import { MAX_TAGS } from './invalidation/tags.ts'
import type { Policy } from './policy.ts'
import { type StoredEntry, type VariantIndex, bodyBytes } from './stored-response.ts'

/** An answer that may be stored. */
export interface Storable {
  readonly entry: StoredEntry
  /** What the entry costs the tier in memory, in bytes. */
  readonly size: number
  /** For those who wait, and not to be stored: it may have been made of what was about to change. */
  readonly settles: boolean
  /** Where the answer varies: its own key, and the index that leads to it. */
  readonly variant: { readonly key: string; readonly index: VariantIndex } | undefined
}

/** Whether answers with this status may be stored; 206 is a part, and 304 none at all. */
export function mayStoreStatus(policy: Policy, status: number): boolean {
  return policy.statuses.has(status) || (policy.anyStatus && status !== 206 && status !== 304)
}

/** The entry to store, or the reason why there is none. */
export function judge(
  exchange: Exchange,
  reply: FastifyReply,
  status: number,
  final: FieldReader,
): Storable | NotStoredReason {
  const { policy } = exchange
  const fill = exchange.fill!
  const early = knownBefore(exchange, reply)
  if (early !== undefined) return early
  // A 304 of an etag hook answers this client; what the handler said is still a response.
  if (status !== 304 && !mayStoreStatus(policy, status)) return 'status'
  if (!mayStoreStatus(policy, fill.status)) return 'status'
  if (fill.fields === undefined) return 'fields'
  const { set } = fill.fields
  const own: FieldReader = (name) => {
    for (const pair of set) if (pair[0] === name) return pair[1]
    return undefined
  }
  exchange.variants = latestIndex(exchange)
  const names = variesOn(exchange, own)
  if (names === undefined) return 'vary'
  const origin = fill.requestFields['origin'] as string | undefined
  const sign = privateSign(
    { own, final, keyed: policy.keyedFields, nominated: names, origin },
    policy.ttl === 'headers' ? policy.http : undefined,
  )
  if (sign !== undefined) return sign
  if (exchange.inputs !== undefined && refusesInputs(exchange, names)) return 'input'
  return complete(exchange, reply, final, names)
}

/** What was known before the header section was final. */
function knownBefore(exchange: Exchange, { request }: FastifyReply): NotStoredReason | undefined {
  const fill = exchange.fill!
  if (request.is404) return 'not-found-handler'
  if (fill.failure !== undefined) return fill.failure
  if (exchange.hasToken) return 'csrf-token'
  if (exchange.sawIgnored) return 'query'
  if (request[NOTES]?.skip !== undefined) return 'skipped'
  if (exchange.demands?.noStore) return 'no-store'
  return fill.complete ? undefined : 'incomplete'
}

const NONE: readonly string[] = []

/**
 * The request fields that select this answer among others of its key, beside those that are in the
 * key already; undefined when it answers no other request. Fields that a hook varies on before the
 * handler count, as the handler may have seen them. Origin is what @fastify/cors writes on every
 * response, for fields that are made anew on every hit.
 */
function variesOn(
  { cache, policy, fill, variants }: Exchange,
  own: FieldReader,
): readonly string[] | undefined {
  const known = variants?.names ?? NONE
  const vary = own('vary')
  const hooks = fill!.before['vary']
  if (vary === undefined && hooks === undefined) return known
  const nominated = nominatedFields(vary)
  const early = nominatedFields(hooks)?.filter((name) => name !== 'origin' || fill!.namesOrigin)
  if (nominated === undefined || early === undefined) return undefined
  const open = [...nominated, ...early].filter((name) => !policy.keyedFields.has(name))
  // Promise made to users: what depends on a credential is not shared.
  if (open.some((name) => cache.credentialFields.includes(name))) return undefined
  return open.length === 0 ? known : withNominated(known, open)
}

/** The last questions need the entry itself. */
function complete(
  exchange: Exchange,
  reply: FastifyReply,
  final: FieldReader,
  names: readonly string[],
): Storable | NotStoredReason {
  const { tiers, log } = exchange.cache
  const fill = exchange.fill!
  const notes = reply.request[NOTES]
  const headers = fill.fields!.set
  const life = lifetimesOf(exchange, reply, final, notes?.ttl)
  if (typeof life === 'string') return life
  if (bodyBytes(fill.body) > exchange.policy.maxBytes) return 'too-big'
  const tags = allTags(exchange, notes, final('cache-groups'))
  if (tags === undefined) return 'too-many-tags'
  const { withheld, lifetimes } = life
  // Field by field: spreading would cost more than all the rest.
  const entry: StoredEntry = {
    epoch: fill.fence.epoch,
    seq: fill.fence.seq,
    tags,
    storedAt: lifetimes.storedAt,
    freshUntil: lifetimes.freshUntil,
    staleWhileRevalidateUntil: lifetimes.staleWhileRevalidateUntil,
    staleIfErrorUntil: lifetimes.staleIfErrorUntil,
    keepUntil: lifetimes.keepUntil,
    mustRevalidate: lifetimes.mustRevalidate,
    computeMs: lifetimes.computeMs,
    status: fill.status,
    headers: withheld.length === 0 ? headers : headers.filter(([name]) => !withheld.includes(name)),
    removed: fill.fields!.removed,
    varies: undefined,
    body: ownBody(fill),
  }
  const size = tiers.sizeOf(exchange.key, entry)
  if (!tiers.hasRoom(size)) return 'too-big'
  if (carriesNonce(reply, entry)) return 'nonce'
  // Nothing at all was invalidated while the handler ran: then these tags were not either.
  if (log.version !== fill.knownVersion && !log.allows(entry)) return 'invalidated'
  const settles = isSettling(exchange, entry)
  if (names.length === 0) return { entry, size, settles, variant: undefined }
  const key = keyOfVariant(exchange, reply.request, names)
  const index = indexWith(exchange.variants, names, key, entry.keepUntil)
  return index === undefined
    ? 'too-many-variants'
    : { entry, size, settles, variant: { key, index } }
}

/** Something that it depends on was invalidated within `settle` before the handler started. */
function isSettling({ policy, fill, cache }: Exchange, { epoch, tags }: StoredEntry): boolean {
  return policy.settleMs > 0 && !cache.log.allows({ epoch, seq: fill!.settledSeq, tags })
}

/** Hooks may add tags until the very end; cache groups are tags, too. */
function allTags(
  { target, fill, stale }: Exchange,
  notes: CacheNotes | undefined,
  groups: FieldValue | undefined,
): readonly string[] | undefined {
  let own = fill!.tags
  if (notes?.tags !== undefined || groups !== undefined) {
    own = [...new Set([...own, ...(notes?.tags ?? []), ...groupTags(groups)])]
  }
  if (own.length > MAX_TAGS) return undefined
  const tags = targetTags(target!)
  for (const tag of own) tags.push(tag)
  // A handler that only confirms need not say again by what its answer can be invalidated.
  return fill!.fwdStatus === undefined ? tags : [...new Set([...stale!.entry.tags, ...tags])]
}

/**
 * A copy of our own: the handler may use its buffer again, a pooled one would pin the pool, and a
 * part of a long text would pin the whole of it. What a serializer made was made for this answer.
 */
function ownBody({ body, isSerialized }: Fill): string | Buffer | undefined {
  if (body === undefined) return undefined
  if (typeof body === 'string') return isSerialized ? body.toWellFormed() : ownText(body)
  const buffer = Buffer.allocUnsafeSlow(body.length)
  buffer.set(body)
  return buffer
}

/** Texts are copied through it; it never leaves this file. */
const SCRATCH = Buffer.allocUnsafeSlow(32 * 1024)

function ownText(text: string): string {
  // Three bytes are the most that a code unit can take.
  if (text.length * 3 > SCRATCH.length) return Buffer.from(text).toString()
  return SCRATCH.toString('utf8', 0, SCRATCH.write(text))
}

/** A nonce (of @fastify/helmet) in a page allows scripts for one response only. */
export function carriesNonce(reply: FastifyReply, { body, headers }: StoredEntry): boolean {
  const { cspNonce } = reply as { cspNonce?: unknown }
  if (cspNonce === null || typeof cspNonce !== 'object') return false
  return Object.values(cspNonce).some(
    (nonce) =>
      typeof nonce === 'string' &&
      nonce !== '' &&
      (body?.includes(nonce) || headers.some(([, value]) => String(value).includes(nonce))),
  )
}
