import { type Check, NOTHING, keeps } from './check.ts'
import { OURS, type Peer } from './peers.ts'

/** Answers by title of the check, then by name of the peer. */
export type Results = ReadonlyMap<string, ReadonlyMap<string, string>>

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function markdown(checks: readonly Check[], peers: readonly Peer[], of: Results): string {
  const heads = ['', ...peers.map(heading)]
  const rows = checks.map(({ title }) => [
    title,
    ...peers.map(({ name }) => of.get(title)?.get(name) ?? NOTHING),
  ])
  return [row(heads), row(heads.map(() => '---')), ...rows.map(row)].join('\n')
}

/** The columns of the short table. */
const BRIEF = new Set([
  OURS,
  'fastify-lcache',
  'async-cache-dedupe',
  'bentocache',
  'cacheable',
  'cache-manager',
])

/** The short table, then what keeps responses, then what keeps values, then how they were set up. */
export function pages(checks: readonly Check[], peers: readonly Peer[], of: Results): string {
  const brief = peers.filter(({ name }) => BRIEF.has(name))
  const parts = [
    markdown(
      checks.filter((check) => check.brief === true),
      brief,
      of,
    ),
  ]
  for (const kind of ['responses', 'values'] as const) {
    const columns = peers.filter(({ keeps: what, name }) => what === kind || name === OURS)
    const others = columns.filter(({ name }) => name !== OURS)
    const rows = checks.filter(({ means = keeps }) => others.some((peer) => means(peer)))
    parts.push(markdown(rows, columns, of))
  }
  parts.push(setUps(peers))
  return parts.join('\n\n')
}

/** A row for each column of the tables: what is installed for it, and how it was set up. */
export function setUps(peers: readonly Peer[]): string {
  const rows = peers.map(({ name, packages, docs, setUp }) => [
    `[${name}](${docs})`,
    Object.entries(packages)
      .map(([part, version]) => `${part} ${version}`)
      .join(', '),
    setUp,
  ])
  return [row(['', 'Installed', 'Set-up']), row(['---', '---', '---']), ...rows.map(row)].join('\n')
}

function heading({ name, packages }: Peer): string {
  const version = Object.values(packages)[0]
  return version === undefined ? name : `${name} ${version}`
}
