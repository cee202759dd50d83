// The metrics as Prometheus reads them, with both clients; what dashboard and alerts ask for exists.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'
import * as promClient from 'prom-client'
import * as successor from '@prometheus-io/client'
import { parse } from 'yaml'

import responseCache from '../../src/index.ts'
import { type MetricsOptions, registerMetrics } from '../../src/metrics.ts'
import { overRedis } from '../support/tiers.ts'

const CLIENTS = { 'prom-client': promClient, '@prometheus-io/client': successor }
const docs = join(import.meta.dirname, '../../../docs')

interface Sample {
  name: string
  labels: Record<string, string>
  value: number
}

/** The text format, strictly: every sample belongs to a family that was announced before it. */
function parseMetrics(text: string): { samples: Sample[]; types: Map<string, string> } {
  const types = new Map<string, string>()
  const samples: Sample[] = []
  for (const line of text.split('\n')) {
    if (line === '' || line === '# EOF' || line.startsWith('# HELP ')) continue
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    if (type !== null) {
      assert.ok(!types.has(type[1]!), `${type[1]} is announced once`)
      types.set(type[1]!, type[2]!)
      continue
    }
    const [, name, list = '', value] = /^([a-z_:]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    assert.ok(name !== undefined && Number.isFinite(Number(value)), `a sample: ${line}`)
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count|total)$/, '')
    assert.ok(types.has(family), `${name} was announced`)
    const labels = [...list.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [
      key,
      text,
    ])
    samples.push({ name, labels: Object.fromEntries(labels), value: Number(value) })
  }
  return { samples, types }
}

async function startApp(t: TestContext): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, { ...(await overRedis()), defaults: { ttl: '1h' } })
  await app.register(responseCache, { decorateAs: 'pages', defaults: { ttl: '1h' } })
  app.get('/a/:id', { config: { cache: true } }, () => 'für')
  app.get('/private', { config: { cache: true } }, (_request, reply) =>
    reply.header('cache-control', 'private').send('b'),
  )
  app.get('/page', { config: { pages: true } as object }, () => 'page')
  await app.ready()
  for (const url of ['/a/1', '/a/1', '/a/2', '/private', '/page', '/page', '/page'])
    await app.inject(url)
  await app.inject({ url: '/a/1', headers: { cookie: 'sid=1' } })
  await app.cache.set('value', 1)
  return app
}

const cachesOf = (app: FastifyInstance): MetricsOptions['caches'] => ({
  main: app.cache,
  pages: (app as unknown as { pages: FastifyInstance['cache'] }).pages,
})

for (const [name, client] of Object.entries(CLIENTS)) {
  test(`${name} tells what stats() tells, by route and by registration`, async (t) => {
    const app = await startApp(t)
    const registry = new client.Registry()
    registerMetrics(client, { caches: cachesOf(app), registry })
    const { samples, types } = parseMetrics(await registry.metrics())
    const value = (metric: string, labels: Record<string, string>): number | undefined =>
      samples.find(
        (sample) =>
          sample.name === `response_cache_${metric}` &&
          Object.entries(labels).every(([key, text]) => sample.labels[key] === text),
      )?.value
    const a = { cache: 'main', route: '/a/:id' }
    assert.equal(value('requests_total', { ...a, result: 'hit' }), 1)
    assert.equal(value('requests_total', { ...a, result: 'miss' }), 2)
    assert.equal(value('requests_total', { ...a, result: 'bypass' }), 1)
    assert.equal(value('bypasses_total', { ...a, reason: 'cookie' }), 1)
    assert.equal(value('hits_total', { ...a, tier: 'memory' }), 1)
    assert.equal(value('misses_total', { ...a, reason: 'uri-miss' }), 2)
    assert.equal(value('served_bytes_total', a), 4)
    assert.equal(value('not_stored_total', { route: '/private', reason: 'private' }), 1)
    assert.equal(value('requests_total', { cache: 'pages', route: '/page', result: 'hit' }), 2)
    assert.equal(value('value_operations_total', { cache: 'main', operation: 'set' }), 1)
    assert.equal(value('breaker_state', { cache: 'main', state: 'closed' }), 1)
    assert.equal(value('breaker_state', { cache: 'pages', state: 'closed' }), undefined)
    assert.equal(value('latency_seconds_count', { cache: 'main', path: 'miss' }), 3)
    assert.equal(value('latency_seconds_bucket', { path: 'miss', le: '+Inf' }), 3)
    assert.equal(value('age_at_hit_seconds_bucket', { cache: 'pages', le: '1' }), 2)
    assert.equal(types.get('response_cache_latency_seconds'), 'histogram')
    assert.ok(samples.every(({ labels }) => !Object.values(labels).includes('/a/1')))
    for (const [family, type] of types) {
      assert.equal(type === 'counter', family.endsWith('_total'), `${family} is a ${type}`)
    }
  })

  test(`${name} collects anew each time, and forgets what is removed`, async (t) => {
    const app = await startApp(t)
    const registry = new client.Registry()
    const remove = registerMetrics(client, {
      ...{ caches: app.cache, registry, prefix: 'shop_', routeHistograms: true },
    })
    const hits = async (): Promise<number | undefined> =>
      parseMetrics(await registry.metrics()).samples.find(
        ({ name: metric, labels }) =>
          metric === 'shop_requests_total' && labels['result'] === 'hit',
      )?.value
    assert.equal(await hits(), 1)
    await app.inject('/a/1')
    assert.equal(await hits(), 2)
    assert.equal(await hits(), 2)
    const { samples } = parseMetrics(await registry.metrics())
    const buckets = samples.filter(
      ({ name: metric, labels }) =>
        metric === 'shop_latency_seconds_bucket' &&
        labels['route'] === '/a/:id' &&
        labels['path'] === 'miss',
    )
    assert.deepEqual(
      buckets.map(({ value }) => value),
      buckets.map(({ value }) => value).sort((one, other) => one - other),
    )
    assert.equal(buckets.at(-1)?.value, 2)
    assert.equal(buckets[0]?.labels['cache'], 'cache')
    remove()
    assert.equal((await registry.metrics()).trim(), '')
  })
}

