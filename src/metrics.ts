import { InvalidArgumentError } from './errors.ts'
import type { Histogram } from './histogram.ts'
import { COUNTERS, type Family, GAUGES, type Labels } from './metrics-families.ts'
import type { Stats } from './stats.ts'
import { LATENCY_PATHS, type RouteStats } from './telemetry.ts'

interface MetricConfiguration {
  name: string
  help: string
  labelNames: string[]
  registers?: never[]
  collect?: () => void
}

/** A module of the shape of prom-client 15 and of its successor, @prometheus-io/client. */
export interface MetricsClient {
  Counter: new (configuration: MetricConfiguration) => {
    reset: () => void
    inc: (labels: Labels, value: number) => void
  }
  Gauge: new (configuration: MetricConfiguration) => {
    reset: () => void
    set: (labels: Labels, value: number) => void
  }
  Histogram: new (configuration: MetricConfiguration & { buckets: number[] }) => {
    reset: () => void
  }
  register: MetricsRegistry
}

export interface MetricsRegistry {
  removeSingleMetric: (name: string) => void
}

/** A cache client: `app.cache`, or what else `decorateAs` calls it. */
export interface MetricsSource {
  stats: () => Stats
}

export interface MetricsOptions {
  /** `app.cache`, or several caches by what the label `cache` says of them; one is called `cache`. */
  caches: MetricsSource | Record<string, MetricsSource>
  /**
   * What every name begins with.
   * @default 'response_cache_'
   */
  prefix?: string
  /**
   * Where the metrics are registered.
   * @default the module's own `register`
   */
  registry?: MetricsRegistry
  /**
   * The histograms with the label `route`: for each route about a hundred series more.
   * @default false
   */
  routeHistograms?: boolean
}

interface Target {
  client: MetricsClient
  prefix: string
  registers: never[]
  caches: [label: string, source: MetricsSource][]
  read: (source: MetricsSource) => Stats
}

/**
 * Registers metrics that tell what `stats()` tells whenever they are collected. Nothing is counted
 * twice for that. Returns what removes them again.
 */
export function registerMetrics(client: MetricsClient, options: MetricsOptions): () => void {
  const { prefix, registry, routeHistograms, caches } = checked(client, options)
  const target: Target = {
    ...{ client, prefix, caches },
    registers: [registry as never],
    read: onceEach(),
  }
  const names = [
    ...COUNTERS.map((family) => registerCounter(target, family)),
    ...GAUGES.map((family) => registerGauge(target, family)),
    ...HISTOGRAMS.map((family) => registerHistogram(target, family, routeHistograms)),
  ]
  return () => {
    for (const name of names) registry.removeSingleMetric(name)
  }
}

/** All metrics of one collection are made of the same statistics. */
function onceEach(): Target['read'] {
  let taken: Map<MetricsSource, Stats> | undefined
  return (source) => {
    if (taken === undefined) {
      taken = new Map()
      queueMicrotask(() => (taken = undefined))
    }
    let stats = taken.get(source)
    if (stats === undefined) taken.set(source, (stats = source.stats()))
    return stats
  }
}

function configuration(
  { prefix, registers }: Target,
  { name, help, labels }: Pick<Family, 'name' | 'help' | 'labels'>,
): MetricConfiguration {
  return { name: prefix + name, help, labelNames: ['cache', ...labels], registers }
}

function eachSample(
  { caches, read }: Target,
  family: Family,
  tell: (labels: Labels, value: number) => void,
): void {
  for (const [cache, source] of caches) {
    for (const [labels, value] of family.samples(read(source))) tell({ cache, ...labels }, value)
  }
}

function registerCounter(target: Target, family: Family): string {
  const config = configuration(target, family)
  const counter = new target.client.Counter({
    ...config,
    collect: () => {
      counter.reset()
      eachSample(target, family, (labels, value) => counter.inc(labels, value))
    },
  })
  return config.name
}

function registerGauge(target: Target, family: Family): string {
  const config = configuration(target, family)
  const gauge = new target.client.Gauge({
    ...config,
    collect: () => {
      gauge.reset()
      eachSample(target, family, (labels, value) => gauge.set(labels, value))
    },
  })
  return config.name
}

interface HistogramFamily {
  readonly name: string
  readonly help: string
  readonly labels: readonly string[]
  readonly read: (stats: RouteStats) => (readonly [Labels, Histogram])[]
}

