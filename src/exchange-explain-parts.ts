import type { FastifyRequest } from 'fastify'

import type { Auditor } from './audit.ts'
import type { Exchange } from './exchange.ts'
import { targetTags, varyValues } from './exchange-target.ts'
import type {
  ExplainedAudit,
  ExplainedDimension,
  ExplainedFreshness,
  ExplainedKey,
  ExplainedPolicy,
  ExplainedTag,
} from './explanation.ts'
import { splitTarget } from './http/cache-key.ts'
import { digest } from './http/encoding.ts'
import { currentAge } from './http/freshness.ts'
import { isPlain } from './http/query.ts'
import { selectingValue } from './http/vary.ts'
import { remainingSeconds } from './inspection.ts'
import { decodeTag, plainTags } from './invalidation/tags.ts'
import { pointerTo } from './json-difference.ts'
import type { Policy } from './policy.ts'
import type { StoredEntry } from './stored-response.ts'

export function explainPolicy(policy: Policy, audit: Auditor | undefined): ExplainedPolicy {
  const { vary, http } = policy
  const named = ['bypass', 'storable', 'ttl', 'tags'] as const
  return {
    ttl: typeof policy.ttl === 'function' ? 'function' : policy.ttl,
    statuses: Object.fromEntries(policy.statuses),
    public: policy.public,
    vary: {
      headers: [...vary.headers],
      cookies: [...vary.cookies],
      query: vary.query,
      by: vary.by !== undefined,
      normalize: [...(vary.normalizers?.keys() ?? [])],
    },
    consistency: policy.strict ? 'strict' : 'eventual',
    staleWhileRevalidate: http.rules.staleWhileRevalidate ?? 0,
    staleIfError: http.rules.staleIfError ?? 0,
    settle: policy.settleMs / 1000,
    coalesce: policy.coalesce,
    fleet: policy.fleet,
    earlyRefresh: policy.earlyRefresh,
    ttlJitter: policy.ttlJitter,
    requestDirectives: http.requestDirectives,
    etag: http.etag,
    ranges: http.ranges,
    maxBytes: policy.maxBytes,
    audit: policy.audited && explainAudit(audit!),
    tags: typeof policy.tags === 'function' ? 'function' : plainTags(policy.encodedTags),
    functions: [
      ...named.filter((name) => typeof policy[name] === 'function'),
      ...(vary.by === undefined ? [] : ['vary.by']),
    ],
  }
}

function explainAudit({ options }: Auditor): ExplainedAudit {
  const { sample, maxPerSecond, recheckMs, ignored } = options
  const ignore = { headers: [...ignored.fields], pointers: ignored.pointers.map(pointerTo) }
  return { sample, maxPerSecond, recheckMs, ignore }
}

export function explainKey(exchange: Exchange, request: FastifyRequest): ExplainedKey {
  const { host, protocol, url, originalUrl } = exchange.target!
  return {
    name: exchange.key,
    namespace: exchange.cache.namespace,
    host,
    protocol,
    path: splitTarget(url).path,
    originalUrl: originalUrl === url ? undefined : originalUrl,
    query: explainQuery(exchange.policy, request),
    vary: [...ownDimensions(exchange, request), ...nominatedDimensions(exchange, request)],
  }
}

function explainQuery({ counts }: Policy, { query, raw }: FastifyRequest): ExplainedKey['query'] {
  const { rawQuery } = splitTarget(raw.url!)
  if (query === null || typeof query !== 'object' || !isPlain(query)) {
    return { counted: rawQuery === '' ? [] : [rawQuery], ignored: [], asText: true }
  }
  const counted: string[] = []
  const ignored: string[] = []
  for (const [name, value] of Object.entries(query)) {
    if (counts !== undefined && !counts(name)) ignored.push(name)
    else counted.push(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  }
  return { counted: counted.sort(), ignored: ignored.sort(), asText: false }
}

/** In the order in which `varyValues` has them. */
function ownDimensions(exchange: Exchange, request: FastifyRequest): ExplainedDimension[] {
  const { headers, cookies, by } = exchange.policy.vary
  const identity = by?.(request)
  const values = varyValues(exchange, request.headers, identity)
  const named: Pick<ExplainedDimension, 'from' | 'name'>[] = [
    ...headers.map((name) => ({ from: 'headers' as const, name })),
    ...cookies.map((name) => ({ from: 'cookies' as const, name })),
    ...(by === undefined ? [] : [{ from: 'by' as const, name: 'identity' }]),
  ]
  return named.map(({ from, name }, at) => ({
    from,
    name,
    value: shown(exchange, { from, name }, values[at]),
  }))
}

function nominatedDimensions(exchange: Exchange, request: FastifyRequest): ExplainedDimension[] {
  const { normalizers } = exchange.policy.vary
  return (exchange.variants?.names ?? []).map((name) => {
    const from = 'response'
    const value = selectingValue(name, request.headers, normalizers)
    return { from, name, value: shown(exchange, { from, name }, value) }
  })
}

/** An explanation goes to logs and screens: nothing that lets anyone in. */
function shown(
  { cache }: Exchange,
  { from, name }: Pick<ExplainedDimension, 'from' | 'name'>,
  value: string | undefined,
): string | undefined {
  const isSecret = from === 'cookies' || from === 'by' || cache.credentialFields.includes(name)
  if (value === undefined || !isSecret) return value
  return `sha256 ${digest(value).slice(0, 8)}…, ${value.length} characters`
}

export function explainFreshness(entry: StoredEntry, now: number): ExplainedFreshness {
  const until = (instant: number): number => Math.ceil((instant - now) / 1000)
  return {
    age: currentAge(entry, now),
    ttl: remainingSeconds(entry, now),
    staleWhileRevalidate: until(entry.staleWhileRevalidateUntil),
    staleIfError: until(entry.staleIfErrorUntil),
    kept: until(entry.keepUntil),
    mustRevalidate: entry.mustRevalidate,
  }
}

export function explainTags(
  { cache: { log }, target, policy }: Exchange,
  entry: StoredEntry | undefined,
): ExplainedTag[] {
  const tags = entry?.tags ?? [...targetTags(target!), ...policy.encodedTags]
  return tags.map((tag) => ({
    kind: decodeTag(tag).kind,
    name: decodeTag(tag).name,
    lastInvalidated: log.lastInvalidated(tag),
    verdict: entry === undefined ? 'valid' : log.verdict({ ...entry, tags: [tag] }),
  }))
}