test('the OpenMetrics format has them under the same names', async (t) => {
  const app = await startApp(t)
  const registry = new promClient.Registry<promClient.OpenMetricsContentType>()
  registry.setContentType(promClient.openMetricsContentType)
  registerMetrics(promClient, { caches: app.cache, registry })
  const text = await registry.metrics()
  const { samples, types } = parseMetrics(text)
  assert.match(text, /# EOF\n$/)
  assert.equal(types.get('response_cache_requests'), 'counter')
  assert.ok(samples.some(({ name }) => name === 'response_cache_requests_total'))
  assert.ok(samples.some(({ name }) => name === 'response_cache_latency_seconds_bucket'))
})

test('one collection is made of one look at the statistics', async (t) => {
  const app = await startApp(t)
  const registry = new promClient.Registry()
  const stats = t.mock.method(app.cache, 'stats')
  registerMetrics(promClient, { caches: app.cache, registry })
  assert.equal(stats.mock.callCount(), 0)
  await registry.metrics()
  assert.equal(stats.mock.callCount(), 1)
})

/** Names of metrics in expressions, and the labels that are asked of each. */
function namesIn(expressions: readonly string[]): Set<string> {
  return new Set(expressions.flatMap((text) => text.match(/\bresponse_cache_\w+/g) ?? []))
}

async function namesTold(t: TestContext): Promise<Map<string, Set<string>>> {
  const app = await startApp(t)
  app.cache['stats'] = withTrouble(app.cache.stats.bind(app.cache))
  const registry = new promClient.Registry()
  registerMetrics(promClient, { caches: app.cache, registry })
  const told = new Map<string, Set<string>>()
  for (const { name, labels } of parseMetrics(await registry.metrics()).samples) {
    const known = told.get(name) ?? new Set<string>()
    for (const label in labels) known.add(label)
    told.set(name, known)
  }
  return told
}

/** Nothing has failed here nor is audited, and a counter that counted nothing has no sample. */
function withTrouble(stats: FastifyInstance['cache']['stats']): typeof stats {
  const audit = { checked: 1, same: 1, different: 0, failed: 0, skipped: {}, findings: [] }
  return () => ({ ...stats(), failures: { get: 1 }, audit })
}

function assertAnswered(expressions: readonly string[], told: Map<string, Set<string>>): void {
  for (const name of namesIn(expressions)) assert.ok(told.has(name), `${name} exists`)
  for (const text of expressions) {
    const labels = new Set([...namesIn([text])].flatMap((name) => [...told.get(name)!]))
    labels.add('job').add('instance')
    const asked = [
      ...[...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(/, */)),
      ...[...text.matchAll(/[{,] *(\w+)(?:=~|!~|!=|=)"/g)].map(([, label]) => label!),
    ]
    for (const label of asked) assert.ok(labels.has(label), `${label} in ${text}`)
  }
}

test('every metric and label that the dashboard asks for exists', async (t) => {
  const text = readFileSync(join(docs, 'grafana-dashboard.json'), 'utf8')
  const dashboard = JSON.parse(text) as {
    panels: { title: string; targets?: { expr: string }[] }[]
  }
  const expressions = dashboard.panels.flatMap(
    ({ targets }) => targets?.map(({ expr }) => expr) ?? [],
  )
  assert.ok(expressions.length > 10)
  assertAnswered(
    [...expressions, ...(text.match(/label_values\([^)]*\)/g) ?? [])],
    await namesTold(t),
  )
})

test('every metric and label that the alerts ask for exists', async (t) => {
  const { groups } = parse(readFileSync(join(docs, 'alerts.yml'), 'utf8')) as {
    groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[]
  }
  const rules = groups.flatMap((group) => group.rules)
  assert.ok(rules.length > 5)
  for (const { alert, annotations } of rules) assert.ok(annotations.summary, alert)
  assertAnswered(
    rules.map(({ expr }) => expr),
    await namesTold(t),
  )
})

test('what cannot work is refused with the reason', async (t) => {
  const app = await startApp(t)
  const registry = new promClient.Registry()
  const refused: [unknown, unknown, RegExp][] = [
    [{}, { caches: app.cache }, /no Counter/],
    [promClient, undefined, /caches must be/],
    [promClient, { caches: {} }, /caches must be/],
    [promClient, { caches: { a: {} } }, /caches\.a is no cache client/],
    [promClient, { caches: app.cache, prefx: 'a' }, /unknown option 'prefx'/],
    [promClient, { caches: app.cache, prefix: '1 ' }, /prefix must be/],
    [promClient, { caches: app.cache, registry: {} }, /registry must be/],
    [promClient, { caches: app.cache, registry, routeHistograms: 1 }, /routeHistograms must be/],
  ]
  for (const [client, options, message] of refused) {
    assert.throws(() => registerMetrics(client as typeof promClient, options as MetricsOptions), {
      code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
      message,
    })
  }
  assert.deepEqual(await registry.getMetricsAsJSON(), [])
})
