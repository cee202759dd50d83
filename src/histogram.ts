/** Values counted by size. The bounds are fixed, so that histograms of several can be added up. */
export interface Histogram {
  /** The upper bounds of the buckets, ascending, each with what it counts. */
  readonly bounds: readonly number[]
  /** By bucket, one for each bound and a last one for what is above all; not cumulative. */
  readonly counts: number[]
  count: number
  sum: number
}

/** All of it is there from the beginning: counting allocates nothing. */
export function newHistogram(bounds: readonly number[]): Histogram {
  return { bounds, counts: Array.from({ length: bounds.length + 1 }, () => 0), count: 0, sum: 0 }
}

/** The bucket of a value: the first whose bound is not below it. */
export function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0
  while (bucket < bounds.length && !(value <= bounds[bucket]!)) bucket++
  return bucket
}

export function observe(histogram: Histogram, value: number): void {
  observeIn(histogram, bucketOf(histogram.bounds, value), value)
}

/** The same for a value whose bucket is known already. */
export function observeIn(histogram: Histogram, bucket: number, value: number): void {
  histogram.counts[bucket]!++
  histogram.count++
  histogram.sum += value
}

/** Adds what another of the same bounds has counted. */
export function addHistogram(histogram: Histogram, other: Histogram): void {
  // Most of those of many routes: of tiers that are not there, of what never happened.
  if (other.count === 0) return
  for (let bucket = 0; bucket < other.counts.length; bucket++) {
    histogram.counts[bucket]! += other.counts[bucket]!
  }
  histogram.count += other.count
  histogram.sum += other.sum
}
