// What the answers were: of the last second, and of all the time.
import { type RecordableHistogram, createHistogram } from 'node:perf_hooks'

import type { Asked } from './mix.ts'

/** What an answer tells of itself. */
export interface Answered {
  status: number
  cacheStatus: string
  milliseconds: number
}

export class Tally {
  requests = 0
  hits = 0
  misses = 0
  /** Around the cache: they are no misses. */
  bypassed = 0
  writes = 0
  notModified = 0
  failed = 0
  /** In microseconds. */
  readonly hitTimes: RecordableHistogram = createHistogram()
  readonly missTimes: RecordableHistogram = createHistogram()

  add({ method }: Asked, { status, cacheStatus, milliseconds }: Answered): void {
    this.requests++
    if (status >= 500) this.failed++
    if (status === 304) this.notModified++
    if (method !== 'GET' && method !== 'HEAD') this.writes++
    else if (/; fwd=bypass/.test(cacheStatus)) this.bypassed++
    else if (/; hit/.test(cacheStatus)) this.#count('hits', 'hitTimes', milliseconds)
    // As stats().hitRate counts: who waited for another's run did not cost one.
    else if (/; collapsed/.test(cacheStatus)) this.hits++
    else if (/; fwd=/.test(cacheStatus)) this.#count('misses', 'missTimes', milliseconds)
  }

  fail(): void {
    this.requests++
    this.failed++
  }

  get hitRate(): number | undefined {
    const asked = this.hits + this.misses
    return asked === 0 ? undefined : this.hits / asked
  }

  #count(name: 'hits' | 'misses', times: 'hitTimes' | 'missTimes', milliseconds: number): void {
    this[name]++
    this[times].record(Math.max(1, Math.round(milliseconds * 1000)))
  }
}

const COLUMNS: readonly (readonly [name: string, cell: (tally: Tally) => string])[] = [
  ['hit rate', ({ hitRate }) => percent(hitRate)],
  ['hit p50', ({ hitTimes }) => timeOf(hitTimes, 50)],
  ['p95', ({ hitTimes }) => timeOf(hitTimes, 95)],
  ['miss p50', ({ missTimes }) => timeOf(missTimes, 50)],
  ['p95', ({ missTimes }) => timeOf(missTimes, 95)],
  ['writes', ({ writes }) => String(writes)],
  ['304', ({ notModified }) => String(notModified)],
  ['bypass', ({ bypassed }) => String(bypassed)],
  ['failed', ({ failed }) => String(failed)],
]
const WIDTH = 10

export const HEAD: string = row('time', 'requests/s', ...COLUMNS.map(([name]) => name))

/** One line of a table below HEAD: `tally` is that of `during` seconds. */
export function lineOf(seconds: number, during: number, tally: Tally): string {
  const perSecond = (tally.requests / Math.max(during, 0.001)).toFixed(0)
  return row(`${seconds.toFixed(0)} s`, perSecond, ...COLUMNS.map(([, cell]) => cell(tally)))
}

export function summaryOf(seconds: number, tally: Tally): string {
  const { requests, hits, misses, bypassed, writes, notModified, failed } = tally
  return [
    '',
    `  ${count(requests)} requests in ${seconds.toFixed(1)} s, ${(requests / seconds).toFixed(0)} per second`,
    `  ${count(hits)} hits, ${count(misses)} misses: hit rate ${percent(tally.hitRate)}`,
    `  hit   p50 ${timeOf(tally.hitTimes, 50)}, p95 ${timeOf(tally.hitTimes, 95)}`,
    `  miss  p50 ${timeOf(tally.missTimes, 50)}, p95 ${timeOf(tally.missTimes, 95)}`,
    `  ${count(writes)} writes, ${count(notModified)} answers 304, ${count(bypassed)} around the cache, ${count(failed)} failed`,
    '',
  ].join('\n')
}

function row(...cells: string[]): string {
  return cells.map((cell, at) => cell.padStart(at === 0 ? 7 : WIDTH)).join(' ')
}

function timeOf(times: RecordableHistogram, share: number): string {
  return times.count === 0 ? '-' : `${(times.percentile(share) / 1000).toFixed(1)} ms`
}

function percent(share: number | undefined): string {
  return share === undefined ? '-' : `${(share * 100).toFixed(0)} %`
}

function count(value: number): string {
  return value.toLocaleString('en')
}