const HISTOGRAMS: readonly HistogramFamily[] = [
  {
    name: 'age_at_hit_seconds',
    help: 'Age of what hits were answered with.',
    labels: [],
    read: ({ ageAtHit }) => [[{}, ageAtHit]],
  },
  {
    name: 'latency_seconds',
    help: 'From the place of the handler to the answer; of hits in memory one of 16 is measured.',
    labels: ['path'],
    read: ({ latency }) => LATENCY_PATHS.map((path) => [{ path }, latency[path]] as const),
  },
]

/**
 * The module's own histogram would have to be told each value. This one has its place and its
 * name, and answers with what has been counted.
 */
function registerHistogram(target: Target, family: HistogramFamily, byRoute: boolean): string {
  const labels = byRoute ? ['route', ...family.labels] : family.labels
  const config = configuration(target, { ...family, labels })
  const histogram = new target.client.Histogram({ ...config, buckets: [1] })
  const get = (): Promise<object> => {
    // It is the registry that names counters and histograms anew for OpenMetrics.
    const name = (histogram as { name?: string }).name ?? config.name
    const values = target.caches.flatMap(([cache, source]) => {
      const stats = target.read(source)
      const states = byRoute ? Object.entries(stats.routes) : [[undefined, stats] as const]
      return states.flatMap(([route, state]) =>
        family.read(state).flatMap(([own, counted]) => {
          const all = { cache, ...(route === undefined ? {} : { route }), ...own }
          return histogramValues(name, all, counted)
        }),
      )
    })
    return Promise.resolve({
      name,
      help: config.help,
      type: 'histogram',
      values,
      aggregator: 'sum',
    })
  }
  Object.assign(histogram, { get, getForPromString: get })
  return config.name
}

/** Prometheus counts in each bucket what is in those below it as well. */
function histogramValues(name: string, labels: Labels, counted: Histogram): object[] {
  const { bounds, counts, sum, count } = counted
  let upTo = 0
  return [
    ...counts.map((inBucket, bucket) => ({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: String(bounds[bucket] ?? '+Inf') },
      value: (upTo += inBucket),
    })),
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}

const OPTIONS = new Set(['caches', 'prefix', 'registry', 'routeHistograms'])

type Checked = Pick<Target, 'prefix' | 'caches'> & {
  registry: MetricsRegistry
  routeHistograms: boolean
}

function checkClient(client: MetricsClient): void {
  for (const name of ['Counter', 'Gauge', 'Histogram'] as const) {
    if (typeof client?.[name] !== 'function') {
      throw refusal(
        `the first argument has no ${name}; pass the module, as of import 'prom-client'`,
      )
    }
  }
}

function checked(client: MetricsClient, options: MetricsOptions): Checked {
  checkClient(client)
  const unknown = Object.keys(options ?? {}).find((name) => !OPTIONS.has(name))
  if (unknown !== undefined) {
    throw refusal(`unknown option '${unknown}'; there are ${[...OPTIONS].join(', ')}`)
  }
  const given: Partial<MetricsOptions> = options ?? {}
  const { prefix = 'response_cache_', registry = client.register, routeHistograms = false } = given
  if (typeof prefix !== 'string' || !/^[a-z_:][\w:]*$/i.test(prefix)) {
    throw refusal(`prefix must be the beginning of a metric name, got ${JSON.stringify(prefix)}`)
  }
  if (typeof registry?.removeSingleMetric !== 'function') {
    throw refusal("registry must be a Registry of the module, as 'new Registry()'")
  }
  if (typeof routeHistograms !== 'boolean') {
    throw refusal(`routeHistograms must be true or false, got ${JSON.stringify(routeHistograms)}`)
  }
  return { prefix, registry, routeHistograms, caches: cachesOf(options?.caches) }
}

function cachesOf(caches: MetricsOptions['caches'] | undefined): Target['caches'] {
  const single = typeof caches?.stats === 'function'
  const listed = Object.entries(
    (single ? { cache: caches } : (caches ?? {})) as object,
  ) as Target['caches']
  if (listed.length === 0) throw refusal('caches must be app.cache, or caches by name')
  const wrong = listed.find(([, source]) => typeof source?.stats !== 'function')
  if (wrong !== undefined) throw refusal(`caches.${wrong[0]} is no cache client; pass app.cache`)
  return listed
}

function refusal(message: string): Error {
  return new InvalidArgumentError(`registerMetrics: ${message}`)
}
