// What the fleet does, as a table on a terminal and as a line in a file.
import { clearScreenDown, moveCursor } from 'node:readline'
import type { WriteStream } from 'node:tty'

import type { Report } from './processes.ts'
import type { Seen, Traffic } from './traffic.ts'

type Row = [name: string, ...cells: string[]]

/** The process that is furthest in the log is as near to its newest record as can be known here. */
export function tableOf(reports: readonly Report[], traffic: Traffic | undefined): string[] {
  const newest = newestOf(reports)
  const rows: Row[] = reports.map(({ pid, stats }) => {
    const seen = traffic?.byProcess.get(pid)
    if (stats === undefined) return [String(pid), '(starts, or is frozen)']
    const { log, redis } = stats
    return [
      String(pid),
      ...[count(stats.hits + stats.collapsed), percent(stats.hitRate)],
      ...staleness(seen),
      redis ? `${stats.stalenessBoundMs} ms` : 'ttl',
      ...(redis ? [count(newest - log.seq), since(log.sinceVerifiedMs)] : ['-', '-']),
      redis?.breaker ?? '-',
      count(stats.pendingInvalidations),
    ]
  })
  const names: Row = [
    ...(['pid', 'hits', 'rate', 'stale', 'stalest', 'bound'] as const),
    ...['behind', 'verified', 'breaker', 'pending'],
  ]
  const widths = names.map((name, at) =>
    Math.max(name.length, ...rows.map((row) => (row.length > 2 ? row[at]!.length : 0))),
  )
  return [names, ...rows].map((row) =>
    row.map((cell, at) => cell.padStart(row.length > 2 || at === 0 ? widths[at]! : 0)).join('  '),
  )
}

/** All of it in one line. */
export function lineOf(
  seconds: number,
  reports: readonly Report[],
  traffic: Traffic | undefined,
): string {
  const known = reports.flatMap(({ stats }) => stats ?? [])
  const sum = (of: (stats: (typeof known)[number]) => number): number =>
    known.reduce((total, stats) => total + of(stats), 0)
  const served = sum((stats) => stats.hits + stats.collapsed)
  const behind = Math.max(0, ...known.map((stats) => newestOf(reports) - stats.log.seq))
  const shared = known.some((stats) => stats.redis !== undefined)
  const { requests, failed, stale, stalestMs } = traffic?.total ?? {
    ...{ requests: served + sum((stats) => stats.misses), failed: 0, stale: 0, stalestMs: 0 },
  }
  return [
    `${seconds.toFixed(0).padStart(4)} s`,
    `${known.length} processes`,
    `${count(requests)} requests, ${failed} failed`,
    `hit rate ${percent(served / Math.max(1, served + sum((stats) => stats.misses)))}`,
    `${count(stale)} stale, stalest ${stalestMs.toFixed(0)} ms`,
    shared ? `at most ${behind} behind` : 'a log for each process',
    `${sum((stats) => stats.pendingInvalidations)} pending`,
  ].join('  ')
}

/** Lines that are drawn again in the same place; notes stay above them. */
export class LiveLines {
  readonly #screen: WriteStream
  #drawn: string[] = []

  constructor(screen: WriteStream) {
    this.#screen = screen
  }

  draw(lines: readonly string[]): void {
    this.#erase()
    // A line that wraps would be two, and only one of them be erased.
    this.#drawn = lines.map((line) => line.slice(0, this.#screen.columns - 1))
    this.#screen.write(this.#drawn.map((line) => `${line}\n`).join(''))
  }

  note(text: string): void {
    const below = this.#drawn
    this.#erase()
    this.#screen.write(`${text}\n`)
    this.draw(below)
  }

  #erase(): void {
    moveCursor(this.#screen, 0, -this.#drawn.length)
    clearScreenDown(this.#screen)
    this.#drawn = []
  }
}

function newestOf(reports: readonly Report[]): number {
  return Math.max(0, ...reports.map(({ stats }) => stats?.log.seq ?? 0))
}

function staleness(seen: Seen | undefined): [string, string] {
  if (seen === undefined) return ['-', '-']
  return [count(seen.stale), `${seen.stalestMs.toFixed(0)} ms`]
}

function since(ms: number | undefined): string {
  return ms === undefined ? 'no' : `${ms.toFixed(0)} ms`
}

function count(value: number): string {
  return value.toLocaleString('en')
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}
