import type { FastifyRequest } from 'fastify'

import { type Advice, adviceOnBypass, adviceOnForward, adviceOnStoring } from './advice.ts'
import { type Exchange, openExchange, ROUTE } from './exchange.ts'
import { identify } from './exchange-identity.ts'
import { decide, readDemands } from './exchange-decide.ts'
import {
  explainFreshness,
  explainKey,
  explainPolicy,
  explainTags,
} from './exchange-explain-parts.ts'
import { type ExplainTarget, addIdentity, draftOf, unknownOf } from './exchange-explain-target.ts'
import { lookUp, peek } from './exchange-lookup.ts'
import { onlooker } from './exchange-onlooker.ts'
import { isBehind } from './exchange-own-writes.ts'
import { normalizeRequest } from './exchange-variants.ts'
import { type CountedReason, type Decision, type Explanation, textOf } from './explanation.ts'
import type { NotStoredReason } from './http/storability.ts'
import { inspectName } from './inspection.ts'
import type { Policy } from './policy.ts'
import type { ResponseCache } from './response-cache.ts'
import type { Lookup } from './store/tiered-cache.ts'
import type { StoredEntry } from './stored-response.ts'

/** What the request would come to, by the code that requests go through; nothing is run, written or counted. */
export async function explain(cache: ResponseCache, target: ExplainTarget): Promise<Explanation> {
  const draft = draftOf(target)
  const { method, url } = draft
  const unknown = unknownOf(target)
  const request = cache.requests.capture<FastifyRequest>(draft)
  const attached = (request?.routeOptions.config as AttachedConfig | undefined)?.[ROUTE]
  const base = { method, url, route: request?.routeOptions.url, unknown }
  if (request === undefined || attached?.cache !== cache) {
    return finished({ ...base, decision: uncached(request, attached) })
  }
  addIdentity(request, target)
  const { policy } = attached
  const exchange = openExchange(onlooker(cache), policy, request)
  identify(exchange, request)
  if (policy.checksFields && policy.vary.headers.length > 0) {
    unknown.push('what the schema of request fields makes of those in the key')
  }
  const route = { ...base, policy: explainPolicy(policy, cache.audit), ...historyOf(cache, policy) }
  if (exchange.bypass !== undefined) {
    const { bypass: reason } = exchange
    return finished({ ...route, decision: { action: 'bypass', reason, ...adviceOnBypass(reason) } })
  }
  readDemands(exchange, request)
  normalizeRequest(exchange, request)
  const { lookup, decision } = await look(exchange, request)
  const entry = lookup.found?.entry ?? (await unusable(cache, exchange.key))
  const tags = explainTags(exchange, entry)
  if (decision.fwd === 'stale') Object.assign(decision, whyStale(exchange, entry, tags))
  return finished({
    ...route,
    decision,
    key: explainKey(exchange, request),
    stored: await inspectName(cache, exchange.key),
    freshness: entry && explainFreshness(entry, cache.tiers.now()),
    tags,
  })
}

interface AttachedConfig {
  [ROUTE]?: { cache: ResponseCache; policy: Policy }
}

/** The lookup of a request, and the one switch. */
async function look(
  exchange: Exchange,
  request: FastifyRequest,
): Promise<{ lookup: Lookup; decision: Decision }> {
  const { tiers } = exchange.cache
  const lookup = peek(exchange, request, tiers.now()) ?? (await lookUp(exchange, request))
  if (isBehind(exchange)) {
    return { lookup, decision: { action: 'forward', fwd: 'miss', ...adviceOnForward('miss') } }
  }
  const action = decide(exchange, lookup, tiers.now())
  const tier = lookup.found?.tier === 'redis' ? 'redis' : 'memory'
  if (action === 'hit') return { lookup, decision: { action, tier, why: 'it is stored and fresh' } }
  if (action === 'stale') {
    const why = 'it is stale, and within its window: served while it is refreshed'
    return { lookup, decision: { action, tier, why } }
  }
  if (action === 'only-if-cached') {
    const why = 'the client wants nothing that is not stored, and this is not: 504'
    return { lookup, decision: { action, why, change: 'requestDirectives: false' } }
  }
  const { fwd } = exchange
  return { lookup, decision: { action, fwd, ...adviceOnForward(fwd) } }
}

/** What is there and of no use is shown all the same. */
async function unusable({ tiers }: ResponseCache, key: string): Promise<StoredEntry | undefined> {
  const cached = tiers.memory?.peek(key) ?? (await tiers.redis?.get(key))
  return cached?.entry.varies === undefined ? cached?.entry : undefined
}

function whyStale(
  { cache: { log, tiers } }: Exchange,
  entry: StoredEntry | undefined,
  tags: Explanation['tags'],
): Advice {
  if (!log.verified()) {
    return {
      why: 'Redis does not confirm that nothing was invalidated',
      change: 'stats().log and stats().redis tell whether that lasts',
    }
  }
  const culprit = tags.find(({ verdict }) => verdict !== 'valid')
  if (entry !== undefined && entry.epoch !== log.position.epoch) {
    return { why: 'it is from before the log of invalidations began anew' }
  }
  if (culprit !== undefined) {
    const { kind, name, lastInvalidated } = culprit
    return {
      why: `it was invalidated: ${kind} ${name}, ${lastInvalidated === 0 ? 'by a pattern' : `at position ${lastInvalidated} of the log`}`,
      change:
        "invalidations with mode: 'soft' and staleWhileRevalidate, to serve it while it is refreshed",
    }
  }
  if (entry !== undefined && tiers.now() >= entry.freshUntil) {
    return {
      why: 'its lifetime is over, and so is the time in which it may be served stale',
      change: 'a longer ttl, or staleWhileRevalidate',
    }
  }
  return adviceOnForward('stale')
}

function uncached(
  request: FastifyRequest | undefined,
  attached: AttachedConfig[typeof ROUTE],
): Decision {
  const action = 'uncached'
  if (request === undefined || request.is404)
    return { action, why: 'no route takes this request, or the instance is closing' }
  if (attached !== undefined) {
    return { action, why: 'the route is cached by another registration of the plugin' }
  }
  return {
    action,
    why: 'the route has no cache',
    change:
      'config: { cache: { ttl } } on the route, which has to be declared after the plugin has loaded',
  }
}

function historyOf(
  cache: ResponseCache,
  { stats, route }: Policy,
): Pick<Explanation, 'notStored' | 'bypassed' | 'inputs'> {
  return {
    notStored: counted(stats.notStoredByReason, (reason) =>
      adviceOnStoring(reason as NotStoredReason),
    ),
    bypassed: counted(stats.bypassedByReason, adviceOnBypass),
    inputs: [...(cache.inputGuard?.seenOn(route) ?? [])],
  }
}

function counted(
  counts: Readonly<Record<string, number>>,
  adviceOn: (reason: string) => Advice,
): CountedReason[] {
  const reasons: CountedReason[] = []
  for (const [reason, count] of Object.entries(counts)) {
    reasons.push({ reason, count, ...adviceOn(reason) })
  }
  return reasons.sort((a, b) => b.count - a.count)
}

const NOTHING = {
  ...{ policy: undefined, key: undefined, freshness: undefined },
  ...{ stored: [], tags: [], notStored: [], bypassed: [], inputs: [] },
}

function finished(
  told: Omit<Explanation, 'text' | keyof typeof NOTHING> & Partial<Explanation>,
): Explanation {
  const all = { ...NOTHING, ...told }
  return { ...all, text: textOf(all) }
}
