import type { Advice } from './advice.ts'
import type { ForwardReason } from './http/cache-status.ts'
import type { Inspection } from './inspection.ts'
import type { Verdict } from './invalidation/log.ts'

/** What `app.cache.explain()` tells of one request, without sending it. */
export interface Explanation {
  /** The same for people: one line after the other. */
  text: string
  method: string
  /** The request target, without scheme and host. */
  url: string
  /** The route's pattern; undefined where no route takes the request. */
  route: string | undefined
  /** What would be done now. */
  decision: Decision
  /** The route's options as they are in force; undefined on routes that are not cached here. */
  policy: ExplainedPolicy | undefined
  /** Undefined where the request does not use the cache. */
  key: ExplainedKey | undefined
  /** What each tier holds under the key. */
  stored: Inspection[]
  /** What may be done with what would be used; undefined when nothing is stored. */
  freshness: ExplainedFreshness | undefined
  /** Of what is stored; when nothing is, those that any answer of this URL would carry. */
  tags: ExplainedTag[]
  /** Why answers of this route were not stored, in this process since its start: the most frequent first. */
  notStored: CountedReason[]
  /** Why requests of this route went around the cache, likewise. */
  bypassed: CountedReason[]
  /** What the input guard has seen the route's handlers read that its key does not cover. */
  inputs: string[]
  /** What cannot be told without a real request; the decision holds as far as this does not matter. */
  unknown: string[]
}

/** What would be done with the request, and what would change that. */
export interface Decision extends Advice {
  /**
   * `hit`, `stale`: the stored response, fresh or within its window. `forward`: the handler runs.
   * `bypass`: it runs and the cache is not asked. `only-if-cached`: 504. `uncached`: no route, or none
   * of this cache's.
   */
  action: 'hit' | 'stale' | 'forward' | 'bypass' | 'only-if-cached' | 'uncached'
  /** Why the handler has to run, as in Cache-Status. */
  fwd?: ForwardReason
  /** The reason of a bypass, as in Cache-Status. */
  reason?: string
  /** Where the response is. */
  tier?: 'memory' | 'redis'
}

export interface CountedReason extends Advice {
  reason: string
  count: number
}

/** Durations are seconds. */
export interface ExplainedPolicy {
  /** `'function'`: it is made of each answer. */
  ttl: number | 'headers' | 'function' | undefined
  statuses: Record<string, number | true>
  public: boolean
  vary: {
    headers: string[]
    cookies: string[]
    query: { only?: readonly string[]; ignore?: readonly string[] } | undefined
    /** Whether there is a function `vary.by`. */
    by: boolean
    normalize: string[]
  }
  consistency: 'eventual' | 'strict'
  staleWhileRevalidate: number
  staleIfError: number
  settle: number
  /** Milliseconds that a request waits for another's run. */
  coalesce: number | false
  fleet: boolean
  earlyRefresh: number
  ttlJitter: number
  requestDirectives: boolean
  etag: boolean
  ranges: boolean
  maxBytes: number
  /**
   * The staleness audit of this route's hits; `false`: they are not checked, because it is off for the
   * plugin or the route, or the route has `vary.by` or `vary.cookies`.
   */
  audit: ExplainedAudit | false
  tags: string[] | 'function'
  /** Which of the functions that have a say there are. */
  functions: string[]
}

/** The plugin option `audit` with its defaults. */
export interface ExplainedAudit {
  /** The share of fresh hits. */
  sample: number
  maxPerSecond: number
  /** Milliseconds. */
  recheckMs: number
  ignore: { headers: string[]; pointers: string[] }
}

export interface ExplainedKey {
  /** The name under which tiers have it, in Redis after the namespace; of a variant its own. */
  name: string
  namespace: string
  host: string
  protocol: string
  path: string
  /** The target before `rewriteUrl`, where that changed it. */
  originalUrl: string | undefined
  query: {
    /** Names and values in the key. */
    counted: string[]
    /** Left out of it by `vary.query`. */
    ignored: string[]
    /** The whole text counts, because the parsed query cannot be compared. */
    asText: boolean
  }
  vary: ExplainedDimension[]
}

/** One more thing that requests must have in common. */
export interface ExplainedDimension {
  /** `response`: a field that stored responses vary on. */
  from: 'headers' | 'cookies' | 'by' | 'response'
  name: string
  /** As it counts; undefined where the request has none. Of what may be secret a digest and the length. */
  value: string | undefined
}

