import type { Explanation, InvalidateRequest } from '../messages.ts'
import { button, definitions, element, row, scrollBox, table } from './element.ts'
import { NOTHING, formatBytes, formatCount, formatSeconds } from './format.ts'
import { adviceLine } from './reasons-view.ts'
import { proposalFor, readableName } from './tag-name.ts'

/** Puts what shall be invalidated into the form for it. */
export type Propose = (by: InvalidateRequest['by'], value: string) => void

const ACTIONS: Record<Explanation['decision']['action'], { title: string; mood: string }> = {
  hit: { title: 'Hit', mood: 'good' },
  stale: { title: 'Stale hit', mood: 'good' },
  forward: { title: 'Miss', mood: 'run' },
  bypass: { title: 'Bypass', mood: 'around' },
  'only-if-cached': { title: '504, only-if-cached', mood: 'around' },
  uncached: { title: 'Not cached', mood: 'around' },
}

/** Why a request is answered as it is, for people. */
export function explanationView(told: Explanation, propose: Propose): Node[] {
  return [
    decisionView(told),
    ...part('Stored under its key', storedView(told)),
    ...part('Tags', tagsView(told, propose)),
    ...part('Answers of this route that were not stored', reasonsView(told.notStored)),
    ...part('Requests of this route that went around the cache', reasonsView(told.bypassed)),
    ...part('The handler reads, and the key does not cover', listView(told.inputs)),
    ...part('Not known without a real request', listView(told.unknown)),
    ...folded('Age and windows', freshnessView(told)),
    ...folded('Key', keyView(told)),
    ...folded('Policy of the route', policyView(told)),
    ...folded('As text', element('pre', { text: told.text })),
  ]
}

function part(title: string, content: Node | undefined): Node[] {
  return content === undefined ? [] : [element('h3', { text: title }), content]
}

function folded(title: string, content: Node | undefined): Node[] {
  if (content === undefined) return []
  return [element('details', {}, element('summary', { text: title }), content)]
}

/** In few words, for who listens. */
export function verdictOf({ decision }: Explanation): string {
  const detail = decision.fwd ?? decision.reason ?? decision.tier
  const { title } = ACTIONS[decision.action]
  return `${title}${detail === undefined ? '' : ` (${detail})`}: ${decision.why}`
}

function decisionView({ decision, method, url, route }: Explanation): HTMLElement {
  const { title, mood } = ACTIONS[decision.action]
  const detail = decision.fwd ?? decision.reason ?? decision.tier
  const change = decision.change
  return element(
    'div',
    { class: 'decision', 'data-mood': mood },
    element(
      'p',
      { class: 'verdict' },
      element('strong', { text: title }),
      detail === undefined ? undefined : element('code', { text: detail }),
    ),
    element('p', { class: 'because', text: decision.why }),
    change === undefined
      ? undefined
      : element('p', { class: 'because' }, 'To change that: ', element('code', { text: change })),
    element(
      'p',
      { class: 'request' },
      element('code', { text: `${method} ${url}` }),
      ...(route === undefined ? [] : [' of route ', element('code', { text: route })]),
    ),
    route === undefined ? element('p', { text: 'No route takes this request.' }) : undefined,
  )
}

function storedView({ stored, key }: Explanation): Node | undefined {
  if (key === undefined) return undefined
  if (stored.length === 0) return element('p', { class: 'why', text: 'Nothing.' })
  const lines = stored.map(({ tier, state, status, age, ttl, bytes, position }) =>
    row(
      tier,
      element('span', { class: 'state', 'data-state': state, text: state }),
      status === undefined ? NOTHING : String(status),
      formatSeconds(age),
      formatSeconds(ttl),
      formatBytes(bytes),
      formatCount(position.seq),
    ),
  )
  const heads = ['Tier', 'State', 'Status', 'Age', 'TTL left', 'Size', 'Position']
  return scrollBox('Stored', table(heads, lines))
}

