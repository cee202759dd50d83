import type { Tick } from '../messages.ts'

/** Values by size; the counts are those of each bucket, the last one of what is above all bounds. */
export type Histogram = Tick['stats']['latency']['miss']

/** What has come to a histogram; all of it where the counting began anew, or otherwise. */
export function added(later: Histogram, earlier: Histogram): Histogram {
  const isSame = later.counts.length === earlier.counts.length
  const counts = later.counts.map((count, bucket) => count - (earlier.counts[bucket] ?? 0))
  if (!isSame || counts.some((count) => count < 0)) return later
  return {
    bounds: later.bounds,
    counts,
    count: later.count - earlier.count,
    sum: later.sum - earlier.sum,
  }
}

/** Of the same bounds. */
export function together(histograms: readonly Histogram[]): Histogram {
  const [first] = histograms
  const bounds = first?.bounds ?? []
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  const sum = { bounds, counts, count: 0, sum: 0 }
  for (const histogram of histograms) {
    histogram.counts.forEach((count, bucket) => (counts[bucket] = (counts[bucket] ?? 0) + count))
    sum.count += histogram.count
    sum.sum += histogram.sum
  }
  return sum
}

/** What lies in each bucket, 0 to 1 of all. */
export function sharesOf({ counts }: Histogram): number[] {
  const all = counts.reduce((sum, count) => sum + count, 0)
  return counts.map((count) => (all === 0 ? 0 : count / all))
}

/** Buckets on a logarithmic scale have no end of their own: the outer ones get this width. */
const OUTER_FACTOR = 2.5

/** Between which values each bucket lies. */
export function edgesOf(bounds: readonly number[]): number[] {
  if (bounds.length === 0) return []
  return [bounds[0]! / OUTER_FACTOR, ...bounds, bounds.at(-1)! * OUTER_FACTOR]
}

/**
 * The value below which a share of all lies, as far as buckets can tell: evenly spread over the
 * logarithm within one. Infinity: above all bounds; undefined: nothing was counted.
 */
export function quantile({ bounds, counts }: Histogram, share: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0)
  if (all === 0) return undefined
  const edges = edgesOf(bounds)
  const wanted = share * all
  let below = 0
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= wanted) {
      if (bucket === bounds.length) return Infinity
      const [from, to] = [edges[bucket]!, edges[bucket + 1]!]
      const within = Math.max(0, (wanted - below) / count)
      return from * (to / from) ** within
    }
    below += count
  }
  return Infinity
}

export function meanOf({ count, sum }: Histogram): number | undefined {
  return count === 0 ? undefined : sum / count
}

/** The first and the last bucket that any of them has something in; undefined: none has. */
export function occupied(histograms: readonly Histogram[]): [number, number] | undefined {
  const buckets = histograms.flatMap(({ counts }) =>
    counts.flatMap((count, bucket) => (count > 0 ? [bucket] : [])),
  )
  return buckets.length === 0 ? undefined : [Math.min(...buckets), Math.max(...buckets)]
}