/** Seconds; negative where it is over. */
export interface ExplainedFreshness {
  age: number
  ttl: number
  /** Until the end of the window, from now. */
  staleWhileRevalidate: number
  staleIfError: number
  /** Until it is removed. */
  kept: number
  mustRevalidate: boolean
}

export interface ExplainedTag {
  kind: string
  name: string
  /** The position of its last invalidation in the log, as this process knows it; 0: none. */
  lastInvalidated: number
  /** What that does to what is stored; `valid`: nothing. */
  verdict: Verdict
}

type Untold = Omit<Explanation, 'text'>

/** Puts it into words. */
export function textOf(told: Untold): string {
  return [
    `${told.method} ${told.url}`,
    ...decisionLines(told.decision),
    ...keyLines(told),
    ...storedLines(told),
    ...tagLines(told.tags),
    ...reasonLines('Answers of this route were not stored', told.notStored),
    ...reasonLines('Requests of this route went around the cache', told.bypassed),
    ...told.inputs.map((name) => `The handler reads ${name}, which the key does not cover`),
    ...told.unknown.map((line) => `Not known: ${line}`),
  ].join('\n')
}

function decisionLines({ action, fwd, reason, tier, why, change }: Decision): string[] {
  const detail = fwd ?? reason ?? tier
  const lines = [`${action}${detail === undefined ? '' : ` (${detail})`}: ${why}`]
  if (change !== undefined) lines.push(`  to change that: ${change}`)
  return lines
}

function keyLines({ route, policy, key }: Untold): string[] {
  const lines = route === undefined ? [] : [`Route ${route}`]
  if (policy !== undefined) lines.push(policyLine(policy))
  if (key === undefined) return lines
  const { counted, ignored, asText } = key.query
  const query = counted.length === 0 ? 'none' : counted.join('&')
  lines.push(
    `Key ${key.name}: namespace ${key.namespace}, ${key.protocol}://${key.host || '(no host)'}${key.path}`,
    `  query in the key: ${query}${asText ? ' (as text)' : ''}`,
  )
  if (ignored.length > 0) lines.push(`  query left out: ${ignored.join(', ')}`)
  for (const { from, name, value } of key.vary) {
    lines.push(`  ${name} (${from}): ${value ?? 'absent'}`)
  }
  return lines
}

function policyLine(policy: ExplainedPolicy): string {
  const parts = [`ttl ${policy.ttl ?? 'none'}`, policy.consistency]
  if (policy.public) parts.push('public')
  for (const name of ['staleWhileRevalidate', 'staleIfError', 'settle'] as const) {
    if (policy[name] > 0) parts.push(`${name} ${policy[name]}`)
  }
  if (policy.audit !== false) parts.push(`audit sample ${policy.audit.sample}`)
  if (policy.functions.length > 0) parts.push(`functions: ${policy.functions.join(', ')}`)
  return `  ${parts.join('; ')}`
}

function storedLines({ stored, freshness, key }: Untold): string[] {
  if (key === undefined) return []
  if (stored.length === 0) return ['Nothing is stored under this key']
  const lines = stored.map(
    ({ tier, state, status, bytes, position }) =>
      `In ${tier}: ${state}, status ${status ?? '-'}, ${bytes} bytes, of position ${position.seq}`,
  )
  if (freshness !== undefined) {
    const { age, ttl, staleWhileRevalidate, staleIfError, kept } = freshness
    lines.push(
      `  age ${age} s, ttl ${ttl} s, may be served stale for ${staleWhileRevalidate} s, ` +
        `for errors ${staleIfError} s, kept ${kept} s`,
    )
  }
  return lines
}

function tagLines(tags: readonly ExplainedTag[]): string[] {
  return tags.map(({ kind, name, lastInvalidated, verdict }) => {
    const never = verdict === 'valid' ? 'never invalidated' : 'invalidated by a pattern'
    const last = lastInvalidated === 0 ? never : `last invalidated at ${lastInvalidated}`
    return `Tag ${kind} ${name}: ${last}${verdict === 'valid' ? '' : `, so it is ${verdict}`}`
  })
}

function reasonLines(title: string, reasons: readonly CountedReason[]): string[] {
  return reasons.map(
    ({ reason, count, why, change }) =>
      `${title}, ${count} times ${reason}: ${why}${change === undefined ? '' : `; ${change}`}`,
  )
}