function freshnessView({ freshness }: Explanation): Node | undefined {
  if (freshness === undefined) return undefined
  const { age, ttl, staleWhileRevalidate, staleIfError, kept, mustRevalidate } = freshness
  return definitions([
    ['Age', formatSeconds(age)],
    ['TTL left', formatSeconds(ttl)],
    ['Stale while revalidate, until', formatSeconds(staleWhileRevalidate)],
    ['Stale if error, until', formatSeconds(staleIfError)],
    ['Kept for', formatSeconds(kept)],
    ['must-revalidate', mustRevalidate ? 'yes' : ''],
  ])
}

function keyView({ key }: Explanation): Node | undefined {
  if (key === undefined) return undefined
  const { name, namespace, host, protocol, path, originalUrl, query, vary } = key
  const counted = query.counted.join('&')
  return definitions([
    ['Origin', `${protocol}://${host === '' ? '(no host)' : host}`],
    ['Path', path],
    ['Before rewriteUrl', originalUrl],
    ['Query', `${counted === '' ? 'none' : counted}${query.asText ? ' (as text)' : ''}`],
    ['Query left out', query.ignored.join(', ')],
    ...vary.map(
      ({ from, name: field, value }) => [`${field} (${from})`, value ?? 'absent'] as const,
    ),
    ['Namespace', namespace],
    ['Name', element('code', { text: name })],
  ])
}

function tagsView({ tags }: Explanation, propose: Propose): Node | undefined {
  if (tags.length === 0) return undefined
  const lines = tags.map((tag) => {
    const { kind, lastInvalidated, verdict } = tag
    const name = readableName(tag)
    const proposal = proposalFor(tag)
    return row(
      element(
        'span',
        { title: tag.name },
        element('span', { class: 'kind', text: kind }),
        ' ',
        name,
      ),
      lastInvalidated === 0 ? NOTHING : formatCount(lastInvalidated),
      element('span', { class: 'state', 'data-state': verdict, text: verdict }),
      proposal &&
        button('Invalidate …', () => propose(proposal.by, proposal.value), {
          'aria-label': `Invalidate ${kind} ${name}`,
        }),
    )
  })
  return scrollBox('Tags', table(['Tag', 'Last invalidated at', 'What is stored is', ''], lines))
}

function policyView({ policy }: Explanation): Node | undefined {
  if (policy === undefined) return undefined
  const spans = { staleWhileRevalidate: '', staleIfError: '', settle: '' }
  const { ttl, vary, coalesce, fleet, consistency, functions, audit } = policy
  for (const name of Object.keys(spans) as (keyof typeof spans)[]) {
    if (policy[name] > 0) spans[name] = formatSeconds(policy[name])
  }
  const waits =
    coalesce === false ? 'off' : `up to ${coalesce} ms${fleet ? ', over all processes' : ''}`
  return definitions([
    ['ttl', typeof ttl === 'number' ? formatSeconds(ttl) : (ttl ?? 'none')],
    ['public', policy.public ? 'true' : 'false'],
    ['consistency', consistency],
    ['staleWhileRevalidate', spans.staleWhileRevalidate],
    ['staleIfError', spans.staleIfError],
    ['settle', spans.settle],
    ['vary', [...vary.headers, ...vary.cookies, ...(vary.by ? ['by'] : [])].join(', ')],
    ['coalesce', waits],
    ['audit', audit === false ? 'off' : `sample ${audit.sample}`],
    ['functions', functions.join(', ')],
  ])
}

function reasonsView(reasons: Explanation['notStored']): Node | undefined {
  if (reasons.length === 0) return undefined
  const lines = reasons.map(({ reason, count, ...advice }) =>
    element(
      'li',
      {},
      element(
        'p',
        { class: 'reason' },
        element('code', { text: reason }),
        ` ${formatCount(count)} ×`,
      ),
      adviceLine(advice),
    ),
  )
  return element('ul', { class: 'plain' }, ...lines)
}

function listView(texts: readonly string[]): Node | undefined {
  if (texts.length === 0) return undefined
  return element('ul', { class: 'bullets' }, ...texts.map((text) => element('li', { text })))
}
